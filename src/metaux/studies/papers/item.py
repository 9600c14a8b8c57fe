"""What an experiment of the papers is to this package: what it needs, and how it is drawn."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from metaux.evidence import statistics
from metaux.evidence.comparison import Comparison, compare_runs
from metaux.evidence.statistics import Estimate
from metaux.protocols import PROTOCOLS
from metaux.runs.record import Run
from metaux.studies.papers.datasets import Bed
from metaux.studies.papers.runs import Need
from metaux.studies.papers.scales import Scale
from metaux.words import counted

# What may differ between the lines of one panel: they stay comparable, seed by seed.
VARY = (
    *("auxiliary", "subclasses", "features", "embedding", "protocol", "entropy_weight", "focal_gamma"),
    *("generator_learning_rate", "meta_gradient", "pretrained"),
    # Runs are found by their content, of which these are no part: the name of the data is, its place is not.
    *("data", "root", "device", "threads", "processes"),
)


@dataclass(frozen=True)
class Findings:
    """What an experiment has to draw from.

    Args:
        panels: the finished runs of each panel, their methods being the labels of the figure.
        titles: what data each panel is on.
        notes: what could not be run, in words.
        scale: at which they ran.
        device: on which to measure what is not a run.
        folder: where figure and numbers go.
    """

    panels: Mapping[str, Sequence[Run]]
    titles: Mapping[str, str]
    notes: tuple[str, ...]
    scale: Scale
    device: str
    folder: Path

    def comparisons(self) -> dict[str, Comparison]:
        """Return the methods of each panel side by side."""
        return {panel: compare_runs(runs, vary=VARY) for panel, runs in self.panels.items()}

    def setting(self) -> str:
        """Return what the runs were made of, for a figure."""
        runs = [run for found in self.panels.values() for run in found]
        seeds = sorted({len({run.seed for run in found}) for found in self.panels.values()})
        images = sorted({run.train_size for run in runs})
        epochs = sorted({len(run.epochs) for run in runs})
        data = list(dict.fromkeys(self.titles[panel] for panel in self.panels))
        counts = [_range(images, "training image"), _range(epochs, "epoch"), _range(seeds, "seed")]
        return f"{'; '.join(data)}: {', '.join(counts)}\n{self.scale.name} scale: {self.scale.says}"


@dataclass(frozen=True)
class Item:
    """One experiment.

    Args:
        name: what the command line calls it.
        shows: what it shows, in one line.
        claim: what the papers print about it; empty where they print nothing.
        needs: the lines of its figure at a scale, given where data is; none if nothing has to be trained.
        draw: writes figure and numbers; returns a paragraph that sets them beside the claim.
    """

    name: str
    shows: str
    claim: str
    needs: Callable[[Scale, str], list[Need]]
    draw: Callable[[Findings], str]


def need(panel: str, label: str, method: str, bed: Bed, scale: Scale, protocol: str, **values: object) -> Need:
    """Return one line of a figure, made so that what is the same run for several figures looks the same.

    Single task has no sub-classes, and a value that is the protocol's own is left to it.
    """
    own = asdict(PROTOCOLS[protocol])
    settings = scale.settings(bed.settings, protocol, **{k: v for k, v in values.items() if own.get(k) != v})
    if method == "single":
        settings = replace(settings, auxiliary=None, subclasses=None)
    return Need(panel, label, method, settings, bed)


def paired(runs: Sequence[Run], first: str, second: str) -> Estimate | None:
    """Return how much more accurate one label's runs are than another's, seed by seed; None if they share none."""
    own, theirs = ({run.seed: run.accuracy for run in runs if run.method == label} for label in (first, second))
    differences = statistics.paired(own, theirs)
    return statistics.mean_over_seeds(differences) if differences else None


def nothing(scale: Scale, root: str) -> list[Need]:  # noqa: ARG001
    """Return the needs of an experiment that trains nothing."""
    return []


def _range(values: Sequence[int], noun: str) -> str:
    return counted(values[0], noun) if len(values) == 1 else f"{values[0]:,} to {values[-1]:,} {noun}s"
