"""What did it invent? For each class its sub-classes: how much each is used, its most typical samples, and whether
people would have drawn the same lines."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from metaux.evidence.statistics import Estimate, mean_over_seeds
from metaux.labels.sources import entry
from metaux.report.parts import Rows
from metaux.report.recorded import Recorded, subclass_name
from metaux.runs.record import Run

MOST_METHODS = 3
MOST_CLASSES = 100
MOST_SUBCLASSES = 12
MOST_SAMPLES = 8
MOST_PICTURES = 3000  # of at most 64 x 64 pixels, about 7 MB
MOST_HUMAN = 30


class Subclass(NamedTuple):
    """One sub-class of a class, `slot` counting from 0, under the name that `metaux labels` has for it.

    `used` training samples, `share` of the class's, have it as their most probable one, and their labels give it
    `probability` on average. `typical` are ids of those that have most of it, with the probability. `human` counts its
    samples by human sub-class, in the order of `Invention.human`.
    """

    slot: int
    name: str
    used: int
    share: float
    probability: float
    typical: Sequence[tuple[int, float]]
    human: Sequence[int]


class Invention(NamedTuple):
    """The sub-classes of one class, which has so many training samples; the most used ones first.

    `left_out` counts used ones that no room is left for, `unused` those that are the most probable one of no sample.
    `human` names the human sub-classes of its samples, the largest first, without `human_left_out` smaller ones.
    """

    name: str
    samples: int
    subclasses: Sequence[Subclass]
    left_out: int
    unused: int
    human: Sequence[str]
    human_left_out: int


class Invented(NamedTuple):
    """What one method invented, in one of its runs: its classes, but for `left_out`, of up to `subclasses` each.

    `agreement` is that with human sub-classes at the end of training, over seeds; None without those.
    """

    method: str
    seed: int
    classes: Sequence[Invention]
    left_out: int
    agreement: Estimate | None
    subclasses: int

    @property
    def hard(self) -> bool:
        """Whether each sample's label is wholly one sub-class."""
        return all(sub.probability > 0.999 for each in self.classes for sub in each.subclasses)

    def ids(self) -> set[int]:
        """Return the training samples that are shown."""
        return {id_ for each in self.classes for sub in each.subclasses for id_, _ in sub.typical}


def invented(recorded: Recorded, most_pictures: int = MOST_PICTURES) -> list[Invented]:
    """Return what each method found by itself; nothing for those whose labels a person gave, or chance.

    Args:
        recorded: the runs.
        most_pictures: how many samples all methods together show; of many sub-classes each shows fewer than 8.
    """
    runs = [recorded.by_method[method][0] for method in recorded.ranked if entry(method).role == "method"]
    runs = [run for run in runs if "train_labels" in run.outputs()][:MOST_METHODS]
    return [_of_run(run, recorded, most_pictures // len(runs)) for run in runs]


def tables(inventions: Sequence[Invented]) -> dict[str, Rows]:
    """Return all numbers, and the matrices of invented and human sub-classes where there are human ones."""
    found = [
        ({"method": each.method, "seed": each.seed, "class": own.name, "subclass": sub.name}, own, sub)
        for each in inventions
        for own in each.classes
        for sub in own.subclasses
    ]
    own_table = [
        of | {"used_by": sub.used, "share": sub.share, "mean_probability": sub.probability} for of, _, sub in found
    ]
    human_table = [
        of | {"human_subclass": name, "samples": count}
        for of, own, sub in found
        for name, count in zip(own.human, sub.human, strict=True)
    ]
    return {name: rows for name, rows in {"sub-classes": own_table, "human-sub-classes": human_table}.items() if rows}


def _of_run(run: Run, recorded: Recorded, room: int) -> Invented:
    labels, primary, ids = (run.output(f"train_{name}") for name in ("labels", "primary", "ids"))
    human = run.output("train_human") if "train_human" in run.outputs() else None
    model = run.result.get("model", {})
    slots = model.get("slots") or [labels.shape[1]] * len(recorded.class_names)
    last = [own.curve("label_human_nmi")[-1] for own in recorded.by_method[run.method]]
    shown = sum(min(count, MOST_SUBCLASSES) for count in slots[:MOST_CLASSES])
    samples = max(1, min(MOST_SAMPLES, room // shown))
    classes = []
    for number in range(len(recorded.class_names[:MOST_CLASSES])):
        rows = primary == number
        own = None if human is None else human[rows]
        found = labels[rows][:, : slots[number]].astype("float64")
        classes.append(_of_class(run, number, found, ids[rows], own, samples))
    return Invented(
        method=run.method,
        seed=run.seed,
        classes=classes,
        left_out=max(0, len(recorded.class_names) - MOST_CLASSES),
        agreement=mean_over_seeds(last) if human is not None and all(value == value for value in last) else None,
        subclasses=max(slots),
    )


def _of_class(
    run: Run, number: int, labels: NDArray[Any], ids: NDArray[Any], human: NDArray[Any] | None, samples: int
) -> Invention:
    names = run.result.get("model", {}).get("subclass_names")
    top = labels.argmax(-1)
    used = np.bincount(top, minlength=labels.shape[1])
    order = np.argsort(-used, kind="stable")
    kept = [int(slot) for slot in order[:MOST_SUBCLASSES] if used[slot]]
    known = np.array([], int) if human is None else human[human >= 0]
    kinds, counts = np.unique(known, return_counts=True)
    largest = kinds[np.argsort(-counts, kind="stable")][:MOST_HUMAN]
    subclasses = []
    for slot in kept:
        inside = np.flatnonzero(top == slot)
        typical = inside[np.argsort(-labels[inside, slot], kind="stable")][:samples]
        subclasses.append(
            Subclass(
                slot=slot,
                name=subclass_name(run, number, slot),
                used=len(inside),
                share=len(inside) / max(len(labels), 1),
                probability=float(labels[inside, slot].mean()),
                typical=[(int(ids[row]), float(labels[row, slot])) for row in typical],
                human=[] if human is None else [int((human[inside] == kind).sum()) for kind in largest],
            )
        )
    return Invention(
        name=str(run.result["class_names"][number]),
        samples=len(labels),
        subclasses=subclasses,
        left_out=int((used > 0).sum()) - len(kept),
        unused=int((used == 0).sum()),
        human=[str(names[kind]) if names else f"human {kind}" for kind in largest],
        human_left_out=len(kinds) - len(largest),
    )
