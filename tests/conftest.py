"""One thread per test process, since equal bits need equal threads; no deadlines, since tests run side by side."""

import torch
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")
