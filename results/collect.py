"""Copies what `metaux reproduce` recorded into this folder.

python results/collect.py OUT/small          # figure, numbers and summary of each item
python results/collect.py OUT/paper-trial    # one line for each run of 20 training steps
"""

import csv
import json
import shutil
import sys
from pathlib import Path

import yaml

HERE = Path(__file__).parent / "reproduce"
SETTINGS = ("protocol", "primary", "auxiliary", "focal_gamma", "backbone", "method")
MEASURED = ("train_size", "test_size", "train_loss", "train_accuracy", "test_loss", "test_accuracy")


def collect(out: Path) -> None:
    """Copy figure (PNG), numbers and summary of every item that has been drawn."""
    for summary in sorted(out.glob("*/summary.json")):
        folder = HERE / summary.parent.name
        folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(summary.parent.iterdir()):
            if path.suffix in (".png", ".csv", ".json"):
                shutil.copyfile(path, folder / path.name)


def collect_trial(out: Path) -> None:
    """Write one line for each configuration that was tried."""
    with (HERE / "paper-trial.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*SETTINGS, "seconds", "meta_gradient", *MEASURED])
        for path in sorted(out.glob("runs/*/result.json")):
            settings = yaml.safe_load((path.parent / "settings.yaml").read_text())
            result = json.loads(path.read_text())
            (record,) = map(json.loads, (path.parent / "records.jsonl").read_text().splitlines())
            own = [settings[name] if settings[name] is not None else "" for name in SETTINGS]
            measured = [result["train_size"], result["test_size"], *(f"{record[name]:.3f}" for name in MEASURED[2:])]
            writer.writerow([*own, f"{record['seconds']:.0f}", result["meta_gradient"] or "", *measured])


if __name__ == "__main__":
    given = Path(sys.argv[1])
    collect_trial(given) if given.name.endswith("-trial") else collect(given)
