"""Screens a label for tables on validation data: class x which block of columns was taken from another sample.

    python benchmarks/columns.py --root data --out columns.csv

The counterpart of `transformation` for tables, and trained by its three classes: only the views are others. Beside
each sample there is a copy with one of four blocks of its columns, drawn anew at every step, from another sample of the
batch; the blocks are drawn once for each seed. One line per run, as soon as it has ended.
"""

import argparse
import csv
import tempfile
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.datasets import load_digits, make_classification
from torch import Tensor

from metaux.experiment.plan import make_plan
from metaux.experiment.run import load_once
from metaux.labels.base import Batch, Preparation
from metaux.labels.transformation import UNCHANGED, Transformed
from metaux.protocols import resolve
from metaux.settings import Settings
from metaux.streams import stream
from metaux.training.devices import make_fabric
from metaux.training.fit import Trainer

BLOCKS = 4
LONGER = "single, twice as long"  # in the time of a copy of each sample
LABELS = {
    "single": "single",
    LONGER: "single",
    "uniform": "uniform",
    "frozen": "frozen",
    "columns": "transformation",
    "columns-shuffled": "transformation-shuffled",
    "columns-class": "transformed",
}


def _prepare(self: Transformed, preparation: Preparation) -> None:
    columns = preparation.samples.inputs[0].shape[1]
    order = torch.randperm(columns, generator=stream(preparation.seed, "blocks of columns"))
    self.blocks = torch.stack([torch.zeros(columns).index_fill(0, part, 1) for part in order.tensor_split(BLOCKS)])
    self.kinds = [UNCHANGED, *(f"block {number}" for number in range(BLOCKS))]
    self.auxiliary_names = tuple(self.hierarchy.class_names)


def _views(self: Transformed, batch: Batch) -> Batch:
    samples = batch.inputs[0]
    count = len(samples)
    block = torch.randint(BLOCKS, (count,))
    assert isinstance(self.blocks, Tensor)
    copies = torch.where(self.blocks[block].bool(), samples[torch.randperm(count)], samples)
    kind = torch.cat([torch.zeros(count, dtype=torch.long), 1 + block])
    return Batch((torch.cat([samples, copies]),), batch.primary.repeat(2), batch.index.repeat(2), kind)


def tables(folder: Path, root: str) -> dict[str, tuple[Settings, int]]:
    """Write three tables; return what is trained on them and on one of scikit-learn's, with the number of seeds."""
    made = make_classification(
        4000, 40, n_informative=12, n_redundant=8, n_classes=4, n_clusters_per_class=3, random_state=0
    )
    images = load_once(Settings(data="fashion-mnist", root=root)).train
    coarse = images.inputs[0][:6000].numpy().reshape(-1, 7, 4, 7, 4).mean((2, 4)).reshape(6000, 49)
    written = {
        "made": made,
        "digits": noisy(*load_digits(return_X_y=True)),
        "fashion-mnist": noisy(coarse, images.primary[:6000].numpy()),
    }
    for name, (x, y) in written.items():
        table = pd.DataFrame(x, columns=[f"column {number}" for number in range(x.shape[1])])
        table.assign(label=[f"class {number}" for number in y]).to_csv(folder / f"{name}.csv", index=False)
    common = Settings(backbone="mlp", epochs=40, batch_size=50, device="cpu", evaluate_on="validation")
    made_600, digits, fashion = (replace(common, data=str(folder / f"{name}.csv"), train_size=600) for name in written)
    breast_cancer = replace(common, data="breast-cancer")
    return {
        "breast-cancer": (breast_cancer, 5),
        "a made table": (made_600, 5),
        "digits as a table": (replace(digits, train_size=400), 5),
        "fashion-mnist as a table": (fashion, 6),
        "fashion-mnist as a table, 2000": (replace(fashion, train_size=2000, epochs=20), 6),
        "digits as a table, 150": (replace(digits, train_size=150), 6),
        "breast-cancer, 80": (replace(breast_cancer, train_size=80), 6),
    }


def noisy(x: Any, y: Any) -> tuple[Any, Any]:
    """Return columns that are not read as categories, although they have few values."""
    return x + np.random.default_rng(0).normal(scale=1e-3, size=x.shape), y


def main() -> None:
    """Train all of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default="data")
    parser.add_argument("--out", type=Path, default=Path("columns.csv"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    Transformed.prepare, Transformed.views = _prepare, _views  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder, given.out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["bed", "epochs", "labels", "seed", "validation_accuracy"])
        for name, (bed, seeds) in tables(Path(folder), given.root).items():
            for seed, (labels, method) in product(range(seeds), LABELS.items()):
                settings = replace(bed, epochs=2 * resolve(bed).epochs) if labels == LONGER else bed
                plan = make_plan(settings, method, seed, load_once(settings))
                last = Trainer(plan, make_fabric(settings)).fit().records[-1]
                writer.writerow([name, bed.epochs, labels, seed, last["test_accuracy"]])
                file.flush()


if __name__ == "__main__":
    main()
