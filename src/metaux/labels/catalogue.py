"""What each label source is there for, and what it is judged against; known without loading any of them."""

from dataclasses import dataclass
from typing import Literal

Role = Literal["control", "method", "outside"]

# All others are compared with these: no auxiliary task, one without information, an untrained generator's labels.
REFERENCES = ("single", "uniform", "frozen")
# Whose sub-classes are those that the data names; others' are numbered.
NAMED = ("human", "prototypical")
ANY_KIND = ("image", "table", "text", "other")


@dataclass(frozen=True)
class Entry:
    """What is known of a label source.

    Args:
        role: `control`, `method`, or `outside` for labels that a person, or a network trained on other data, brings:
            what they gain, no method has invented.
        control: of its own, which a gain has to beat besides `REFERENCES`.
        shuffled: its control without information, for the contest; empty where that is made of its recorded labels.
        kinds: of the data that it can run on.
        default: a comparison runs it without being asked. Others need other data, labels or another run, cost several
            times as much, or are an open question.
    """

    role: Role = "method"
    control: str = ""
    shuffled: str = ""
    kinds: tuple[str, ...] = ANY_KIND
    default: bool = False


_IMAGES = ("image",)
_CONTROL, _CONTROL_OF_IMAGES = Entry("control"), Entry("control", kinds=_IMAGES)
ENTRIES = {
    "single": Entry("control", default=True),
    "uniform": Entry("control", default=True),
    "frozen": Entry("control", default=True),
    "random": Entry("control", default=True),
    "kmeans": Entry(default=True),
    "balanced": Entry(),
    "leaves": Entry(kinds=("table",)),
    "maxl": Entry(default=True),
    "vector": Entry(control="frozen-vector"),
    "frozen-vector": _CONTROL,
    "transformation": Entry(control="transformed", shuffled="transformation-shuffled", kinds=_IMAGES, default=True),
    "transformed": Entry("control", kinds=_IMAGES, default=True),
    "transformation-shuffled": _CONTROL_OF_IMAGES,
    "rotation": Entry(control="rotated", shuffled="rotation-shuffled", kinds=_IMAGES),
    "rotated": _CONTROL_OF_IMAGES,
    "rotation-shuffled": _CONTROL_OF_IMAGES,
    "rotation-single": Entry(control="rotated-single", kinds=_IMAGES),
    "rotated-single": _CONTROL_OF_IMAGES,
    "distilled": Entry(control="self-distilled"),
    "self-distilled": _CONTROL,
    "distilled-cross": Entry(control="self-distilled-cross"),
    "self-distilled-cross": _CONTROL,
    "recorded": Entry(control="shuffled"),
    "shuffled": _CONTROL,
    "human": Entry("outside", default=True),
    "given": Entry("outside"),
    "prototypical": Entry("outside"),
}

# In place of a name: what beat single task and all controls on most of the contest's beds of that kind; else single
# task.
AUTO = "auto"
_BEST = {"image": "transformation"}


def best(kind: str) -> str:
    """Return the label source that did best on data of a kind; single task where none was shown to help.

    >>> best("image"), best("table")
    ('transformation', 'single')
    """
    return _BEST.get(kind, "single")


def entry(method: str) -> Entry:
    """Return what is known of a label source; a variant `single-split` is what `single` is, and a new one a method.

    >>> entry("uniform-split").role, entry("mine").role, entry("human").role
    ('control', 'method', 'outside')
    """
    return ENTRIES.get(method.removesuffix("-split"), Entry())


def judges(method: str) -> tuple[str, ...]:
    """Return all that a label source has to beat, other than itself.

    >>> judges("distilled")
    ('single', 'uniform', 'frozen', 'self-distilled')
    """
    return tuple(name for name in (*REFERENCES, entry(method).control) if name not in (method, ""))
