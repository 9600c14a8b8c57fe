"""Every example runs as it stands, in a process of its own, and learns."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
NEEDS = {
    "lightning_module": ["lightning"],
    "optuna_search": ["optuna"],
    "hugging_face": ["datasets", "transformers"],
    "timm_torchvision": ["timm"],
}
LEAST = {"timm_torchvision": 0.75, "pandas_frame": 0.8}


SLOW = ("timm_torchvision",)
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.py"))


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in NAMES])
def test_runs_and_learns(name: str, tmp_path: Path) -> None:
    if missing := [package for package in NEEDS.get(name, []) if find_spec(package) is None]:
        pytest.skip(f"{' and '.join(missing)} not installed")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    words = [sys.executable, str(EXAMPLES / f"{name}.py")]
    found = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600)
    assert found.returncode == 0, found.stderr
    accuracies = [float(number) for number in re.findall(r"accuracy ([0-9.]+)", found.stdout)]
    assert accuracies, found.stdout
    assert min(accuracies) >= LEAST.get(name, 0.85), found.stdout
    if name == "lightning_module":
        assert "on 2 processes; same weights: True" in found.stdout


def test_the_table_names_every_example() -> None:
    named = re.findall(r"^\| \[(\w+)\.py\]", (EXAMPLES / "README.md").read_text(), re.MULTILINE)
    assert sorted(named) == NAMES
