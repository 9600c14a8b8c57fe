"""Runs made by hand, for the tests of everything that reads runs."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from metaux.runs.record import Run, write_finished, write_records, write_settings
from metaux.settings import Settings

CLASSES = 2


def make_run(
    out: Path,
    method: str,
    seed: int,
    correct: Sequence[float],
    epochs: int = 3,
    seconds: float = 0.5,
    curve: Sequence[float] | None = None,
    settings: Settings | None = None,
) -> Run:
    """Write a finished run whose test samples are right as `correct` says, and read it."""
    folder = out / "runs" / f"{method}-{seed}"
    right = torch.tensor(correct, dtype=torch.float32)
    accuracy = float(right.double().mean())
    write_settings(folder, settings or Settings(data="toy", epochs=epochs), method=method, seed=seed)
    curve = curve if curve is not None else [accuracy] * epochs
    records = [
        {"epoch": epoch + 1, "seconds": seconds, "train_loss": 1.0, "test_accuracy": value}
        for epoch, value in enumerate(curve)
    ]
    write_records(folder, records)
    write_finished(
        folder,
        {
            "method": method,
            "seed": seed,
            "accuracy": accuracy,
            "balanced_accuracy": accuracy,
            "seconds_per_epoch": seconds,
            "epochs": epochs,
            "class_names": ["even", "odd"],
            "versions": {"metaux": "0"},
        },
        {
            "test_probabilities": torch.full((len(correct), CLASSES), 1 / CLASSES),
            "test_correct": right,
            "test_primary": torch.zeros(len(correct), dtype=torch.int64),
            "train_labels": torch.full((6, 2), 0.5, dtype=torch.float16),
            "train_ids": torch.arange(6),
        },
        {"weight": torch.ones(2, 2)},
    )
    return Run.read(folder)


def first_right(accuracy: float, samples: int) -> list[float]:
    """Return which samples are right: the first ones, as many as the accuracy says."""
    return [float(place < round(accuracy * samples)) for place in range(samples)]


def make_runs(out: Path, gains: Mapping[str, Sequence[float]], samples: int = 1000, base: float = 0.7) -> list[Run]:
    """Write one run per method and seed, of accuracy `base` plus a gain, as exactly as the samples allow.

    The samples are right in order, so that two methods differ in as few samples as their accuracies allow.
    """
    return [
        make_run(out, method, seed, first_right(base + gain, samples))
        for method, own in gains.items()
        for seed, gain in enumerate(own)
    ]


def noisy_curve(final: float, epochs: int, seed: int) -> list[float]:
    """Return a learning curve that rises to about `final`."""
    noise = np.random.default_rng(seed).normal(0, 0.004, epochs)
    times = np.arange(1, epochs + 1)
    return list(final - 0.35 * np.exp(-times / 2.5) + noise)
