"""A trained network, read back from the folder of its run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from metaux.data.samples import Samples
from metaux.data.transforms import Preprocessing
from metaux.errors import InputError, choose
from metaux.hierarchy import Hierarchy
from metaux.labels.base import LabelSource, SubclassSource
from metaux.labels.sources import CLASSICAL, SOURCES, entry
from metaux.networks.backbones import make_backbone
from metaux.networks.multitask import MultiTaskNetwork, to_channels_last
from metaux.runs.record import Run
from metaux.settings import Settings
from metaux.training.devices import computing, make_fabric
from metaux.training.evaluate import evaluated_on, primary_outputs
from metaux.training.preparation import make_network

if TYPE_CHECKING:
    from metaux.training.fabric import Fabric


def read_description(run: Run) -> tuple[Hierarchy, Preprocessing, tuple[int, ...]]:
    """Return what `describe_run` wrote as `model`; sub-classes have names where they are those that the data names.

    Raises:
        InputError: if it isn't there.
    """
    try:
        model = run.result["model"]
        names = model["subclass_names"] if entry(run.method).names_subclasses else ()
        hierarchy = Hierarchy(model["slots"], model["class_names"], names)
        preprocessing, shape = Preprocessing.from_dict(model["preprocessing"]), tuple(model["shape"])
        preprocessing.check_shape(shape)
        return hierarchy, preprocessing, shape
    except (KeyError, TypeError) as error:
        raise _other(run, f"a result without its description ({error})") from None


class Predictions(NamedTuple):
    """What a network says of samples.

    `logits` are the primary ones, `[n, classes]`; `subclasses` each sample's most probable sub-class of its predicted
    class, flat index int64 `[n]`, None where the method has no sub-classes.
    """

    logits: Tensor
    subclasses: Tensor | None


@dataclass(frozen=True)
class Model:
    """A trained multi-task network with all it needs to take raw samples.

    Args:
        network: in evaluation mode.
        source: the method's label source, for its rule of predicting; not prepared.
        hierarchy: classes and sub-classes with their names.
        preprocessing: raw inputs to network inputs.
        settings: the run's.
        fabric: device and precision.
    """

    network: MultiTaskNetwork
    source: LabelSource
    hierarchy: Hierarchy
    preprocessing: Preprocessing
    settings: Settings
    fabric: "Fabric"

    @classmethod
    def read(cls, folder: str | Path, device: str = "cpu") -> "Model":
        """Read the network of a finished run.

        Args:
            folder: the run's.
            device: as `Settings.device`.

        Raises:
            InputError: if the folder is not a finished run, or one of a classical model, or its weights do not fit.
        """
        return cls.of(Run.read(folder), device)

    @classmethod
    def of(cls, run: Run, device: str = "cpu") -> "Model":
        """Return the network of a finished run that has been read; see `read`."""
        if run.method in CLASSICAL:
            raise InputError(
                f"expected the run of a network, found one of {run.method} in '{run.folder}'; give a run of another "
                "method"
            )
        trial = run.trial
        fabric = make_fabric(trial.changed(device=device, processes=1).settings)
        hierarchy, preprocessing, shape = read_description(run)
        choose("method", run.method, SOURCES)
        source = SOURCES[run.method](hierarchy, trial.protocol)
        source.auxiliary_names = tuple(run.result["model"].get("auxiliary_names", ()))
        example = torch.zeros(1, *shape, dtype=torch.int64 if preprocessing.kind == "text" else None)
        trunk = partial(make_backbone, trial.settings.backbone, shape, preprocessing.kind)
        try:
            network = rebuild(trunk, (example,), source, run.weights())
        except RuntimeError:
            raise _other(run, "weights of another network") from None
        to_channels_last(network, fabric.device)
        return cls(network, source, hierarchy, preprocessing, trial.settings, fabric)

    def predict(self, samples: Samples) -> Predictions:
        """Return what the network says of raw samples, to the bits that its training would have seen.

        The sub-class is the auxiliary head's choice among the slots of the class that the primary head predicts.
        """
        if not isinstance(self.source, SubclassSource):
            return Predictions(self.logits(samples), None)
        if self.source.predict is None:
            logits, auxiliary = self.outputs(samples, "primary", "auxiliary")
        else:
            logits, [auxiliary] = self.logits(samples), self.outputs(samples, "auxiliary")
        mask = self.hierarchy.mask(logits.argmax(-1))
        return Predictions(logits, auxiliary.masked_fill(~mask, -torch.inf).argmax(-1))

    def auxiliary(self, samples: Samples) -> Tensor | None:
        """Return the auxiliary logits of raw samples, `[n, K]`; None where the method has no sub-classes."""
        if not isinstance(self.source, SubclassSource):
            return None
        return self.outputs(samples, "auxiliary")[0]

    def features(self, samples: Samples) -> Tensor:
        """Return the trunk's features of raw samples, `[n, features]`."""
        return self.outputs(samples, "features")[0]

    def logits(self, samples: Samples) -> Tensor:
        """Return the primary logits of raw samples, `[n, classes]`, as the source predicts them."""
        with computing(self.settings.threads), self.fabric.autocast():
            return primary_outputs(self.network, self.source, samples, self.preprocessing, self.fabric.device)

    def outputs(self, samples: Samples, *names: str) -> list[Tensor]:
        """Return these of the network's outputs (`Outputs`) for all samples, from one pass over them."""
        with computing(self.settings.threads), self.fabric.autocast():
            parts = []
            for inputs in evaluated_on(self.network, samples, self.preprocessing, self.fabric.device):
                outputs = self.network(*inputs)
                parts.append([getattr(outputs, name).float().cpu() for name in names])
        return [torch.cat(part) for part in zip(*parts, strict=True)]


def named_weights(network: MultiTaskNetwork, source: LabelSource | None) -> dict[str, Tensor]:
    """Return what a trained network, and its label source, hold, by the names that a file has them by."""
    kept = [] if source is None else [*source.named_parameters(), *source.named_buffers()]
    found = {f"network.{name}": value for name, value in network.state_dict().items()}
    return found | {f"source.{name}": value for name, value in kept}


def rebuild(
    trunk: Callable[[], nn.Module], example: tuple[Tensor, ...], source: LabelSource, weights: Mapping[str, Tensor]
) -> MultiTaskNetwork:
    """Return a trained network, in evaluation mode.

    Args:
        trunk: makes its backbone, with any weights.
        example: network inputs, of one sample or more.
        source: gives the auxiliary head.
        weights: of the network, by names that begin with `network.`; others are left out.

    Raises:
        RuntimeError: for weights of another network.
    """
    network = make_network(trunk, example, source, seed=0)
    # With the versions of its layers, which some read (torchvision's MNASNet) and safetensors do not hold.
    state: Any = network.state_dict()
    own = {name.removeprefix("network."): v for name, v in weights.items() if name.startswith("network.")}
    versions, state = state._metadata, type(state)(own)
    state._metadata = versions
    network.load_state_dict(state)
    return network.eval()


def _other(run: Run, found: str) -> InputError:
    return InputError(f"expected a {run.method} run of this version in '{run.folder}', found {found}; train it anew")
