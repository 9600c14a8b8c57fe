"""NaN or infinity at any stage of a step ends the run in one line; what was kept before is whole, and the run goes on.

The faults are put into a real run by hooks on its own parts, in the second of three epochs.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from metaux.errors import TrainingError
from metaux.metagradient import TargetGradient
from metaux.runs import process
from metaux.runs.launch import run
from metaux.runs.loading import load_once
from metaux.runs.record import Run
from metaux.runs.trial import Trial
from metaux.settings import Settings
from metaux.training import loop
from metaux.training.learner import Learner, make_learner
from shell import below

STEPS = 5
SETTINGS = Settings(epochs=3, train_size=100, backbone="mlp", batch_size=100 // STEPS)
PROTOCOLS = {"shared passes": "tuned", "steps apart": "iclr"}
MOMENTS = {"first": 0, "middle": STEPS // 2, "last": STEPS - 1}


class Fault:
    """A value that is not finite, at one step of the second epoch, or for one sample in its evaluation."""

    def __init__(self, value: float, position: int):
        self.value, self.position, self.now, self.placed = value, position, (-1, -1), 0

    def __call__(self, given: Tensor) -> Tensor:
        """Return the values, or at the fault's step spoiled ones; each keeps its graph."""
        return self.spoil(given) if self.now == (1, self.position) else given

    def spoil(self, given: Tensor) -> Tensor:
        self.placed += 1
        return given * self.value

    def of_a_sample(self, given: Tensor) -> Tensor:
        """Return outputs of an evaluation, spoiled for one sample in the second epoch."""
        if self.now[0] != 1:
            return given
        self.placed += 1
        row = self.position * (len(given) - 1) // (STEPS - 1)
        return given.index_fill(0, torch.tensor([row]), self.value)


Stage = Callable[[Learner, Fault], None]


def in_inputs(made: Learner, fault: Fault) -> None:
    made.network.trunk.register_forward_pre_hook(lambda _, given: tuple(map(fault, given)))


def in_forward_pass(made: Learner, fault: Fault) -> None:
    made.network.trunk.register_forward_hook(lambda _, __, features: fault(features))


def in_loss(made: Learner, fault: Fault) -> None:
    loss = made.primary_loss
    made.primary_loss = lambda output, batch: fault(loss(output, batch))


def in_backward_pass(made: Learner, fault: Fault) -> None:
    def hooked(_: nn.Module, __: object, features: Tensor) -> None:
        if features.requires_grad:
            features.register_hook(fault)

    made.network.trunk.register_forward_hook(hooked)


def in_meta_gradient(made: Learner, fault: Fault) -> None:
    method = made.meta_gradient
    assert method is not None

    steps = count()

    def spoiled(*arguments: Any, **named: Any) -> TargetGradient:
        gradient, loss = method(*arguments, **named)
        if fault.now[0] == 1 and next(steps) == fault.position:
            gradient = tuple(map(fault.spoil, gradient))
        return TargetGradient(gradient, loss)

    made.meta_gradient = spoiled


def in_optimizer_step(made: Learner, fault: Fault) -> None:
    def step(*_: object) -> None:
        weight = next(made.network.parameters())
        weight.data.copy_(fault(weight.data))

    made.optimizer.register_step_post_hook(step)


def in_generator(made: Learner, fault: Fault) -> None:
    made.source.get_submodule("generator").register_forward_hook(lambda _, __, labels: fault(labels))


def in_evaluation(made: Learner, fault: Fault) -> None:
    def hooked(_: nn.Module, __: object, features: Tensor) -> Tensor:
        return features if made.network.training else fault.of_a_sample(features)

    made.network.trunk.register_forward_hook(hooked)


STAGES: dict[Stage, str] = {
    in_inputs: "training loss became (nan|-?inf)",
    in_forward_pass: "training loss became (nan|-?inf)",
    in_loss: "training loss became (nan|-?inf)",
    in_backward_pass: "training loss became nan|network is no longer finite",
    in_meta_gradient: "training loss became nan|label source is no longer finite",
    in_optimizer_step: "training loss became nan|network is no longer finite",
    in_generator: "training loss became nan|label source is no longer finite",
    in_evaluation: "network's outputs for test samples are not finite",
}


@contextmanager
def placed(fault: Fault, install: Stage) -> Iterator[None]:
    """Put a fault into the runs of a block."""
    take_step = loop.take_step

    def faulty(*arguments: Any, **named: Any) -> Learner:
        made = make_learner(*arguments, **named)
        install(made, fault)
        return made

    def timed(learner: Learner, kind: str, order: Any, position: int, *more: Any) -> Any:
        fault.now = order.epoch, position
        return take_step(learner, kind, order, position, *more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(process, "make_learner", faulty)
        patch.setattr(loop, "take_step", timed)
        yield


def train(protocol: str, folder: Path) -> None:
    settings = replace(SETTINGS, protocol=protocol)
    run(Trial(settings, "maxl", 0), load_once(replace(settings, epochs=None)), folder)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run of each kind that nothing happened to."""
    folder = tmp_path_factory.mktemp("undisturbed")
    for name, protocol in PROTOCOLS.items():
        train(protocol, folder / name)
    return {name: folder / name for name in PROTOCOLS}


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("install", STAGES, ids=lambda stage: stage.__name__)
@pytest.mark.parametrize("steps", PROTOCOLS)
def test_a_number_that_is_not_finite(
    steps: str,
    install: Stage,
    moment: str,
    undisturbed: dict[str, Path],
    tmp_path: Path,
) -> None:
    fault = Fault(torch.inf if moment == "middle" else torch.nan, MOMENTS[moment])
    with placed(fault, install), pytest.raises(TrainingError) as told:
        train(PROTOCOLS[steps], tmp_path / "run")
    assert fault.placed
    line = rf"(the )?({STAGES[install]}) in epoch 2; epoch 1 is kept in .*checkpoint\.pt; use a smaller [a-z ]+"
    assert re.fullmatch(line, str(told.value))
    left = below(tmp_path / "run")
    assert {name for name in left if not name.startswith(".")} == {"checkpoint.pt", "records.jsonl", "settings.yaml"}
    assert not [name for name in left if name.endswith(".tmp")]
    [record] = (tmp_path / "run" / "records.jsonl").read_text().splitlines()
    assert json.loads(record)["epoch"] == 1
    train(PROTOCOLS[steps], tmp_path / "run")
    for name in ("weights.safetensors", "outputs.safetensors"):
        assert (tmp_path / "run" / name).read_bytes() == (undisturbed[steps] / name).read_bytes()
    assert Run.read(tmp_path / "run").accuracy == Run.read(undisturbed[steps]).accuracy
