"""One thread per test process: tests run side by side, and equal bits need equal threads."""

import torch

torch.set_num_threads(1)
