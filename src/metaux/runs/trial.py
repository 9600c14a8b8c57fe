"""One run to do, or done: the one class that every command, study and record names it by."""

from dataclasses import dataclass, replace
from typing import Any

from metaux.protocols import Protocol, resolve
from metaux.settings import Settings


@dataclass(frozen=True)
class Trial:
    """A run: equal settings, method and seed give equal weights, whatever command asks for them.

    Args:
        settings: what the run is made of.
        method: the label source's name.
        seed: of everything random.
        seconds: what an epoch is expected to take; where nobody knows, any unit that all trials have in common.

    >>> Trial(Settings(), "maxl", seed=0).changed(epochs=3).protocol.epochs
    3
    """

    settings: Settings
    method: str
    seed: int
    seconds: float = 1.0

    @property
    def protocol(self) -> Protocol:
        """The training protocol, with the values that the settings override."""
        return resolve(self.settings)

    def changed(self, **values: Any) -> "Trial":
        """Return the trial with other settings."""
        return replace(self, settings=replace(self.settings, **values))
