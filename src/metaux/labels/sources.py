"""The table of label sources: what each name on the command line stands for, and what it is compared with.

The table is read without loading torch: a source's own module is loaded when the source is asked for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from metaux.hierarchy import Hierarchy
    from metaux.labels.base import LabelSource
    from metaux.protocols import Protocol

Role = Literal["control", "method", "outside", "classical"]
ANY_KIND = ("image", "table", "text", "other")
IMAGES = ("image",)


@dataclass(frozen=True)
class Entry:
    """What is known of a label source without loading it; calling it makes the source.

    Args:
        source: its class, as `module:Class` in `metaux.labels`.
        role: `control`, `method`, `outside` for labels that a person, or a network trained on other data, brings, or
            `classical` for a classifier of scikit-learn, which has no label source.
        control: a control of its own, which a gain has to beat besides `REFERENCES`.
        shuffled: its control without information; empty where that is made of its recorded labels.
        kinds: the kinds of data that it can run on.
        default: a comparison runs it without being asked. Others need other data, labels or another run, cost several
            times as much, or are an open question.
        asks: what it needs besides the classes: `human` (finer labels, which become its sub-classes), `given` (labels
            of another kind) or `run` (a finished run whose labels it learns).
        uninformed: of the controls for all methods, why their labels hold nothing that was learned: `blind` ones ignore
            the sample, and an `untrained` network's depend on it.
        gives_up_split: it gives up a meta split without using it: what the smaller training set alone does.
        options: what the class is called with besides hierarchy and protocol.
        uses_outside_data: it stands on a network that was trained on other data.
    """

    source: str
    role: Role = "method"
    control: str = ""
    shuffled: str = ""
    kinds: tuple[str, ...] = ANY_KIND
    default: bool = False
    asks: Literal["", "human", "given", "run"] = ""
    uninformed: Literal["", "blind", "untrained"] = ""
    gives_up_split: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    uses_outside_data: bool = False

    @property
    def source_class(self) -> "type[LabelSource]":
        """The class of the source, loaded with its module."""
        found: type[LabelSource] = resolve_name(f"metaux.labels.{self.source}")
        return found

    @property
    def names_subclasses(self) -> bool:
        """Whether its sub-classes are those that the data names; others' are numbered."""
        return self.asks == "human"

    def needs_meta_split(self, protocol: "Protocol") -> bool:
        """Return whether a part of the training data is split off before the source is made."""
        return self.gives_up_split or self.source_class.needs_meta_split(protocol)

    def __call__(self, hierarchy: "Hierarchy", protocol: "Protocol") -> "LabelSource":
        """Make the source."""
        return self.source_class(hierarchy, protocol, **self.options)


_CLASS_ALONE, _SHUFFLED, _CROSS = {"joint": False}, {"shuffled": True}, {"cross": True}
_BY_HEAD, _FROM_VIEWS = {"prediction": "head"}, {"prediction": "distilled"}
_SOURCES = {
    "single": Entry("controls:Single", "control", default=True),
    "uniform": Entry("controls:Uniform", "control", default=True, uninformed="blind"),
    "random": Entry("controls:Random", "control", default=True, uninformed="blind"),
    "frozen": Entry("controls:Frozen", "control", default=True, uninformed="untrained"),
    "kmeans": Entry("kmeans:KMeans", default=True),
    "prototypical": Entry("prototypical:Prototypical", "outside", asks="human"),
    "human": Entry("given:Human", "outside", default=True, asks="human"),
    "given": Entry("given:Given", "outside", asks="given"),
    "maxl": Entry("maxl:Maxl", default=True),
    "unrolled": Entry("unrolled:Unrolled"),
    "unrolled-shuffled": Entry("unrolled:Unrolled", "control", options=_SHUFFLED),
    "vector": Entry("vector:Vector", control="frozen-vector"),
    "frozen-vector": Entry("vector:FrozenVector", "control"),
    "transformation": Entry(
        "transformation:Transformation",
        control="transformed",
        shuffled="transformation-shuffled",
        kinds=IMAGES,
        default=True,
    ),
    "transformation-shuffled": Entry("transformation:Transformation", "control", kinds=IMAGES, options=_SHUFFLED),
    "transformed": Entry("transformation:Transformation", "control", kinds=IMAGES, default=True, options=_CLASS_ALONE),
    "rotation": Entry("rotation:Rotation", control="rotated", shuffled="rotation-shuffled", kinds=IMAGES),
    "rotation-single": Entry("rotation:Rotation", control="rotated-single", kinds=IMAGES, options=_BY_HEAD),
    "rotation-shuffled": Entry("rotation:Rotation", "control", kinds=IMAGES, options=_SHUFFLED),
    "rotated": Entry("rotation:Rotation", "control", kinds=IMAGES, options=_CLASS_ALONE),
    "rotated-single": Entry("rotation:Rotation", "control", kinds=IMAGES, options=_CLASS_ALONE | _BY_HEAD),
    "rotation-distilled": Entry(
        "rotation:Rotation",
        control="rotated-distilled",
        shuffled="rotation-distilled-shuffled",
        kinds=IMAGES,
        options=_FROM_VIEWS,
    ),
    "rotation-distilled-shuffled": Entry("rotation:Rotation", "control", kinds=IMAGES, options=_FROM_VIEWS | _SHUFFLED),
    "rotated-distilled": Entry("rotation:Rotation", "control", kinds=IMAGES, options=_FROM_VIEWS | _CLASS_ALONE),
    "balanced": Entry("kmeans:KMeans", options={"balanced": True}),
    "leaves": Entry("leaves:Leaves", kinds=("table",)),
    "recorded": Entry("recorded:Recorded", control="shuffled", asks="run"),
    "shuffled": Entry("recorded:Recorded", "control", asks="run", options={"permuted": "samples"}),
    "permuted": Entry("recorded:Recorded", "control", asks="run", options={"permuted": "slots"}),
    "distilled": Entry("distilled:Distilled", control="self-distilled"),
    "distilled-cross": Entry("distilled:Distilled", control="self-distilled-cross", options=_CROSS),
    "self-distilled": Entry("self_distilled:SelfDistilled", "control"),
    "self-distilled-cross": Entry("self_distilled:SelfDistilled", "control", options=_CROSS),
    "null-space": Entry("null_space:NullSpace", control="self-distilled-cross", shuffled="null-space-shuffled"),
    "null-space-random": Entry("null_space:NullSpace", "control", options={"directions": "random"}),
    "null-space-shuffled": Entry("null_space:NullSpace", "control", options=_SHUFFLED),
}
# Each of these controls on the smaller training set, by its name there.
ON_SPLIT = {
    "single": "single-split",
    "uniform": "uniform-split",
    "frozen": "frozen-split",
    "shuffled": "shuffled-split",
    "frozen-vector": "frozen-vector-split",
}
SOURCES = _SOURCES | {split: replace(_SOURCES[name], gives_up_split=True) for name, split in ON_SPLIT.items()}
# What a user would pick instead, trained on the same samples (`metaux.runs.classical`).
CLASSICAL = {
    "logistic-regression": Entry("", "classical", kinds=("table", "text"), default=True),
    "gradient-boosting": Entry("", "classical", kinds=("table",), default=True),
    "linear-probe": Entry("", "classical", kinds=IMAGES, default=True, uses_outside_data=True),
}
METHODS = SOURCES | CLASSICAL
_UNKNOWN = Entry("base:LabelSource")

# All others are compared with these: no auxiliary task, one without information, an untrained generator's labels.
REFERENCES = ("single", "uniform", "frozen")
# In place of a name: what beat single task and all controls on most of the benchmark's data sets of that kind; else
# single task.
AUTO = "auto"
_BEST = {"image": "transformation"}


def best(kind: str) -> str:
    """Return the label source that did best on data of a kind; single task where none was shown to help.

    >>> best("image"), best("table")
    ('transformation', 'single')
    """
    return _BEST.get(kind, "single")


def entry(name: str) -> Entry:
    """Return what is known of a method; a label source that the table lacks counts as one to be judged.

    >>> entry("uniform-split").role, entry("mine").role, entry("human").role
    ('control', 'method', 'outside')
    """
    return METHODS.get(name, _UNKNOWN)


def baselines(name: str) -> tuple[str, ...]:
    """Return all that a label source has to beat, other than itself; a classical model is compared with single task.

    >>> baselines("distilled"), baselines("gradient-boosting")
    (('single', 'uniform', 'frozen', 'self-distilled'), ('single',))
    """
    if name in CLASSICAL:
        return REFERENCES[:1]
    return tuple(other for other in (*REFERENCES, entry(name).control) if other not in (name, ""))
