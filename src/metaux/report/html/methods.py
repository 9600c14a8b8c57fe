"""The runs of a report by method, and which of the methods the page looks at first."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from metaux.evidence.comparison import Comparison
from metaux.labels.sources import entry
from metaux.runs.record import Run

if TYPE_CHECKING:
    import numpy as np

RANK = {"method": 0, "outside": 1, "control": 2}


@dataclass(frozen=True)
class Search:
    """What a search says beside the comparison that tests what it found.

    Args:
        says: its verdict.
        columns: of what it tried on validation data.
        tried: the best configuration of each row there, in words.
        command: the command line that makes it again.
    """

    says: str
    columns: Sequence[str]
    tried: Sequence[Sequence[str]]
    command: str


@dataclass(frozen=True)
class Recorded:
    """What the page is made from: finished runs of one comparison, or a single one.

    Args:
        runs: those that the comparison was made of.
        comparison: of them.
        single: whether this is the report of one run, not of a comparison.
        search: that the comparison is the test of, if it is.
    """

    runs: Sequence[Run]
    comparison: Comparison
    single: bool = False
    search: Search | None = None

    @classmethod
    def of(cls, runs: Sequence[Run], single: bool = False) -> "Recorded":
        """Compare the runs."""
        return cls(runs, Comparison.of(runs), single)

    @property
    def methods(self) -> list[str]:
        """All methods, in the order of the comparison."""
        return [row.method for row in self.comparison.rows]

    @property
    def class_names(self) -> list[str]:
        """The names of the primary classes."""
        return [str(name) for name in self.runs[0].result["class_names"]]

    def of_method(self, method: str) -> list[Run]:
        """Return the runs of a method, ascending by seed."""
        return sorted((run for run in self.runs if run.method == method), key=lambda run: run.seed)

    def ranked(self) -> list[str]:
        """Return the methods other than single, those to be judged first, and of these the best first.

        By the difference to single where there is one, else by accuracy; single itself if it is alone.
        """

        def place(method: str) -> tuple[int, float]:
            row = self.comparison.row(method)
            assert row is not None
            single = row.differences.get("single")
            return RANK[entry(method).role], -(single.seeds.mean if single else row.accuracy.mean)

        return sorted((name for name in self.methods if name != "single"), key=place) or self.methods


def subclass_name(run: Run, primary: int, slot: int) -> str:
    """Return the name that `metaux labels` gives a sub-class, by its class and its slot in it, from 0."""
    if entry(run.method).names_subclasses:
        model = run.result["model"]
        return str(model["subclass_names"][sum(model["slots"][:primary]) + slot])
    return f"{run.result['class_names'][primary]}/{slot}"


def predicted(run: Run) -> "np.ndarray[Any, np.dtype[Any]]":
    """Return the class that the trained network gives each test sample, `[n_test]`."""
    classes: np.ndarray[Any, np.dtype[Any]] = run.output("test_probabilities").argmax(-1)
    return classes
