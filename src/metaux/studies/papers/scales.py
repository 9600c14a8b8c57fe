"""At which scale an experiment is run: the papers' own, or one for two CPU cores."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Scale:
    """What a scale makes of the papers' settings.

    Args:
        name: what the command line calls it.
        changes: settings that differ from the paper's.
        stand_ins: whether another data set may stand in for one that is not there.
        says: the changes in words, for figures and texts.
        trial: whether it is cut down to try that everything works.
    """

    name: str
    changes: Mapping[str, Any]
    stand_ins: bool
    says: str
    trial: bool = False

    def on(self, device: str) -> "Scale":
        """Return the same scale on a device, named as `Settings.device` is."""
        return replace(self, changes={**self.changes, "device": device})


PAPER = Scale("paper", {}, stand_ins=False, says="as published")
SMALL = Scale(
    "small",
    {"backbone": "small-cnn", "image_size": 16, "train_size": 5000, "epochs": 8, "learning_rate": 0.1},
    stand_ins=True,
    says="3-block CNN, 16 x 16 pixels, learning rate 0.1",
)
# Twenty training steps and one evaluation of each configuration: that it runs, and what a step costs.
TRIAL_STEPS = 20
SCALES = {scale.name: scale for scale in (SMALL, PAPER)}


def cut_down(scale: Scale) -> Scale:
    """Return the same scale cut down to one epoch of twenty training steps (of 18 where a tenth is a meta split)."""
    changes = {**scale.changes, "epochs": 1, "train_size": 100 * TRIAL_STEPS}
    says = f"{scale.says}, cut down to {TRIAL_STEPS} training steps"
    return replace(scale, changes=changes, says=says, trial=True)
