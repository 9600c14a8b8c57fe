"""The differentiation method of the meta-gradient is chosen once, before the training, and recorded."""

import copy
import io
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from metaux import InputError, MetauxClassifier
from metaux.cli.train import Train
from metaux.labels.base import Batch
from metaux.labels.controls import Uniform
from metaux.labels.maxl import Maxl
from metaux.metagradient import MetaGradient, double_backward, finite_difference, forward_mode
from metaux.networks.backbones import BACKBONES
from metaux.runs.record import Run
from metaux.runs.workers import Processes
from metaux.settings import Settings
from metaux.studies.compare import compare
from metaux.training.learner import make_learner
from metaux.training.loop import fit
from metaux.training.meta_gradients import choose_meta_gradient
from properties import assert_same_weights
from small import cpu, learner, plan


class Recurrent(nn.Module):
    """Reads an image line by line; PyTorch has no forward-mode formula for an LSTM."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(8, 12, batch_first=True)
        self.norm = nn.BatchNorm1d(12)
        self.dropout = nn.Dropout()

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = self.dropout(self.norm(self.lstm(images[:, 0])[0].mean(1)))
        return found


class Bag(nn.Module):
    """The mean of words' vectors."""

    def __init__(self) -> None:
        super().__init__()
        self.bag = nn.EmbeddingBag(9, 4)

    def forward(self, words: Tensor) -> Tensor:
        found: Tensor = self.bag(words)
        return found


class Scaled(Recurrent):
    """Divides by a statistic that the gradient does not see."""

    def forward(self, images: Tensor) -> Tensor:
        hidden = super().forward(images)
        with torch.no_grad():
            scale = hidden.abs().mean(0)
        return hidden / (scale + 0.1)


class InPlace(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images.mul_(2).flatten(1)


IMAGES = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
WORDS = torch.arange(10).view(2, 5) % 9


def batch(inputs: Tensor) -> Batch:
    return Batch((inputs,), torch.tensor([0, 1]), torch.tensor([0, 1]))


@pytest.mark.parametrize(
    ("make", "inputs", "method", "said"),
    [
        (
            lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.BatchNorm1d(4), nn.Dropout()),
            IMAGES,
            forward_mode,
            "",
        ),
        (
            Recurrent,
            IMAGES,
            finite_difference,
            ": the meta-gradient is a finite difference",
        ),
        (Bag, WORDS, finite_difference, "no forward-mode formula for _embedding_bag: the meta-gradient is a finite"),
    ],
)
def test_the_exact_method_wherever_the_network_allows_it(
    make: Callable[[], nn.Module], inputs: Tensor, method: MetaGradient, said: str
) -> None:
    torch.manual_seed(0)
    network = make()
    before = copy.deepcopy(network)
    state = torch.get_rng_state()
    found, notice = choose_meta_gradient(network, batch(inputs), nullcontext())
    assert found is method
    assert said in notice
    assert bool(notice) == bool(said)
    assert_same_weights(network, before)
    assert all(parameter.grad is None for parameter in network.parameters())
    assert torch.get_rng_state().equal(state)
    assert network.training


def test_an_error_of_another_kind_is_not_taken_for_a_missing_formula() -> None:
    with pytest.raises(InputError, match="expected a network with parameters that require a gradient"):
        choose_meta_gradient(nn.Flatten(), batch(IMAGES), nullcontext())


def test_the_method_is_chosen_before_the_first_step_and_records_it() -> None:
    chosen = plan(Maxl, trunk=Recurrent, meta_gradient=None, epochs=1)
    made = make_learner(chosen, cpu())
    assert made.meta_gradient is finite_difference
    assert "finite difference" in made.notice
    fitted = fit(made)
    assert fitted.meta_gradient is finite_difference
    given = make_learner(replace(chosen, meta_gradient=finite_difference), cpu())
    assert given.notice == ""
    exact = fit(given)
    assert all(
        a.equal(b) for a, b in zip(fitted.network.parameters(), exact.network.parameters(), strict=True)
    )  # the choice leaves no trace
    asked = make_learner(replace(chosen, meta_gradient=double_backward), cpu())
    assert asked.meta_gradient is double_backward


def test_a_source_without_meta_steps_needs_no_method() -> None:
    made = learner(Uniform, trunk=Recurrent, meta_gradient=None, epochs=1)
    assert (made.meta_gradient, made.notice) == (None, "")
    assert fit(made).meta_gradient is None


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A backbone without a forward formula among those known by name."""
    monkeypatch.setitem(BACKBONES, "lines", lambda shape: Recurrent())
    return Settings(backbone="lines", epochs=1, train_size=60, device="cpu")


def test_a_comparison_says_it_once_and_each_run_records_it(lines: Settings, tmp_path: Path) -> None:
    said = io.StringIO()
    compare(lines, ("maxl", "single"), 2, Processes(1), tmp_path / "out", Console(file=said, width=200))
    assert said.getvalue().count("finite difference") == 1
    assert said.getvalue().index("finite difference") < said.getvalue().index("4 runs")
    runs = {folder.name: Run.read(folder).result["meta_gradient"] for folder in (tmp_path / "out" / "runs").iterdir()}
    assert runs == {name: None if "single" in name else "finite-difference" for name in runs}
    assert len(runs) == 4


@pytest.mark.parametrize(
    ("changes", "said", "recorded"),
    [
        ({}, 1, "finite-difference"),
        ({"meta_gradient": "finite-difference"}, 0, "finite-difference"),
        ({"backbone": "mlp"}, 0, "forward-mode"),
        ({"backbone": "mlp", "meta_gradient": "double-backward"}, 0, "double-backward"),
    ],
)
def test_a_run_says_it_once_and_records_it(
    changes: dict[str, str],
    said: int,
    recorded: str,
    lines: Settings,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Train(replace(lines, **changes), "maxl", out=tmp_path / "run").run()  # type: ignore[arg-type]
    assert capsys.readouterr().out.count("no forward-mode formula") == said
    assert Run.read(tmp_path / "run").result["meta_gradient"] == recorded


def test_asking_for_forward_mode_is_an_error_as_ever(lines: Settings, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"forward_mode needs .* use finite_difference"):
        Train(replace(lines, meta_gradient="forward-mode"), "maxl", out=tmp_path / "run").run()


def test_the_estimator_warns_once() -> None:
    images = torch.rand(40, 8, 8).numpy()
    labels = torch.arange(40).numpy() % 2
    classifier = MetauxClassifier(backbone=Recurrent(), method="maxl", epochs=2, random_state=0)
    with pytest.warns(UserWarning, match=r"no forward-mode formula for \w+: the") as caught:
        classifier.fit(images, labels)
    assert len(caught) == 1
    with pytest.raises(InputError, match="forward_mode needs"):
        classifier.set_params(meta_gradient="forward-mode").fit(images, labels)


def test_the_estimator_takes_a_library_network_and_says_what_has_no_weights() -> None:
    images = torch.rand(20, 8, 8).numpy()
    labels = torch.arange(20).numpy() % 2
    classifier = MetauxClassifier("timm:test_resnet", "maxl", epochs=1, random_state=0).fit(images, labels)
    assert classifier.predict(images).shape == (20,)
    for backbone, found in (("mlp", "found mlp, which has none"), (Recurrent(), "found Recurrent; load its weights")):
        with pytest.raises(InputError, match=found):
            MetauxClassifier(backbone=backbone, pretrained=True).fit(images, labels)


def test_a_finite_difference_that_sees_more_than_the_gradient_is_not_used() -> None:
    chosen = plan(Maxl, trunk=Scaled, meta_gradient=None, epochs=1)
    made = make_learner(chosen, cpu())
    assert made.meta_gradient is double_backward
    assert "no forward-mode formula for" in made.notice
    assert made.notice.endswith("it is by double backward, which is exact and slow")
    with pytest.raises(InputError, match=r"found an error of [\d.]+% \(torch.no_grad\(\) .* choose the meta-gradient"):
        make_learner(replace(chosen, meta_gradient=finite_difference), cpu())


def test_a_trunk_that_works_in_place_is_trained_on_the_batch_as_it_is() -> None:
    """As one that does the same on a copy."""

    class Copying(InPlace):
        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images.clone())

    first, second = (fit(learner(Maxl, trunk=trunk, epochs=1)) for trunk in (InPlace, Copying))
    assert all(a.equal(b) for a, b in zip(first.network.parameters(), second.network.parameters(), strict=True))
    assert all(a.equal(b) for a, b in zip(first.source.parameters(), second.source.parameters(), strict=True))
