"""Every backbone that `--backbone` accepts goes from train to predict, evaluate and export."""

import csv
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RECORD = ROOT / "results" / "backbones.csv"


def test_the_record_has_none_that_stumbled() -> None:
    with RECORD.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len({row["backbone"] for row in rows}) == len(rows)
    assert [row for row in rows if row["reached"] != "export"] == []
    page = (ROOT / "docs" / "how-to" / "own-network.md").read_text(encoding="utf-8")
    of_torchvision = sum(row["backbone"].startswith("torchvision:") for row in rows)
    assert f"{of_torchvision} of torchvision and {len(rows) - of_torchvision} of timm" in " ".join(page.split())


@pytest.mark.slow
def test_each_takes_every_step(tmp_path: Path) -> None:
    pytest.importorskip("timm")
    benchmark = runpy.run_path(str(ROOT / "benchmarks" / "backbones.py"))
    failed = {}
    for name, _ in benchmark["names"]():
        folder = tmp_path / name.replace(":", "-")
        folder.mkdir()
        _, reached, said = benchmark["walk_at_some_size"](name, folder)
        if reached != "export":
            failed[name] = said
    assert not failed
