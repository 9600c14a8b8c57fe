"""What figures and page are made from: runs by method, and their comparison, made once."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from metaux.evidence.comparison import Comparison, by_method, compare_runs
from metaux.evidence.verdict import Verdict, judge
from metaux.labels.sources import CLASSICAL, entry
from metaux.runs.record import Run

RANK = {"method": 0, "outside": 1, "control": 2, "classical": 3}


@dataclass(frozen=True)
class Search:
    """What a search says beside the comparison that tests what it found.

    Args:
        columns: of what it tried on validation data.
        tried: the best configuration of each row there, in words.
        command: the command line that makes it again.
        missed: what there was no time for, and with how many minutes there would be.
    """

    columns: Sequence[str]
    tried: Sequence[Sequence[str]]
    command: str
    missed: Sequence[str] = ()


@dataclass(frozen=True)
class Recorded:
    """Finished runs of one comparison, or a single one.

    Args:
        runs: those that the comparison was made of.
        comparison: of them.
        verdict: on it.
        single: whether this is the report of one run, not of a comparison.
        search: that the comparison is the test of, if it is.
    """

    runs: Sequence[Run]
    comparison: Comparison
    verdict: Verdict
    single: bool = False
    search: Search | None = None

    @classmethod
    def of(cls, runs: Sequence[Run], single: bool = False) -> "Recorded":
        """Compare the runs."""
        comparison = compare_runs(runs)
        return cls(runs, comparison, judge(comparison), single)

    @property
    def used(self) -> str:
        """The row that the verdict says to use; of one run its own."""
        return self.runs[0].method if self.single else self.verdict.row

    @cached_property
    def by_method(self) -> dict[str, list[Run]]:
        """The runs of each method, ascending by seed, in the order of the comparison."""
        return by_method(self.runs)

    @property
    def networks(self) -> dict[str, list[Run]]:
        """The runs of each method that trained a network, epoch by epoch."""
        return {name: runs for name, runs in self.by_method.items() if name not in CLASSICAL}

    @property
    def class_names(self) -> list[str]:
        """The names of the primary classes."""
        return [str(name) for name in self.runs[0].result["class_names"]]

    @cached_property
    def ranked(self) -> list[str]:
        """The methods other than single, those to be judged first, and of these the best first.

        By the difference to single where there is one, else by accuracy; single itself if it is alone.
        """

        def place(method: str) -> tuple[int, float]:
            row = self.comparison.row(method)
            assert row is not None
            single = row.differences.get("single")
            return RANK[row.role], -(single.seeds.mean if single else row.accuracy.mean)

        return sorted((name for name in self.by_method if name != "single"), key=place) or list(self.by_method)


def subclass_name(run: Run, primary: int, slot: int) -> str:
    """Return the name that `metaux labels` gives a sub-class, by its class and its slot in it, from 0."""
    if entry(run.method).names_subclasses:
        model = run.result["model"]
        return str(model["subclass_names"][sum(model["slots"][:primary]) + slot])
    return f"{run.result['class_names'][primary]}/{slot}"
