"""What the benchmark is made of, as data: its rows, what each is compared with, and how much tuning each gets."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from metaux.errors import choose
from metaux.labels.sources import ANY_KIND, CLASSICAL, REFERENCES, Role, entry
from metaux.runs.pretrained import RATE
from metaux.runs.trial import Trial
from metaux.settings import Settings, as_words
from metaux.words import shell_command


@dataclass(frozen=True)
class Entrant:
    """One row of the benchmark's table.

    Args:
        name: what the table calls it.
        method: the label source's name.
        changes: settings that differ from the data set's.
        role: that of the label source.
        pretrained: it brings in outside data by a pretrained network, and takes part only where it is named.
        controls: rows that it is compared with, besides single task, uniform, frozen and its own labels shuffled.
        kinds: of the data that it can run on.
    """

    name: str
    method: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    role: Role = "method"
    pretrained: bool = False
    controls: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ANY_KIND

    @property
    def classical(self) -> bool:
        """Whether it is a classical model, which has no configurations to try."""
        return self.role == "classical"

    def trial(self, data_set: Settings, **values: Any) -> Trial:
        """Return its run with the first seed, with the settings of a data set, its own, and these values."""
        return Trial(data_set, self.method, 0).changed(**self.changes, **values)

    def on_validation(self, data_set: Settings, **values: Any) -> Trial:
        """Return the same on validation data."""
        return self.trial(data_set, **values, evaluate_on="validation")

    def in_words(self) -> str:
        """Return the label source and the settings that differ from the data set's, as a command line has them.

        >>> Entrant("apart", "transformation", {"views": "apart"}).in_words()
        'transformation --views apart'
        """
        return shell_command([self.method, *as_words(self.changes)[1:]])


SINGLE, HUMAN = "single", "human"
# The settings that are tried on validation data.
TUNED = ("learning_rate", "weight_decay")
_IMAGES = ("image",)
_TRANSFORMED = ("transformed", "transformation", "transformation-shuffled")
_FEATURES = {"features": "efficientnet-lite0"}
_FINE_TUNED = {"backbone": "timm:efficientnet_lite0", "pretrained": True}


def _rows(*methods: str) -> tuple[Entrant, ...]:
    """Return a row for each of these label sources, as it is."""
    known = {name: entry(name) for name in methods}
    controls = {name: tuple(filter(None, (own.control, own.shuffled))) for name, own in known.items()}
    return tuple(
        Entrant(name, name, {}, own.role, own.uses_outside_data, controls[name], own.kinds)
        for name, own in known.items()
    )


def _changed(
    suffix: str, changes: Mapping[str, Any], methods: tuple[str, ...], more: tuple[str, ...] = ()
) -> tuple[Entrant, ...]:
    """Return rows on images for these label sources with these changes.

    What has controls is compared with the same ones, changed likewise, and with the rows `more`.
    """

    def controls(row: Entrant) -> tuple[str, ...]:
        return (*(f"{control} {suffix}" for control in row.controls), *more) if row.controls else ()

    return tuple(
        replace(row, name=f"{row.name} {suffix}", changes=changes, controls=controls(row), kinds=_IMAGES)
        for row in _rows(*methods)
    )


# What an auxiliary head does by itself where its loss counts twice.
_TWICE = _changed("weight 2", {"auxiliary_weight": 2.0}, REFERENCES[1:])
ENTRANTS = (
    *_rows(*REFERENCES, "maxl", "kmeans", "balanced"),
    Entrant("balanced, contrastive", "balanced", {"features": "contrastive"}, kinds=_IMAGES),
    *_rows("leaves", *_TRANSFORMED),
    *_changed("apart", {"views": "apart", "auxiliary_weight": 2.0}, _TRANSFORMED, tuple(row.name for row in _TWICE)),
    *_TWICE,
    *_rows("rotated", "rotation", "rotation-shuffled", "rotated-single", "rotation-single"),
    *_rows("self-distilled", "distilled", "self-distilled-cross", "distilled-cross", HUMAN),
    Entrant("kmeans, pretrained", "kmeans", _FEATURES, "outside", True, controls=("linear-probe",), kinds=_IMAGES),
    Entrant("fine-tuned", SINGLE, _FINE_TUNED, "outside", True, kinds=_IMAGES),
    *_rows(*CLASSICAL),
)


@dataclass(frozen=True)
class Rules:
    """The same for every row.

    Args:
        learning_rates: that are tried on validation data, with every one of `weight_decays`.
        weight_decays: likewise.
        tuning_seeds: runs of each such configuration.
        pilot_seeds: runs of the chosen configuration on validation data, from whose spread the number of seeds follows.
        least_seeds: to measure with on test data, at least.
        most_seeds: likewise, at most.
        effect: the difference, as a fraction, that is to be shown with a power of 0.8.
        finalists: how many methods single task is also run against at equal compute.
    """

    learning_rates: tuple[float, ...] = (0.04, 0.12)
    weight_decays: tuple[float, ...] = (5e-4, 2e-3)
    tuning_seeds: int = 1
    pilot_seeds: int = 3
    least_seeds: int = 4
    most_seeds: int = 8
    effect: float = 0.01
    finalists: int = 2

    def grid_of(self, data_set: Settings) -> tuple[dict[str, float], ...]:
        """Return every configuration that is tried on a data set; a pretrained network learns at smaller rates."""
        factor = RATE if data_set.from_weights else 1.0
        return tuple(
            dict(zip(TUNED, (rate * factor, decay), strict=True))
            for rate in self.learning_rates
            for decay in self.weight_decays
        )


def entered(names: tuple[str, ...]) -> tuple[Entrant, ...]:
    """Return the rows of these names with the controls that they are compared with.

    Args:
        names: of rows; if there are none, all but the pretrained ones.

    Raises:
        InputError: for an unknown name.

    >>> [entrant.name for entrant in entered(("rotation",))]
    ['single', 'uniform', 'frozen', 'rotated', 'rotation', 'rotation-shuffled']
    """
    by_name = {entrant.name: entrant for entrant in ENTRANTS}
    for name in names:
        choose("method", name, by_name)
    named = names or [name for name, row in by_name.items() if not row.pretrained]
    wanted = {*REFERENCES, *named, *(control for name in named for control in by_name[name].controls)}
    return tuple(entrant for entrant in ENTRANTS if entrant.name in wanted)
