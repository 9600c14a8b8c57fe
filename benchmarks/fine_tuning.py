"""At which rate photographs are fine-tuned: several rates and parts of the recipe on three draws of photographs.

    python benchmarks/fine_tuning.py --cifar100 data/cifar100 --out fine-tuning --record results/recipe/fine-tuning.csv

The photographs are those of `benchmarks/handed_over.py` with the seeds 1 to 3: 300 to learn from, 500 fresh ones that
the accuracy is of. Every row is one `metaux train` of single task from pretrained weights; with a rate of 1e-9 the head
alone learns. Beside them stands the linear probe. What is recorded already is not made again.
"""

import argparse
import csv
import json
import random
from pathlib import Path

from handed_over import fresh_accuracy, metaux, photos

from metaux.files import to_csv, write_text_atomic

SMOOTHED, AVERAGED = ("--label-smoothing", "0.1"), ("--weight-average", "0.3")
ROWS: dict[tuple[str, str], tuple[str, ...]] = {
    ("linear-probe", ""): (),
    ("single", "head alone"): ("--learning-rate", "1e-9"),
    **{("single", rate): ("--learning-rate", rate) for rate in ("0.001", "0.0003", "0.0001")},
    ("single", "0.001, label smoothing 0.1"): ("--learning-rate", "0.001", *SMOOTHED),
    ("single", "0.001, average of the weights 0.3"): ("--learning-rate", "0.001", *AVERAGED),
    ("single", "0.001, label smoothing 0.1, average of the weights 0.3"): (
        *("--learning-rate", "0.001"),
        *SMOOTHED,
        *AVERAGED,
    ),
    ("single", "0.0003, label smoothing 0.1"): ("--learning-rate", "0.0003", *SMOOTHED),
}
DRAWS = (1, 2, 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cifar100", type=Path, required=True, help="folder of CIFAR-100's images")
    parser.add_argument("--out", type=Path, required=True, help="folder for data and runs")
    parser.add_argument("--record", type=Path, required=True, help="CSV file to write")
    options = parser.parse_args()
    rows: dict[tuple[str, str, int], dict[str, object]] = {}
    if options.record.is_file():
        with options.record.open(encoding="utf-8", newline="") as file:
            rows = {(row["method"], row["learning_rate"], int(row["seed"])): {**row} for row in csv.DictReader(file)}
    for number, ((method, title), changes) in enumerate(ROWS.items()):
        for draw in DRAWS:
            if (method, title, draw) in rows:
                continue
            data = options.out / f"draw-{draw}"
            if not (data / "paths.json").is_file():
                data.mkdir(parents=True, exist_ok=True)
                paths = photos(options.cifar100, data, random.Random(f"{draw} photos"))
                (data / "paths.json").write_text(json.dumps(paths))
            known, fresh = json.loads((data / "paths.json").read_text())
            run = options.out / f"{number}-{draw}"
            metaux("train", known, "--method", method, *changes, "--out", run, "--quiet")
            accuracy, count = fresh_accuracy(run, fresh)
            row = {"method": method, "learning_rate": title, "seed": draw, "fresh": count}
            row["accuracy"] = round(accuracy, 6)
            rows[method, title, draw] = row
            print(row, flush=True)
            options.record.parent.mkdir(parents=True, exist_ok=True)
            write_text_atomic(options.record, to_csv(list(rows.values())))


if __name__ == "__main__":
    main()
