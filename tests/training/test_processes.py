"""Data parallelism: processes with a share of each batch learn what one process would."""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from metaux.labels.base import Gradients, MakeSource, Preparation
from metaux.labels.fixed import FixedLabels, SoftLabels
from metaux.labels.sources import SOURCES
from metaux.runs.process import train_and_record
from metaux.runs.trial import Trial
from metaux.settings import Settings
from metaux.training.fabric import Fabric
from metaux.training.learner import make_learner
from metaux.training.loop import fit, take_step, train_epoch
from small import digits, learner, plan

PROCESSES = 3


def averaged(gradients: Sequence[Sequence[Tensor]], counts: Sequence[int]) -> list[Tensor]:
    """Return what the processes' average would, of what each of them gives to it."""
    return [
        torch.stack([count * part for count, part in zip(counts, parts, strict=True)]).sum(0) / sum(counts)
        for parts in zip(*gradients, strict=True)
    ]


def step(
    source: MakeSource, share: tuple[int, int], views: str, found: list[Tensor] | None = None
) -> tuple[list[Tensor], int, list[Tensor]]:
    """Return what a process gives to the average, its number of samples, and its weights after a step on `found`."""
    made = learner(
        source, trunk=lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU()), views=views, learning_rate=1.0
    )
    given: list[tuple[list[Tensor], int]] = []

    def average(tensors: Sequence[Tensor], count: int) -> list[Tensor]:
        given.append((list(tensors), count))
        return list(tensors) if found is None else found

    made.batches.train.share, made.average = share, average
    take_step(made, "train", made.batches.order(0), 3, 1.0)
    return *given[0], list(made.network.parameters())


class Gated(FixedLabels):
    """Takes of the auxiliary gradient what points where the primary one does."""

    def assign(self, preparation: Preparation) -> Tensor:
        assert preparation.samples.human is not None
        return preparation.samples.human

    def combine(self, primary: Gradients, auxiliary: Gradients) -> Gradients:
        return [a + b * (a * b > 0) for a, b in zip(primary, auxiliary, strict=True)]


@pytest.mark.parametrize(
    ("source", "views"), [(SOURCES["rotation"], "together"), (SOURCES["rotation"], "apart"), (Gated, "together")]
)
def test_uneven_shares_take_the_step_of_one_process(source: MakeSource, views: str) -> None:
    _, _, expected = step(source, (0, 1), views)
    gradients, counts, _ = zip(*(step(source, (rank, PROCESSES), views) for rank in range(PROCESSES)), strict=True)
    assert len(set(counts)) > 1
    for rank in range(PROCESSES):
        _, _, weights = step(source, (rank, PROCESSES), views, averaged(gradients, counts))
        torch.testing.assert_close(weights, expected)


class OneOfTwo(Fabric):
    """A process that believes to have another beside it."""

    rank = 0

    @property
    def world_size(self) -> int:
        return 2

    @property
    def global_rank(self) -> int:
        return self.rank


def test_each_process_draws_random_numbers_of_its_own() -> None:
    class Noise(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            if self.training:
                drawn.append(torch.rand(4))
            return x

    found = []
    for rank in range(2):
        fabric = OneOfTwo(accelerator="cpu", devices=1)
        fabric.rank = rank
        drawn: list[Tensor] = []
        train_epoch(make_learner(plan(SOURCES["maxl"], trunk=lambda: nn.Sequential(nn.Flatten(), Noise())), fabric), 0)
        found.append(drawn)
    assert len(found[0]) == len(found[1]) > 8
    assert not any(ours.equal(theirs) for ours, theirs in zip(*found, strict=True))


class OfThisProcess(SoftLabels):
    """A teacher that says something else in every process, as one may that was trained on another GPU."""

    def distribute(self, preparation: Preparation) -> Tensor:
        mask = self.hierarchy.mask(preparation.samples.primary)
        numbers = torch.rand(mask.shape, generator=torch.Generator().manual_seed(os.getpid()))
        return numbers.masked_fill(~mask, -torch.inf).softmax(-1)


def one_of_several(fabric: Fabric, folder: Path) -> None:
    torch.set_num_threads(1)
    made = make_learner(plan(OfThisProcess, epochs=1), fabric)
    labels = made.source.labels(made.batches.train.load(torch.arange(200)))
    fit(made)
    torch.save([labels, *made.network.parameters()], folder / f"{fabric.global_rank}.pt")


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")  # only the processes' own gloo has threads
def test_all_processes_learn_the_labels_that_the_first_one_made(tmp_path: Path) -> None:
    Fabric(accelerator="cpu", strategy="ddp_fork", devices=2).launch(partial(one_of_several, folder=tmp_path))
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    assert all(ours.equal(theirs) for ours, theirs in zip(first, second, strict=True))


class Seen(Exception):
    """Says where features were to be made."""


def test_each_process_makes_features_on_its_own_device(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def make_features(settings: object, plan: object, preprocessing: object, device: torch.device) -> None:
        raise Seen(str(device))

    monkeypatch.setattr("metaux.runs.plan.make_features", make_features)
    fabric: Any = SimpleNamespace(is_global_zero=False, device=torch.device("cuda", 1))
    with pytest.raises(Seen, match="cuda:1"):
        train_and_record(fabric, Trial(Settings(processes=2), "kmeans", 0), digits(), tmp_path)
