"""Every example runs as it stands, and learns."""

import os
import re
import runpy
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
STARTS_ITSELF = ("lightning_module",)  # once more, as its second process
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.py"))


@pytest.mark.filterwarnings("default")  # other packages' own
@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in NAMES])
def test_runs_and_learns(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if missing := [package for package in NEEDS.get(name, []) if find_spec(package) is None]:
        pytest.skip(f"{' and '.join(missing)} not installed")
    file = str(EXAMPLES / f"{name}.py")
    if name in STARTS_ITSELF:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        found = subprocess.run(
            [sys.executable, file], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600
        )
        assert found.returncode == 0, found.stderr
        said = found.stdout
    else:
        monkeypatch.chdir(tmp_path)
        runpy.run_path(file, run_name="__main__")
        said = capsys.readouterr().out
    accuracies = [float(number) for number in re.findall(r"accuracy ([0-9.]+)", said)]
    assert accuracies, said
    assert min(accuracies) >= LEAST.get(name, 0.85), said
    assert ("on 2 processes; same weights: True" in said) == (name in STARTS_ITSELF)


def test_the_table_names_every_example() -> None:
    named = re.findall(r"^\| \[(\w+)\.py\]", (EXAMPLES / "README.md").read_text(), re.MULTILINE)
    assert sorted(named) == NAMES
