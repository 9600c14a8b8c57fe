"""A trained network, read back from the folder of its run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from metaux.data.samples import Samples
from metaux.data.transforms import Preprocessing
from metaux.errors import InputError
from metaux.experiment.records import Run
from metaux.hierarchy import Hierarchy
from metaux.labels.base import LabelSource
from metaux.labels.registry import SOURCES
from metaux.networks.backbones import make_backbone
from metaux.networks.multitask import MultiTaskNetwork, feature_size, make_head
from metaux.protocols import resolve
from metaux.settings import from_mapping
from metaux.training.evaluate import passes, primary_outputs


def describe_model(
    hierarchy: Hierarchy, preprocessing: Preprocessing, shape: tuple[int, ...]
) -> dict[str, Any]:
    """Return what a run's `result.json` says of its network beyond the settings, in plain values."""
    return {
        "shape": list(shape),
        "slots": list(hierarchy.slots),
        "class_names": list(hierarchy.class_names),
        "subclass_names": list(hierarchy.subclass_names),
        "preprocessing": preprocessing.to_dict(),
    }


@dataclass(frozen=True)
class Model:
    """A trained multi-task network with all it needs to take raw samples.

    Args:
        network: in evaluation mode.
        source: the method's label source, for its rule of predicting; not prepared.
        hierarchy: classes and sub-classes with their names.
        preprocessing: raw inputs to network inputs.
        device: where the network is.
    """

    network: MultiTaskNetwork
    source: LabelSource
    hierarchy: Hierarchy
    preprocessing: Preprocessing
    device: torch.device

    @classmethod
    def read(cls, folder: str | Path, device: torch.device | None = None) -> "Model":
        """Read the network of a finished run.

        Raises:
            InputError: if the folder is not a finished run, or its weights do not fit.
        """
        run = Run.read(folder)
        device = device or torch.device("cpu")
        settings, _ = from_mapping(run.settings, {"method": str, "seed": int})
        model = run.result["model"]
        shape = tuple(model["shape"])
        hierarchy = Hierarchy(model["slots"], model["class_names"], model["subclass_names"])
        protocol = resolve(settings)
        source = SOURCES[run.method](hierarchy, protocol)
        trunk = make_backbone(settings.backbone, shape)
        features = feature_size(trunk, (torch.zeros(1, *shape),))
        primary_head = make_head(features, hierarchy.classes, protocol.head)
        network = MultiTaskNetwork(trunk, primary_head, source.auxiliary_head(features))
        weights = {
            name.removeprefix("network."): value
            for name, value in run.weights().items()
            if name.startswith("network.")
        }
        try:
            network.load_state_dict(weights)
        except RuntimeError as error:
            raise InputError(
                f"expected the weights of {settings.backbone} with {hierarchy.classes} classes in {run.folder}, "
                "found others; train the run anew"
            ) from error
        return cls(
            place(network.eval(), device),
            source,
            hierarchy,
            Preprocessing.from_dict(model["preprocessing"]),
            device,
        )

    def logits(self, samples: Samples) -> Tensor:
        """Return the primary logits of raw samples, `[n, classes]`."""
        return primary_outputs(self.network, self.source, samples, self.preprocessing, self.device)

    def features(self, samples: Samples) -> Tensor:
        """Return the trunk's features of raw samples, `[n, features]`."""
        found = passes(self.network, samples, self.preprocessing, self.device)
        return torch.cat([outputs.features.float().cpu() for _, outputs in found])

    def subclasses(self, samples: Samples) -> Tensor | None:
        """Return each raw sample's most probable sub-class of its predicted class, flat index `[n]`, if there are any.

        The sub-class is the auxiliary head's choice among the slots of the class that the primary head predicts.
        """
        if self.network.auxiliary_head is None:
            return None
        primary = self.logits(samples).argmax(-1)
        found = passes(self.network, samples, self.preprocessing, self.device)
        auxiliary = torch.cat([o.auxiliary.float().cpu() for _, o in found if o.auxiliary is not None])
        if auxiliary.shape[-1] != self.hierarchy.size:
            return None
        return auxiliary.masked_fill(~self.hierarchy.mask(primary), -torch.inf).argmax(-1)
