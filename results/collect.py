"""Copies what `metaux reproduce` and `metaux contest` recorded into this folder.

python results/collect.py OUT/small             # figure, numbers and summary of each item
python results/collect.py OUT/paper-trial       # one line for each run of 20 training steps
python results/collect.py OUT/fashion-500       # a contest's bed: plan and table
"""

import csv
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import yaml

from metaux.evidence.statistics import Estimate
from metaux.files import write_json
from metaux.studies.benchmark.measured import Row
from metaux.studies.benchmark.rules import CONTESTANTS
from metaux.studies.benchmark.table import to_csv

HERE = Path(__file__).parent / "reproduce"
CONTESTS = Path(__file__).parent / "contest"
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


def collect_contest(out: Path) -> None:
    """Copy a bed's plan and table; rows that were recorded before stay, if single task's runs are the same.

    Raises:
        SystemExit: if they differ, so that rows of both would not be paired; or if what was planned does.
    """
    folder = CONTESTS / out.name
    found = json.loads((out / "contest.json").read_text())
    rows = {row["name"]: row for row in found["table"]}
    if (folder / "contest.json").is_file():
        recorded = json.loads((folder / "contest.json").read_text())
        earlier = {row["name"]: row for row in recorded["table"]}
        if rows["single"]["accuracies"] != earlier["single"]["accuracies"]:
            raise SystemExit(
                f"single task differs from what is recorded in {folder}: run its other rows again too, or rename {out} "
                f"to {out.name}-again, which is recorded beside it"
            )
        rows = earlier | rows
        before, plan = recorded["plan"], found["plan"]
        shared = [name for name in plan["rows"] if name in before["rows"]]
        if plan["seeds"] != before["seeds"] or any(plan["rows"][name] != before["rows"][name] for name in shared):
            raise SystemExit(f"the plan differs from what is recorded in {folder}: begin with its plan.json")
        found["plan"] = {**before, **plan, "rows": before["rows"] | plan["rows"]}
        found["tuning"] = recorded.get("tuning", {}) | found.get("tuning", {})
    methods = [row.name for row in CONTESTANTS]
    places = {name: place for place, name in enumerate(rows)}

    def place(name: str) -> tuple[int, int]:
        """As in the contest: single task, at other expense too, and then each method with its shuffled labels."""
        method = name.removesuffix(", shuffled")
        return (methods.index(method) if method in methods and name != "single" else -1, places[name])

    found["table"] = [rows[name] for name in sorted(rows, key=place)]
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "contest.json", found)
    write_json(folder / "plan.json", found["plan"])
    (folder / "contest.csv").write_text(to_csv(out.name, [_row(row) for row in found["table"]]), encoding="utf-8")


def _row(plain: dict[str, Any]) -> Row:
    def estimates(found: dict[str, dict[str, float]]) -> dict[str, Estimate]:
        return {name: Estimate(**values) for name, values in found.items()}

    values = {name: value for name, value in plain.items() if name != "beats_all"}
    values |= {name: estimates(plain[name]) for name in ("differences", "over_samples")}
    return Row(**values | {"accuracy": Estimate(**plain["accuracy"])})


if __name__ == "__main__":
    given = Path(sys.argv[1])
    if (given / "contest.json").is_file():
        collect_contest(given)
        sys.exit()
    collect_trial(given) if given.name.endswith("-trial") else collect(given)
