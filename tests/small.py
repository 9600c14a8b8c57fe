"""A small real task for the tests: handwritten digits, even against odd, and a plan to learn it in a second."""

from dataclasses import replace
from functools import cache
from typing import Any

import torch
from torch import nn

from metaux.data.samples import LabelledData, Samples
from metaux.hierarchy import Hierarchy
from metaux.labels.base import MakeSource
from metaux.metagradient import forward_mode
from metaux.networks.backbones import make_backbone
from metaux.protocols import PROTOCOLS
from metaux.training.fabric import Fabric
from metaux.training.learner import Learner, make_learner
from metaux.training.loop import Fitted, fit
from metaux.training.plan import Plan


def human_labels(samples: Samples) -> torch.Tensor:
    assert samples.human is not None
    return torch.nn.functional.one_hot(samples.human, 10).float()


@cache
def digits(count: int = 200) -> LabelledData:
    from sklearn.datasets import load_digits

    pixels, digit = load_digits(return_X_y=True)
    images = torch.from_numpy(pixels / 16 * 255).to(torch.uint8).view(-1, 1, 8, 8)
    digit = torch.from_numpy(digit).long()
    hierarchy = Hierarchy([5, 5], ["even", "odd"])
    finer = hierarchy.flat(digit % 2, digit // 2)
    samples = Samples((images,), digit % 2, finer, given=digit % 3, given_names=("zero", "one", "two"))
    train, test = samples.take(torch.arange(count)), samples.take(torch.arange(count, count + 100))
    return LabelledData(train, test, hierarchy, "image")


def normalise(inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    return (inputs[0].float() / 255 - 0.3,)


def jitter(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return images.roll(int(torch.randint(0, 2, (), generator=generator)), -1)


def small_cnn() -> nn.Module:
    return make_backbone("small-cnn", (1, 8, 8))


def plan(source: MakeSource, protocol: str = "tuned", epochs: int = 2, **changes: Any) -> Plan:
    data = digits()
    changes = {"batch_size": 25, "iterations": 2, **changes}
    values = {name: changes.pop(name) for name in list(changes) if hasattr(PROTOCOLS[protocol], name)}
    made = Plan(
        data=data,
        train=data.train,
        meta=data.train.take(torch.arange(40)),
        preprocess=normalise,
        augment=jitter,
        trunk=small_cnn,
        source=source,
        protocol=replace(PROTOCOLS[protocol], epochs=epochs, **values),
        meta_gradient=forward_mode,
        embedding=lambda samples: samples.inputs[0].float().flatten(1),
        recorded=human_labels,
    )
    return replace(made, **changes)


@cache
def cpu() -> Fabric:
    return Fabric(accelerator="cpu", devices=1)


def learner(source: MakeSource, *arguments: Any, **changes: Any) -> Learner:
    return make_learner(plan(source, *arguments, **changes), cpu())


def trained(source: MakeSource, *arguments: Any, **changes: Any) -> Fitted:
    return fit(learner(source, *arguments, **changes))
