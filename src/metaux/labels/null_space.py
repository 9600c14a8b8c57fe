"""Null-space sub-classes: what a teacher's features tell of a sample beyond its class."""

from dataclasses import replace
from typing import Literal, final

import torch
from torch import Tensor, nn

from metaux.errors import InputError
from metaux.hierarchy import Hierarchy
from metaux.labels.base import Auxiliary, Batch, LabelSource, Preparation
from metaux.labels.fixed import exchanged
from metaux.labels.self_distilled import TEMPERATURE as CLASS_TEMPERATURE
from metaux.labels.teacher import taught
from metaux.networks.multitask import MultiTaskNetwork, Outputs, make_head
from metaux.protocols import Protocol
from metaux.rng import generator

TEMPERATURE = 0.5


@final
class NullSpace(LabelSource):
    """The auxiliary head learns a teacher's classes, each split by directions that the teacher's own head ignores.

    A teacher with trunk h and a linear head W is trained on the classes before the network, with the run's protocol.
    Of a class c with psi sub-classes, r = psi / 2 directions V (rounded up) are the principal ones of the class's
    features in the null space of W's differences between classes: moving along them leaves the teacher's class
    probabilities as they are. With Q a random rotation, mu the class's mean and s the root mean square of a coordinate,

        z = Q V (h(x) - mu) / s,    s_c = softmax([z, -z] / 0.5),    target = p_c s_c,

    where p = softmax(logits / 4) are the teacher's class probabilities. So a direction has two sub-classes, its two
    sides; the rotation makes the directions equally important. Of an odd psi the last direction has one side.

    There are three teachers, and each sample's target is by the one that never saw it. Their directions are turned to
    agree with the first one's (orthogonal Procrustes over the class's samples).

    Source: Loo, Iliopoulos, Hu, Vee, *Linear projections of teacher embeddings for few-class distillation* (LELP, arXiv
    2409.20449). There a large teacher teaches a small network; here it is as large as the network and has not seen the
    sample, and the sub-classes are learned by an auxiliary head.

    Args:
        directions: `ignored` for the above; `random` for a control: random directions of the teacher's features.
        shuffled: for another control: each sample has the s_c of another sample of its class, and its own p.
    """

    opinions: Tensor

    def __init__(
        self,
        hierarchy: Hierarchy,
        protocol: Protocol,
        directions: Literal["ignored", "random"] = "ignored",
        shuffled: bool = False,
    ):
        super().__init__(hierarchy, protocol)
        self.directions = directions
        self.shuffled = shuffled

    def prepare(self, preparation: Preparation) -> None:
        """Train the teachers, and keep their targets for the training samples.

        Raises:
            InputError: if the features of the backbone are too few for that many sub-classes.
        """
        self.register_buffer("opinions", preparation.once("opinions", lambda: self._opinions(preparation)))

    def auxiliary_head(self, features: int) -> nn.Module:
        """Make a head with one logit per sub-class, of the protocol's kind."""
        return make_head(features, self.hierarchy.size, self.protocol.head)

    def auxiliary(self, batch: Batch) -> Auxiliary:
        """Return the target, `[batch, K]`, rows summing to 1; other classes' sub-classes have their share."""
        return Auxiliary(self.opinions[batch.index])

    def labels(self, batch: Batch) -> Tensor:
        """Return the shares of the sub-classes of each sample's own class, `[batch, K]`."""
        own = self.opinions[batch.index] * self.hierarchy.mask(batch.primary)
        return own / own.sum(-1, keepdim=True)

    def _opinions(self, preparation: Preparation) -> Tensor:
        from scipy.linalg import orthogonal_procrustes

        hierarchy, primary, seed = self.hierarchy, preparation.samples.primary, preparation.seed
        counts = [(slots + 1) // 2 for slots in hierarchy.slots]

        def read(teacher: MultiTaskNetwork, outputs: Outputs) -> Tensor:
            head, features = teacher.primary_head, outputs.features.double()
            assert isinstance(head, nn.Linear)
            classes = outputs.primary.double() / CLASS_TEMPERATURE
            return torch.cat([classes, *self._coordinates(features, primary, head.weight.cpu().double(), seed)], 1)

        def agree(found: Tensor, first: Tensor) -> Tensor:
            classes, *blocks = found.split([hierarchy.classes, *counts], 1)
            _, *references = first.split([hierarchy.classes, *counts], 1)
            for class_, (block, reference) in enumerate(zip(blocks, references, strict=True)):
                own = primary == class_
                turn, _ = orthogonal_procrustes(block[own].numpy(), reference[own].numpy())
                blocks[class_] = block @ torch.from_numpy(turn)
            return torch.cat([classes, *blocks], 1)

        found = taught(
            preparation,
            Hierarchy([1] * hierarchy.classes),
            replace(self.protocol, head="linear"),
            nn.functional.cross_entropy,
            read,
            cross=True,
            agree=agree,
        )
        classes, *blocks = found.split([hierarchy.classes, *counts], 1)
        shares = torch.cat([sides(z, slots) for z, slots in zip(blocks, hierarchy.slots, strict=True)], 1)
        if self.shuffled:
            shares = shares[exchanged(primary, seed)]
        target: Tensor = classes.softmax(-1)[:, hierarchy.parent] * shares
        return target.to(torch.get_default_dtype())

    def _coordinates(self, features: Tensor, primary: Tensor, weight: Tensor, seed: int) -> list[Tensor]:
        """Return, for each class, the coordinates z of all samples along its directions, `[n, r]`."""
        blocks = []
        for class_, slots in enumerate(self.hierarchy.slots):
            drawn, own, count = generator(seed, "directions", class_), primary == class_, (slots + 1) // 2
            centred = features - features[own].mean(0)
            if self.directions == "random":
                basis = random_frame(features.shape[1], count, drawn)
            else:
                basis = ignored_directions(centred[own], weight, count) @ random_frame(count, count, drawn)
            along = centred @ basis
            blocks.append(along / along[own].square().mean().sqrt().clamp(min=torch.finfo(along.dtype).tiny))
        return blocks


def ignored_directions(features: Tensor, weight: Tensor, count: int) -> Tensor:
    """Return the principal directions of features among those that leave the differences of logits as they are.

    Args:
        features: of a class's samples less their mean, float64 `[m, features]`.
        weight: of the linear head, float64 `[classes, features]`.
        count: how many.

    Returns:
        `[features, count]`, columns of length 1 at right angles.

    Raises:
        InputError: if there are fewer.

    >>> features = torch.tensor([[5.0, 2.0, 0.0], [-5.0, -2.0, 0.0]]).double()
    >>> weight = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]).double()
    >>> ignored_directions(features, weight, 1).abs().flatten().tolist()
    [0.0, 1.0, 0.0]
    """
    differences = weight - weight.mean(0)
    null = torch.linalg.svd(differences)[2][len(weight) - 1 :]
    if len(null) < count:
        raise InputError(
            f"expected a backbone with at least {count + len(weight) - 1} features for {count} directions that the "
            f"head ignores, found {weight.shape[1]}; ask for fewer sub-classes, or give another backbone"
        )
    along = features @ null.T
    few = len(along) < along.shape[1]  # only then all directions are asked for: else they come with a matrix [m, m]
    principal = torch.linalg.svd(along, full_matrices=few)[2][:count]
    found: Tensor = principal @ null
    return found.T


def random_frame(size: int, count: int, drawn: torch.Generator) -> Tensor:
    """Return random directions at right angles to each other, float64 `[size, count]`."""
    frame: Tensor = torch.linalg.qr(torch.randn(size, count, generator=drawn, dtype=torch.float64))[0]
    return frame


def sides(coordinates: Tensor, slots: int) -> Tensor:
    """Return the shares of a class's sub-classes, `[n, slots]`: softmax([z, -z] / 0.5) of coordinates `[n, r]`.

    >>> sides(torch.zeros(1, 2), 4).tolist(), sides(torch.tensor([[9.0]]), 1).tolist()
    ([[0.25, 0.25, 0.25, 0.25]], [[1.0]])
    """
    return (torch.cat([coordinates, -coordinates], 1)[:, :slots] / TEMPERATURE).softmax(-1)
