"""What did it invent? For each class its sub-classes: how much each is used, its most typical samples, and whether
people would have drawn the same lines."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from metaux.evidence.statistics import Estimate, mean_over_seeds
from metaux.labels.sources import entry
from metaux.report.parts import Table, rounded
from metaux.report.recorded import Recorded, subclass_name
from metaux.runs.record import Run

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

MOST_METHODS = 3
MOST_CLASSES = 100
MOST_SUBCLASSES = 12
MOST_SAMPLES = 8
MOST_PICTURES = 3000  # of at most 64 x 64 pixels, about 7 MB
MOST_HUMAN = 30


@dataclass(frozen=True)
class Subclass:
    """One sub-class of a class.

    Args:
        slot: its place in the class, from 0.
        name: as `metaux labels` has it.
        used: how many training samples have it as their most probable one.
        share: the same, of the class's samples.
        probability: what their labels give it, on average; None if it isn't used.
        typical: ids of the training samples that have most of it, with their label's probability.
        human: how many of its samples are of each human sub-class, in the order of `Invention.human`.
    """

    slot: int
    name: str
    used: int
    share: float
    probability: float | None
    typical: Sequence[tuple[int, float]]
    human: Sequence[int]


@dataclass(frozen=True)
class Invention:
    """The sub-classes of one class.

    Args:
        name: the class.
        count: its training samples.
        subclasses: the most used ones first.
        left_out: further ones, that no room is left for.
        unused: how many are the most probable one of no sample.
        human: the names of the human sub-classes that its samples belong to, the largest first.
        human_left_out: further ones.
    """

    name: str
    count: int
    subclasses: Sequence[Subclass]
    left_out: int
    unused: int
    human: Sequence[str]
    human_left_out: int


@dataclass(frozen=True)
class Invented:
    """What one method invented, in one of its runs.

    Args:
        method: its name.
        seed: the run's.
        classes: its classes, no more than fit.
        left_out: further classes.
        agreement: with human sub-classes at the end of training, over seeds; None without those.
        subclasses: how many each class has.
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
        own = [sub.probability for each in self.classes for sub in each.subclasses]
        return all(value is None or value > 0.999 for value in own)

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


def tables(inventions: Sequence[Invented]) -> list[Table]:
    """Return all numbers, and the matrices of invented and human sub-classes where there are human ones."""
    found = [(each, own, sub) for each in inventions for own in each.classes for sub in own.subclasses]
    of = ("method", "seed", "class", "subclass")
    made = []
    if inventions:
        rows: list[tuple[object, ...]] = [
            (each.method, each.seed, own.name, sub.name, sub.used, rounded(sub.share), rounded(sub.probability))
            for each, own, sub in found
        ]
        made.append(Table("sub-classes", (*of, "used_by", "share", "mean_probability"), rows))
    if any(each.agreement for each in inventions):
        rows = [
            (each.method, each.seed, own.name, sub.name, name, count)
            for each, own, sub in found
            for name, count in zip(own.human, sub.human, strict=True)
        ]
        made.append(Table("human-sub-classes", (*of, "human_subclass", "samples"), rows))
    return made


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


def _of_class(run: Run, number: int, labels: "Array", ids: "Array", human: "Array | None", samples: int) -> Invention:
    import numpy as np

    names = run.result.get("model", {}).get("subclass_names")
    top = labels.argmax(-1)
    used = np.bincount(top, minlength=labels.shape[1])
    order = np.argsort(-used, kind="stable")
    kept = [int(slot) for slot in order[:MOST_SUBCLASSES] if used[slot]]
    kinds, counts = (np.array([], int), np.array([], int)) if human is None else np.unique(human, return_counts=True)
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
        count=len(labels),
        subclasses=subclasses,
        left_out=int((used > 0).sum()) - len(kept),
        unused=int((used == 0).sum()),
        human=[str(names[kind]) if names else f"human {kind}" for kind in largest],
        human_left_out=len(kinds) - len(largest),
    )
