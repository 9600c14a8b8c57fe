"""Paths that are no UTF-8, as an old archive may leave them: everything is done there as anywhere else."""

import os
import sys
from pathlib import Path

import pytest

from metaux.runs.model import Model
from shell import done, metaux, write_table

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
FAST = ("--epochs", 1, "--backbone", "mlp")


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    path = Path(os.fsdecode(bytes(tmp_path) + b"/caf\xe9"))
    path.mkdir()
    return path


def test_a_run_on_odd_data_in_an_odd_folder_is_whole_for_every_reader(odd: Path) -> None:
    table, run = write_table(odd / "t.npz"), odd / "run"
    done("train", table, *FAST, "--method", "uniform", "--out", run)
    assert Model.read(run).settings.data == str(table)
    done("evaluate", run)
    done("report", run)
    done("predict", run, table, "--out", odd / "classes.csv")
    done("labels", run, "--out", odd / "labels.csv")
    for form in ("safetensors", "torch-export"):
        done("export", run, "--to", form)
    again = done("train", "--config", run / "settings.yaml", "--method", "uniform", "--out", odd / "again")
    assert "caf\\udce9/again" in again
    files = [odd / name / "weights.safetensors" for name in ("run", "again")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_comparison_goes_on_there(odd: Path) -> None:
    words = ("compare", write_table(odd / "t.npz"), *FAST, "--methods", "single", "--jobs", 1, "--out", odd / "out")
    done(*words, "--seeds", 1)
    done(*words, "--seeds", 2)
    assert len([*(odd / "out" / "runs").iterdir()]) == 2
    said = metaux("evaluate", odd / "out")
    assert (said.code, "caf\\udce9/out/runs/single-0" in said.err) == (2, True)
