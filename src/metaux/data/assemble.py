"""From what a reader found to `LabelledData`: classes, parts, and the checks before any training."""

from collections.abc import Iterable, Sequence
from hashlib import blake2b

import numpy as np
import torch
from torch import Tensor

from metaux.data.classes import find_classes
from metaux.data.encoding import learn_encoding
from metaux.data.reader import RawData
from metaux.data.samples import LabelledData, Samples
from metaux.data.spelling import places
from metaux.data.splits import fold, split
from metaux.errors import InputError
from metaux.settings import Settings
from metaux.words import few

TEST_FRACTION = 0.2
# Fixed, so that what is measured is the same whatever the run's seed.
TEST_SEED = 0
VALIDATION_SEED = 1


def assemble(raw: RawData, settings: Settings) -> LabelledData:
    """Turn a source's samples into training, validation and test samples with their classes.

    A source without a test part gives 20 % of its training samples for it, always the same ones: drawn with a
    fixed seed, in the balance of the primary classes, and without dividing a group. To evaluate on validation, its
    samples take the place of the test samples, which are left out; a source without them gives 20 % of the training
    samples that remain, likewise.

    Raises:
        InputError: for one class only, a class with a single training sample or none, groups that straddle
            the source's parts, a training size that is too large, and all that `assign` refuses.
    """
    classes = find_classes(raw, settings)
    groups = _numbered(raw.groups)
    rows = {part: _rows(raw.parts, part, len(raw)) for part in ("train", "val", "test")}
    _check_parts(rows, classes.primary, classes.hierarchy.class_names)
    if raw.groups is not None:
        _check_groups(rows, raw.groups)
    notices = (*raw.notices, *classes.notices)
    notices += _divide(rows, classes.primary, groups, settings, classes.hierarchy.class_names)
    if settings.train_size is not None and settings.train_size > len(rows["train"]):
        raise InputError(
            f"expected a training size of at most {len(rows['train'])} (the training samples), found "
            f"{settings.train_size}; correct --train-size"
        )
    if raw.kind == "image" and settings.augment == "auto" and raw.augmentation == "crop" and raw.levels is None:
        notices += (
            "images are shifted at random but not mirrored, since left and right may matter in them; --augment "
            "crop-flip mirrors them too, and metaux recommend tries it",
        )
    given, given_names = _given(raw, rows["train"])
    encoded = learn_encoding(raw.inputs, rows["train"], classes.primary, raw.separator)
    samples = Samples((encoded.inputs,), classes.primary, classes.human, raw.names, None, groups, given, given_names)
    train, test = samples.take(rows["train"]), samples.take(rows["test"])
    return LabelledData(
        train,
        test,
        classes.hierarchy,
        raw.kind,
        samples.take(rows["val"]) if len(rows["val"]) else None,
        raw.augmentation,
        (*notices, *encoded.notices, *_known_already(train, test, raw.kind)),
        encoded.columns or raw.columns,
        raw.inputs if isinstance(raw.inputs, tuple) else (),
        encoded.tokenizer,
        raw.pixel_range,
    )


def _divide(
    rows: dict[str, Tensor], primary: Tensor, groups: Tensor | None, settings: Settings, names: Sequence[str]
) -> tuple[str, ...]:
    """Set samples aside to measure on, where the source has no part for it; return what a user should know of it."""
    notices: tuple[str, ...] = ()
    if settings.folds is not None and settings.evaluate_on == "test":
        everything = torch.cat([rows["train"], rows["val"], rows["test"]]).sort().values
        rows["train"], rows["test"] = fold(primary, groups, everything, settings, names)
        rows["val"] = rows["val"][:0]
        notices = (
            f"cross-validation: part {settings.fold + 1} of {settings.folds} is measured, {len(rows['test'])} of "
            f"{len(everything)} samples",
        )
    elif len(rows["test"]) == 0:
        count = len(rows["train"])
        rows["train"], rows["test"] = _set_aside(primary, groups, rows["train"], TEST_SEED)
        notices = (
            f"no test part: {len(rows['test'])} of {count} samples were set aside to measure, the same for all seeds",
        )
    if settings.evaluate_on == "validation":
        if settings.folds is not None:
            known = torch.cat([rows["train"], rows["val"]]).sort().values
            rows["train"], rows["val"] = fold(primary, groups, known, settings, names)
        elif len(rows["val"]) == 0:
            rows["train"], rows["val"] = _set_aside(primary, groups, rows["train"], VALIDATION_SEED)
        rows["test"], rows["val"] = rows["val"], rows["val"][:0]
    return notices


def _set_aside(primary: Tensor, groups: Tensor | None, rows: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Split rows in those to learn from and a fifth to measure on."""
    own = None if groups is None else groups[rows]
    first, second = split(primary[rows], own, TEST_FRACTION, np.random.default_rng(seed))
    return rows[first], rows[second]


def _known_already(train: Samples, test: Samples, kind: str) -> tuple[str, ...]:
    """Say how many test images are pixel for pixel training images: they measure nothing."""
    if kind != "image":
        return ()
    first, second = (
        [blake2b(image, digest_size=16).digest() for rows in part.in_parts() for image in part.at(rows)[0].numpy()]
        for part in (train, test)
    )
    known = {digest: row for row, digest in enumerate(first)}
    same = [row for row, digest in enumerate(second) if digest in known]
    if not same:
        return ()
    names = (test.names[same[0]], train.names[known[second[same[0]]]]) if test.names else ()
    example = f" ('{names[0]}' is '{names[1]}')" if names else ""
    return (
        f"{len(same):,} of {len(test):,} test images are also training images, pixel for pixel{example}: the "
        "accuracy on these says nothing of new ones",
    )


def _given(raw: RawData, train: Tensor) -> tuple[Tensor | None, tuple[str, ...]]:
    """Return the place of each sample's given label among those of the training samples, -1 if not there; and these."""
    if raw.given is None:
        return None, ()
    names = sorted(set(_taken(raw.given, train)) - {""})
    if len(names) < 2:
        raise InputError(
            f"expected two different given labels or more among the training samples, found "
            f"{' '.join(names) or 'none'} alone; give others, or none"
        )
    return places(raw.given, names), tuple(names)


def _numbered(groups: Sequence[str] | None) -> Tensor | None:
    return None if groups is None else torch.from_numpy(np.unique(np.array(groups), return_inverse=True)[1])


def _rows(parts: Sequence[str] | None, part: str, count: int) -> Tensor:
    if parts is None:
        return torch.arange(count if part == "train" else 0)
    return torch.from_numpy(np.flatnonzero(np.array(parts) == part))


def _check_parts(rows: dict[str, Tensor], primary: Tensor, names: Sequence[str]) -> None:
    counts = primary[rows["train"]].bincount(minlength=len(names)).tolist()
    if not any(counts):
        raise InputError("expected training samples, found only others; add a train part")
    for part in ("val", "test"):
        for label in sorted(set(primary[rows[part]].tolist())):
            if counts[label] == 0:
                raise InputError(
                    f"expected every class of the {part} part in the train part, found '{names[label]}' "
                    f"only in {part}; add training samples of it, or leave it out"
                )
    if len(names) < 2:
        raise InputError(f"expected two classes or more, found only '{names[0]}'; add samples of another class")
    if rare := [f"{count} of '{name}'" for name, count in zip(names, counts, strict=True) if count < 2]:
        raise InputError(
            f"expected two training samples or more of every class, found {few(rare)}; add some, or leave its samples "
            "out (in a table: empty their labels)"
        )


def _check_groups(rows: dict[str, Tensor], groups: Sequence[str]) -> None:
    home: dict[str, str] = {}
    for part, inside in rows.items():
        for group in _taken(groups, inside):
            if home.setdefault(group, part) != part:
                raise InputError(
                    f"expected every group in one part only, found group '{group}' in {home[group]} and "
                    f"{part}; correct the split"
                )


def _taken(values: Sequence[str], rows: Tensor) -> Iterable[str]:
    return dict.fromkeys(values[row] for row in rows.tolist())
