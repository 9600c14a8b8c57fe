"""At which scale an experiment is run: the papers' own, or one for two CPU cores."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from metaux.protocols import Protocol


@dataclass(frozen=True)
class Scale:
    """What a scale makes of the papers' settings.

    Args:
        name: what the command line calls it.
        changes: settings that differ from the paper's.
        stand_ins: whether another data set may stand in for one that is not there.
        says: the changes in words, for figures and texts.
        shorter: how many times fewer steps there are than the published 100,000.
        curve: measure test samples and labels after every epoch, not only after the reported ones.
        trial: whether it is cut down to try that everything works.
    """

    name: str
    changes: Mapping[str, Any]
    stand_ins: bool
    says: str
    shorter: float = 1.0
    curve: bool = True
    trial: bool = False

    def settings(self, published: Protocol) -> dict[str, Any]:
        """Return the changes, and the generator's values that keep its summed steps as published.

        With s times fewer steps and the network's rate alpha raised r times, beta is multiplied by s / r, lambda and
        the generator's decay by r. The sums over all steps of alpha beta (the meta-gradient is proportional to alpha),
        of beta lambda and of beta decay are then the published ones.
        """
        raised = self.changes.get("learning_rate", published.learning_rate) / published.learning_rate
        return {
            **self.changes,
            "generator_learning_rate": published.generator_learning_rate * self.shorter / raised,
            "entropy_weight": published.entropy_weight * raised,
            "generator_decay": published.generator_decay * raised,
        }

    def on(self, device: str) -> "Scale":
        """Return the same scale on a device, named as `Settings.device` is."""
        return replace(self, changes={**self.changes, "device": device})


PAPER = Scale("paper", {}, stand_ins=False, says="as published")
SMALL = Scale(
    "small",
    {"backbone": "small-cnn", "image_size": 16, "train_size": 5000, "epochs": 8, "learning_rate": 0.1},
    stand_ins=True,
    says="3-block CNN, 16 x 16 pixels, learning rate 0.1, generator's rate x 25, entropy weight and decay x 10",
    shorter=250.0,
)
NARROW = Scale(
    "narrow",
    {"backbone": "vgg16-quarter", "train_size": 5000},
    stand_ins=True,
    says="as published but for VGG-16's layers at a quarter of the width, 5,000 images, generator's rate x 10",
    shorter=10.0,
    curve=False,
)
# Twenty training steps and one evaluation of each configuration: that it runs, and what a step costs.
TRIAL_STEPS = 20
SCALES = {scale.name: scale for scale in (SMALL, NARROW, PAPER)}


def cut_down(scale: Scale) -> Scale:
    """Return the same scale cut down to one epoch of twenty training steps (of 18 where a tenth is a meta split)."""
    changes = {**scale.changes, "epochs": 1, "train_size": 100 * TRIAL_STEPS}
    says = f"{scale.says}, cut down to {TRIAL_STEPS} training steps"
    return replace(scale, changes=changes, says=says, trial=True)
