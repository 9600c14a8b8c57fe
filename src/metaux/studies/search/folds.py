"""Whether a search measures every sample, by cross-validation, or a part that is set aside."""

import torch

from metaux.runs.loading import load_once
from metaux.settings import Settings

# Of fewer samples, every one is measured, in so many parts.
SMALL, FOLDS = 1000, 5


def choose_folds(settings: Settings) -> int | None:
    """Return the parts of cross-validation: those asked for, or `FOLDS` where there are few samples of every class."""
    data = load_once(settings)  # refuses folds that there can't be
    if settings.folds is not None:
        return settings.folds
    parts = [part for part in (data.train, data.validation, data.test) if part is not None]
    counts = torch.cat([part.primary for part in parts]).bincount()
    small = sum(map(len, parts)) < SMALL and int(counts.min()) >= FOLDS
    return FOLDS if small and data.train.groups is None and settings.train_size is None else None
