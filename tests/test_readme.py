"""What the README and the design page show runs as it stands, and is short."""

import re
from pathlib import Path
from typing import Any

import torch

from small import trained

ROOT = Path(__file__).parent.parent
SETUP = """
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset
from metaux import Hierarchy, LabelGenerator, LookAhead, MultiTaskNetwork, entropy_loss, focal_loss, forward_mode

torch.manual_seed(0)
pixels, digits = (torch.as_tensor(array) for array in load_digits(return_X_y=True))
loader = DataLoader(TensorDataset(pixels.float() / 16, digits), batch_size=100, shuffle=True)
trunk = lambda: nn.Sequential(nn.Linear(64, 128), nn.ReLU())
"""
NETWORKS = {
    "-": "network = nn.Sequential(trunk(), nn.Linear(128, 10))",
    "+": "network = MultiTaskNetwork(trunk(), nn.Linear(128, 10), nn.Linear(128, 30))\n"
    "generator = LabelGenerator(trunk(), nn.Linear(128, 30), Hierarchy([3] * 10))\n"
    "generator_optimizer = torch.optim.Adam(generator.parameters())",
}


def blocks(language: str, page: str = "README.md") -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


def loop(keep: str) -> dict[str, Any]:
    """Run one side of the diff for ten epochs, from a fixed random state; returns its variables."""
    [diff] = blocks("diff")
    body = "\n".join(f"    {line[1:]}" for line in diff.splitlines() if line[:1] in (" ", keep))
    optimizer = "optimizer = torch.optim.SGD(network.parameters(), lr=0.1)"
    code = f"{SETUP}\n{NETWORKS[keep]}\n{optimizer}\nfor epoch in range(10):\n{body}"
    variables: dict[str, Any] = {}
    exec(compile(code, f"README.md ({keep})", "exec"), variables)
    return variables


def test_the_ordinary_loop_runs() -> None:
    found = loop("-")
    x = found["pixels"].float() / 16
    assert (found["network"](x).argmax(-1) == found["digits"]).float().mean() > 0.9


def test_the_maxl_loop_runs_and_its_generator_learns() -> None:
    found = loop("+")
    x = found["pixels"].float() / 16
    assert (found["network"](x).primary.argmax(-1) == found["digits"]).float().mean() > 0.9
    assert found["meta"].gradient.abs().sum() > 0
    torch.manual_seed(0)
    labels = found["generator"](x, primary=found["digits"])
    torch.testing.assert_close(labels.sum(-1), torch.ones(len(x)))


def test_the_loop_gains_eight_lines() -> None:
    lines = blocks("diff")[0].splitlines()
    assert sum(line[:1] == "+" for line in lines) <= 8


def test_a_label_source_in_30_lines() -> None:
    [code] = blocks("python", "docs/design.md")
    assert len(code.splitlines()) <= 30
    variables: dict[str, Any] = {}
    exec(compile(code, "docs/design.md", "exec"), variables)
    fitted = trained(variables["BrightOrDark"])
    assert fitted.labels is not None
    assert fitted.labels.sum(0).count_nonzero() == 2
