"""Screens a label for tables on validation data: class x which block of columns was taken from another sample.

    python benchmarks/columns.py --out columns.csv

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

import numpy as np
import pandas as pd
import torch
from sklearn.datasets import load_digits, make_classification
from torch import Tensor

from metaux.experiment.plan import make_plan
from metaux.experiment.run import load_once
from metaux.labels.base import Batch, Preparation
from metaux.labels.transformation import UNCHANGED, Transformed
from metaux.settings import Settings
from metaux.streams import stream
from metaux.training.devices import make_fabric
from metaux.training.fit import Trainer

BLOCKS = 4
SEEDS = range(5)
LABELS = {
    "single": "single",
    "single, 80 epochs": "single",  # in the time of a copy of each sample
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


def tables(folder: Path) -> dict[str, Settings]:
    """Write two tables; return what is trained on them and on one of scikit-learn's."""
    random = np.random.default_rng(0)
    made = make_classification(
        4000, 40, n_informative=12, n_redundant=8, n_classes=4, n_clusters_per_class=3, random_state=0
    )
    pixels, digits = load_digits(return_X_y=True)
    pixels += random.normal(scale=1e-3, size=pixels.shape)  # columns of a few values would be read as categories
    common = Settings(backbone="mlp", epochs=40, batch_size=50, device="cpu", evaluate_on="validation")
    beds = {"breast-cancer": replace(common, data="breast-cancer")}
    for name, (x, y), size in (("a made table", made, 600), ("digits as a table", (pixels, digits), 400)):
        table = pd.DataFrame(x, columns=[f"column {number}" for number in range(x.shape[1])])
        table.assign(label=[f"class {number}" for number in y]).to_csv(folder / f"{name}.csv", index=False)
        beds[name] = replace(common, data=str(folder / f"{name}.csv"), train_size=size)
    return beds


def main() -> None:
    """Train all of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("columns.csv"))
    out = parser.parse_args().out
    torch.set_num_threads(1)
    Transformed.prepare, Transformed.views = _prepare, _views  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder, out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["bed", "epochs", "labels", "seed", "validation_accuracy"])
        for (name, bed), seed, (labels, method) in product(tables(Path(folder)).items(), SEEDS, LABELS.items()):
            settings = replace(bed, epochs=80) if "80" in labels else bed
            plan = make_plan(settings, method, seed, load_once(settings))
            last = Trainer(plan, make_fabric(settings)).fit().records[-1]
            writer.writerow([name, bed.epochs, labels, seed, last["test_accuracy"]])
            file.flush()


if __name__ == "__main__":
    main()
