"""Runs with all that a report can show, made by hand: nothing is trained."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from metaux.report.page import Report
from metaux.report.recorded import Recorded
from metaux.report.samples import Samples
from metaux.runs.record import Run, write_finished, write_records, write_settings
from metaux.settings import Settings

NAMES = ("cat", "dog", "owl")
HOSTILE = (
    '</script><script>document.title="taken"</script>',
    "<b>bold</b> & \"quoted\" 'x'",
    "<img src=x onerror=alert(1)>",
)
SLOTS = 4
TEST, TRAIN, EPOCHS = 240, 120, 5
ACCURACY = {"single": 0.7, "uniform": 0.71, "frozen": 0.7, "kmeans": 0.72, "maxl": 0.95, "human": 0.75}


def full_run(
    out: Path,
    method: str,
    seed: int,
    names: Sequence[str] = NAMES,
    data: str = "toy",
    tested: int | None = None,
    **more: Any,
) -> Run:
    """Write a finished run: features, sub-class labels and human ones included; test samples of the first classes."""
    folder = out / "runs" / f"{method}-{seed}"
    random = np.random.default_rng([seed, *map(ord, method)])
    classes = len(names)
    primary = np.arange(TEST) % (tested or classes)
    right = random.random(TEST) < ACCURACY.get(method, 0.8) + 0.01 * seed
    predicted = np.where(right, primary, (primary + 1) % classes)
    sure = random.uniform(0.5, 0.95, TEST)
    probabilities = np.repeat((1 - sure)[:, None] / (classes - 1), classes, axis=1)
    probabilities[np.arange(TEST), predicted] = sure
    labels = random.dirichlet(np.full(SLOTS, 0.5), TRAIN)
    train_primary = np.arange(TRAIN) % classes
    rows = np.arange(0, TEST, 4)
    outputs: dict[str, Any] = {
        "test_probabilities": probabilities.astype(np.float32),
        "test_correct": right.astype(np.float32),
        "test_primary": primary,
        "test_features": (random.normal(size=(len(rows), 6)) + 4 * np.eye(classes, 6)[primary[rows]]).astype(
            np.float32
        ),
        "test_feature_rows": rows,
        "train_ids": np.arange(TRAIN),
        "train_primary": train_primary,
    }
    if method != "single":
        outputs["train_labels"] = labels.astype(np.float16)
        outputs["train_human"] = train_primary * SLOTS + random.integers(0, SLOTS, TRAIN)
    records = [
        {
            "epoch": epoch + 1,
            "seconds": 0.5,
            "train_accuracy": 0.6,
            "test_accuracy": 0.5 + 0.05 * epoch + 0.01 * seed,
            "test_loss": 1 / (epoch + 1),
        }
        | (
            {}
            if method == "single"
            else {"label_entropy": 1.0, "gradient_cosine": 0.3, "label_human_nmi": 0.1 + seed / 50}
        )
        for epoch in range(EPOCHS)
    ]
    write_settings(folder, Settings(data=data, epochs=EPOCHS), method=method, seed=seed)
    write_records(folder, records)
    model = {
        "slots": [SLOTS] * classes,
        "class_names": list(names),
        "subclass_names": [f"{name} kind {slot}" for name in names for slot in range(SLOTS)],
    }
    accuracy = float(right.mean())
    result = {
        "method": method,
        "seed": seed,
        "accuracy": accuracy,
        "balanced_accuracy": accuracy,
        "seconds_per_epoch": 0.5,
        "epochs": EPOCHS,
        "class_names": list(names),
        "versions": {"metaux": "0", "torch": "2"},
        "device": "a processor",
        "model": model,
        **more,
    }
    write_finished(
        folder, result, {name: torch.as_tensor(value) for name, value in outputs.items()}, {"w": torch.ones(1)}
    )
    return Run.read(folder)


def full_runs(
    out: Path, methods: Sequence[str] = tuple(ACCURACY), seeds: int = 3, names: Sequence[str] = NAMES
) -> Recorded:
    """Return a whole comparison."""
    return Recorded.of([full_run(out, method, seed, names) for method in methods for seed in range(seeds)])


def pictures(train: int = TRAIN, test: int = TEST, edge: int = 12) -> Samples:
    """Return random images for every sample."""
    random = np.random.default_rng(0)

    def some(count: int) -> Mapping[int, Any]:
        return {key: random.integers(0, 256, (3, edge, edge), dtype=np.uint8) for key in range(count)}

    return Samples("image", some(train), some(test))


def write_page(folder: Path, recorded: Recorded, subclasses: Mapping[str, Sequence[int]] | None = None) -> Path:
    """Write the report of runs, with random images for samples, and return the file."""
    path = folder / "report.html"
    path.write_text(Report(recorded).html(pictures(), subclasses))
    return path
