"""What an experiment of the papers is to this package: the runs it needs, and how it is drawn."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from metaux.labels.sources import ON_SPLIT
from metaux.protocols import PROTOCOLS
from metaux.runs.record import Run
from metaux.runs.store import Store
from metaux.runs.trial import Trial
from metaux.settings import Settings
from metaux.studies.papers.claims import Part
from metaux.studies.papers.datasets import DataSet, data_set
from metaux.studies.papers.estimate import Clock
from metaux.studies.papers.findings import Findings
from metaux.studies.papers.scales import Scale

# Labels of a figure, and the methods behind them. The submission trains its baselines on all samples, MAXL and
# prototypical without the meta split. Controls that no paper ran are on the samples that MAXL's network trains on.
ON_SAMPLES_OF_MAXL = {"uniform": ON_SPLIT["uniform"], "frozen": ON_SPLIT["frozen"], "single-split": ON_SPLIT["single"]}
METHODS = {
    **{name: name for name in ("single", "random", "prototypical", "kmeans", "maxl", "human")},
    **ON_SAMPLES_OF_MAXL,
}
# Settings that a method has wherever the papers run it.
OF_A_METHOD = {"kmeans": {"features": "autoencoder"}}


@dataclass(frozen=True)
class Line:
    """One line of a figure: a method under one configuration, run with every seed.

    Args:
        panel: the part of the figure that it belongs to.
        label: what the figure calls it.
        method: the label source's name.
        settings: everything else.
        data: the data set that the settings name.
        seeds: at most so many seeds of it are run, if not all.
    """

    panel: str
    label: str
    method: str
    settings: Settings
    data: DataSet
    seeds: int | None = None

    def trial(self, seed: int) -> Trial:
        """Return its run with a seed."""
        return Trial(self.settings, self.method, seed)


Lines = Callable[[Scale, str], list[Line]]


@dataclass(frozen=True)
class Item:
    """One experiment.

    Args:
        name: what the command line calls it.
        shows: what it shows, in one line.
        claim: what the papers print about it; empty where they print nothing.
        lines: of its figure at a scale, given where data is; none if nothing has to be trained.
        draw: writes figure and numbers; returns a paragraph that sets them beside the claim.
        claims: what the claim is broken down into: the comparisons of each part.
    """

    name: str
    shows: str
    claim: str
    lines: Lines
    draw: Callable[[Findings], str]
    claims: Callable[[Findings], Mapping[str, Sequence[Part]]] = lambda _: {}


def line(panel: str, label: str, method: str, data: DataSet, scale: Scale, protocol: str, **values: Any) -> Line:
    """Return one line of a figure: the protocol as published, but for `values`, and all of that at a scale.

    What is the same run for several figures looks the same: single task has no sub-classes, and a value that is the
    protocol's own is left to it.
    """
    published = asdict(PROTOCOLS[protocol])
    varied = replace(PROTOCOLS[protocol], **{name: value for name, value in values.items() if name in published})
    wanted = {"backbone": "vgg16", **OF_A_METHOD.get(method, {}), **values, **scale.settings(varied)}
    own = {name: value for name, value in wanted.items() if published.get(name) != value}
    settings = replace(data.settings, protocol=protocol, **own)
    if method in ("single", ON_SPLIT["single"]):
        settings = replace(settings, auxiliary=None, subclasses=None)
    return Line(panel, label, method, settings, data)


def pair_title(primary: str, auxiliary: str) -> str:
    """Return how figures call a pair of CIFAR-100's levels.

    >>> pair_title("20", "100")
    'primary 20, auxiliary 100'
    """
    return f"primary {primary}, auxiliary {auxiliary}"


def on_pairs(*pairs: tuple[str, str], methods: Mapping[str, str] = METHODS) -> Lines:
    """Return the lines of methods on pairs of CIFAR-100's levels, a panel each.

    Args:
        pairs: the level to classify, and the one that gives the sub-classes.
        methods: by the label of the figure.
    """

    def lines(scale: Scale, root: str) -> list[Line]:
        return [
            line(pair_title(*pair), label, method, data, scale, "iclr")
            for pair in pairs
            for data in [data_set("cifar100", scale, root, *pair)]
            for label, method in methods.items()
        ]

    return lines


def nothing(scale: Scale, root: str) -> list[Line]:  # noqa: ARG001
    """Return the lines of an experiment that trains nothing."""
    return []


def of_seeds(lines: Iterable[Line], seeds: int) -> Iterator[tuple[Line, Trial]]:
    """Yield each line with its run with each seed, early seeds first: what is stopped halfway has whole seeds."""
    for seed in range(seeds):
        for line in lines:
            if line.seeds is None or seed < line.seeds:
                yield line, line.trial(seed)


def trials(lines: Iterable[Line], seeds: int, store: Store, clock: Clock) -> list[Trial]:
    """Return the runs behind lines; those that are missing know what they take.

    Early seeds come first, and within a seed long runs.
    """
    every = [trial for _, trial in of_seeds(lines, seeds)]
    todo = store.missing(every)
    timed = [clock.timed(trial) if store.folder(trial) in todo else trial for trial in every]
    return sorted(timed, key=lambda t: (t.seed, t.settings.data, -t.seconds * t.protocol.epochs))


def finished(lines: Iterable[Line], seeds: int, store: Store) -> Mapping[str, list[Run]]:
    """Return the finished runs of each panel under the labels of the figure, in the order of the lines."""
    panels: dict[str, list[Run]] = {}
    for line in lines:
        runs = store.found(trial for _, trial in of_seeds([line], seeds))
        panels.setdefault(line.panel, []).extend(run.labelled(line.label) for run in runs)
    return {panel: runs for panel, runs in panels.items() if runs}
