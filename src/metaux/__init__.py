"""Meta auxiliary learning: train a better classifier by inventing its own auxiliary labels."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from metaux.errors import InputError as InputError
    from metaux.estimator.classifier import MetauxClassifier as MetauxClassifier
    from metaux.hierarchy import Hierarchy as Hierarchy
    from metaux.labels.base import LabelSource as LabelSource
    from metaux.losses import entropy_loss as entropy_loss
    from metaux.losses import focal_loss as focal_loss
    from metaux.losses import mask_softmax as mask_softmax
    from metaux.metagradient import LookAhead as LookAhead
    from metaux.metagradient import double_backward as double_backward
    from metaux.metagradient import finite_difference as finite_difference
    from metaux.metagradient import forward_mode as forward_mode
    from metaux.networks.multitask import LabelGenerator as LabelGenerator
    from metaux.networks.multitask import MultiTaskNetwork as MultiTaskNetwork
    from metaux.training.callbacks import Callback as Callback
    from metaux.training.callbacks import EarlyStopping as EarlyStopping
    from metaux.trajectory import Step as Step
    from metaux.unrolling import unrolled as unrolled

# Loaded when first used, so that the command line can answer `--help` without importing torch.
_HOMES = {
    "metaux.errors": ["InputError"],
    "metaux.estimator.classifier": ["MetauxClassifier"],
    "metaux.hierarchy": ["Hierarchy"],
    "metaux.labels.base": ["LabelSource"],
    "metaux.losses": ["entropy_loss", "focal_loss", "mask_softmax"],
    "metaux.metagradient": ["LookAhead", "double_backward", "finite_difference", "forward_mode"],
    "metaux.networks.multitask": ["LabelGenerator", "MultiTaskNetwork"],
    "metaux.training.callbacks": ["Callback", "EarlyStopping"],
    "metaux.trajectory": ["Step"],
    "metaux.unrolling": ["unrolled"],
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}
__all__ = sorted(_HOME)  # pyright: ignore


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'metaux' has no attribute '{name}'")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__
