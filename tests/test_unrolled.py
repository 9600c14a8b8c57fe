"""The gradient through many steps is plain autograd's through the same steps, and `forward_mode`'s for one step."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.utils._pytree import tree_leaves

from metaux import InputError, LookAhead, Step, forward_mode, unrolled
from metaux.errors import TrainingError
from metaux.hierarchy import Hierarchy
from metaux.losses import focal_loss, mask_softmax
from metaux.networks.multitask import MultiTaskNetwork, Outputs
from metaux.unrolling import UnrolledGradient
from test_metagradient import EmbeddingBag, convolutional, state, tied_weight, two_layers
from test_readme import blocks

HIERARCHY = Hierarchy([2, 3, 1])
SAMPLES, STEPS = 8, 20
Optimize = Callable[[list[nn.Parameter]], torch.optim.Optimizer]


pytestmark = pytest.mark.usefixtures("in_float64")


@dataclass
class Problem:
    """A training of a few steps on batches of its own."""

    network: nn.Module
    optimizer: torch.optim.Optimizer
    inputs: Tensor
    rates: bool = False
    weights: bool = False
    steps: int = STEPS
    seed: int = 7

    def __post_init__(self) -> None:
        count = self.steps * SAMPLES
        self.primary = torch.arange(count) % HIERARCHY.classes
        self.labels = mask_softmax(torch.randn(count, HIERARCHY.size), HIERARCHY.mask(self.primary))
        self.sample_weights = torch.rand(count) + 0.5

    def step(self, number: int) -> Step:
        rows = slice(number * SAMPLES, (number + 1) * SAMPLES)
        primary = self.primary[rows]

        def loss(outputs: Outputs, target: Tensor | tuple[Tensor, Tensor]) -> Tensor:
            labels, weights = target if isinstance(target, tuple) else (target, None)
            assert outputs.auxiliary is not None
            return focal_loss(outputs.primary, primary) + focal_loss(outputs.auxiliary, labels, weight=weights)

        labels = self.labels[rows]
        target = (labels, self.sample_weights[rows]) if self.weights else labels
        return Step((self.inputs[rows],), target, loss, 1 / (1 + number) if self.rates else 1.0)

    @staticmethod
    def outer_loss(outputs: Outputs) -> Tensor:
        return F.cross_entropy(outputs.primary, torch.arange(len(outputs.primary)) % HIERARCHY.classes)

    def outer(self) -> list[tuple[tuple[Tensor, ...], Callable[[Any], Tensor]]]:
        return [((self.inputs[:SAMPLES],), self.outer_loss), ((self.inputs[SAMPLES : SAMPLES + 4],), self.outer_loss)]

    def run(self, **options: Any) -> UnrolledGradient:
        given = self.network, self.optimizer, self.step, self.steps, self.outer()
        return unrolled(*given, seed=self.seed, **options)


def by_autograd(problem: Problem) -> tuple[list[tuple[Tensor, ...]], Tensor]:
    """Return the gradients of each step's target, and the outer loss, by one graph of all steps.

    The steps are those of torch's own optimizers, which can be differentiated.
    """
    names = [name for name, _ in problem.network.named_parameters()]
    parameters = [value.detach().clone().requires_grad_() for value in problem.network.parameters()]
    memory = [copy.deepcopy(problem.optimizer.state.get(value, {})) for value in problem.network.parameters()]
    network = copy.deepcopy(problem.network)
    targets = []

    def pass_of(inputs: tuple[Tensor, ...], seed: int) -> Any:
        torch.manual_seed(seed)
        return functional_call(network, dict(zip(names, parameters, strict=True)), inputs)

    for number in range(problem.steps):
        step = problem.step(number)
        leaves = [part.detach().requires_grad_() for part in tree_leaves(step.target)]
        targets.append(tuple(leaves))
        loss = step.loss(pass_of(step.inputs, problem.seed + number), leaves[0] if len(leaves) == 1 else tuple(leaves))
        gradients = torch.autograd.grad(loss, parameters, create_graph=True)
        parameters = [value.clone() for value in parameters]
        [group] = problem.optimizer.param_groups
        options = {
            key: value for key, value in group.items() if key not in ("params", "foreach", "fused", "capturable")
        }
        options |= {"lr": group["lr"] * step.rate, "differentiable": True}
        options.pop("decoupled_weight_decay", None)
        optimizer = type(problem.optimizer)(parameters, **options)
        for value, gradient, kept in zip(parameters, gradients, memory, strict=True):
            value.grad = gradient
            if group.get("momentum"):
                kept.setdefault("momentum_buffer", torch.zeros_like(value))  # else torch detaches the first gradient
            optimizer.state[value] = {key: part.clone() for key, part in kept.items() if part is not None}
        optimizer.step()
        memory = [dict(optimizer.state[value]) for value in parameters]
    total = torch.zeros(())
    samples = sum(len(inputs[0]) for inputs, _ in problem.outer())
    for place, (inputs, outer_loss) in enumerate(problem.outer()):
        total = total + outer_loss(pass_of(inputs, problem.seed + problem.steps + place)) * len(inputs[0]) / samples
    flat = torch.autograd.grad(total, [leaf for leaves in targets for leaf in leaves])
    parts = iter(flat)
    return [tuple(next(parts) for _ in leaves) for leaves in targets], total.detach()


def sgd(**options: Any) -> Optimize:
    return lambda parameters: torch.optim.SGD(parameters, 0.2, **options)


def network_on(trunk: nn.Module, features: int = 5) -> MultiTaskNetwork:
    return MultiTaskNetwork(trunk, nn.Linear(features, HIERARCHY.classes), nn.Linear(features, HIERARCHY.size))


def problem_of(
    trunk: nn.Module, optimize: Optimize, *sizes: int, features: int = 5, steps: int = STEPS, **options: bool
) -> Problem:
    network = network_on(trunk, features)
    optimizer = optimize(list(network.parameters()))
    return Problem(network, optimizer, torch.randn(steps * SAMPLES, *sizes or (5,)), steps=steps, **options)


def dropout() -> nn.Module:
    return nn.Sequential(nn.Linear(5, 5), nn.Tanh(), nn.Dropout(0.3))


def with_history(problem: Problem) -> Problem:
    """Let the real optimizer take two steps first, so that it has a memory."""
    for number in (3, 5):
        step = problem.step(number)
        step.loss(problem.network(*step.inputs), step.target).backward()
        problem.optimizer.step()
        problem.optimizer.zero_grad()
    return problem


MOMENTUM = sgd(momentum=0.9, weight_decay=0.01)
CASES: dict[str, Callable[[], Problem]] = {
    "plain": lambda: problem_of(two_layers(), sgd()),
    "momentum, decay and schedule": lambda: problem_of(two_layers(), MOMENTUM, rates=True),
    "nesterov": lambda: problem_of(two_layers(), sgd(momentum=0.9, nesterov=True, weight_decay=0.01)),
    "history": lambda: with_history(problem_of(two_layers(), MOMENTUM)),
    "batch norm and max pooling": lambda: problem_of(convolutional(), MOMENTUM, 2, 8, 8, features=36),
    "dropout": lambda: problem_of(dropout(), MOMENTUM),
    "tied weights": lambda: problem_of(tied_weight(), MOMENTUM),
    "per-sample weights": lambda: problem_of(two_layers(), MOMENTUM, weights=True),
    "adam": lambda: problem_of(two_layers(), lambda p: torch.optim.Adam(p, 0.01, weight_decay=0.01), rates=True),
    "adamw": lambda: problem_of(two_layers(), lambda p: torch.optim.AdamW(p, 0.01, weight_decay=0.1)),
    "adam, history": lambda: with_history(problem_of(two_layers(), lambda p: torch.optim.Adam(p, 0.01))),
    "all together": lambda: problem_of(
        nn.Sequential(convolutional(), nn.Dropout(0.2)), MOMENTUM, 2, 8, 8, features=36, rates=True, weights=True
    ),
    # Of a bias before batch norm the gradient is zero but for rounding, and at zero plain autograd divides by zero.
    "adam, batch norm": lambda: problem_of(
        convolutional(bias=False), lambda p: torch.optim.Adam(p, 0.01), 2, 8, 8, features=36, weights=True
    ),
}
each_case = pytest.mark.parametrize("build", CASES.values(), ids=CASES)


def flat(gradients: Any) -> Tensor:
    return torch.cat([part.flatten() for part in tree_leaves(gradients)])


def of_steps(found: UnrolledGradient) -> Tensor:
    return flat([found.gradient[number] for number in sorted(found.gradient)])


@each_case
def test_it_is_plain_autograd(build: Callable[[], Problem]) -> None:
    problem = build()
    expected, loss = by_autograd(problem)
    found = problem.run()
    assert not found.notice
    assert sorted(found.gradient) == list(range(STEPS))
    exact = flat(expected)
    assert float((of_steps(found) - exact).norm() / exact.norm()) < 1e-10
    torch.testing.assert_close(found.outer_loss, loss, rtol=1e-12, atol=0)


class Gated(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            gate = x.sigmoid()
        return x * gate


def test_no_tangent_passes_where_no_gradient_does() -> None:
    problem = problem_of(nn.Sequential(nn.Linear(5, 5), Gated()), MOMENTUM, steps=3)
    exact, found = flat(by_autograd(problem)[0]), of_steps(problem.run())
    assert float((found - exact).norm() / exact.norm()) < 1e-10


def test_layers_with_formulas_of_their_own() -> None:
    trunk = nn.Sequential(
        nn.BatchNorm1d(4),
        nn.Conv1d(4, 6, 3, stride=2, padding=1, groups=2),
        nn.BatchNorm1d(6, affine=False),
        nn.Tanh(),
        nn.Unflatten(2, (2, 2)),
        nn.Conv2d(6, 4, 2, padding="same", padding_mode="circular"),
        nn.BatchNorm2d(4),
        nn.Unflatten(3, (1, 2)),
        nn.Conv3d(4, 3, (1, 1, 2), dilation=(1, 2, 1), bias=False),
        nn.BatchNorm3d(3, track_running_stats=False),
        nn.Flatten(),
    )
    problem = problem_of(trunk, MOMENTUM, 4, 8, features=6, steps=3)
    exact, found = flat(by_autograd(problem)[0]), of_steps(problem.run())
    assert float((found - exact).norm() / exact.norm()) < 1e-10


@pytest.mark.parametrize("build", [CASES[name] for name in ("history", "all together", "adam, batch norm")])
def test_everything_stays_bit_for_bit(build: Callable[[], Problem]) -> None:
    problem = replace(with_history(build()), steps=2)
    before, memory = state(problem.network), copy.deepcopy(problem.optimizer.state_dict())
    problem.run(memory=10**9)
    torch.testing.assert_close(state(problem.network), before, rtol=0, atol=0)
    torch.testing.assert_close(problem.optimizer.state_dict(), memory, rtol=0, atol=0)


@pytest.mark.parametrize("trunk", [two_layers, dropout])
def test_one_step_is_forward_mode(trunk: Callable[[], nn.Module]) -> None:
    problem = replace(with_history(problem_of(trunk(), MOMENTUM, weights=True)), steps=1)
    assert isinstance(problem.optimizer, torch.optim.SGD)
    step, (inputs, outer_loss) = problem.step(0), problem.outer()[0]
    look_ahead = LookAhead.from_optimizer(problem.optimizer, problem.network)
    expected = forward_mode(
        problem.network, step.target, step.inputs, step.loss, inputs, outer_loss, look_ahead, seed=3
    )
    found = unrolled(problem.network, problem.optimizer, problem.step, 1, [(inputs, outer_loss)], seed=3)
    exact = flat(expected.gradient)
    assert float((of_steps(found) - exact).norm() / exact.norm()) < 1e-12
    torch.testing.assert_close(found.outer_loss, expected.outer_loss, rtol=1e-13, atol=0)


@pytest.mark.parametrize("name", ["all together", "adam, batch norm"])
def test_checkpoints_change_nothing(name: str) -> None:
    problem = CASES[name]()
    size = sum(x.numel() * x.element_size() for x in (*problem.network.parameters(), *problem.network.buffers()))
    found, whole = problem.run(memory=40 * size), problem.run(memory=200 * size)
    assert torch.equal(of_steps(found), of_steps(whole))
    with pytest.raises(InputError, match=r"expected at least .* bytes for the states of 20 steps"):
        problem.run(memory=5 * size)


def test_the_least_memory_is_that_of_two_roots_of_the_steps() -> None:
    problem = problem_of(two_layers(), lambda p: torch.optim.SGD(p, 0.1), steps=10)  # in spans of 4, 4 and 2
    least = (4 + 3) * sum(value.numel() * 8 for value in problem.network.parameters())
    assert problem.run(memory=least).outer_loss == problem.run().outer_loss
    with pytest.raises(InputError, match=f"at least {least:,} bytes for the states of 10 steps, found {least - 1:,};"):
        problem.run(memory=least - 1)


def test_horizon_leaves_out_the_first_steps() -> None:
    problem = CASES["all together"]()
    whole, part = problem.run(), problem.run(horizon=3)
    assert sorted(part.gradient) == [17, 18, 19]
    assert torch.equal(of_steps(part), flat([whole.gradient[number] for number in (17, 18, 19)]))
    assert torch.equal(part.outer_loss, whole.outer_loss)


def test_cap_scales_the_adjoint_down_and_says_where() -> None:
    problem = CASES["plain"]()
    free, capped = problem.run(), problem.run(cap=0.5)
    assert not free.capped
    assert 19 in capped.capped  # at half of its end, it acts at once
    factor = capped.capped[19]
    torch.testing.assert_close(flat(capped.gradient[19]), flat(free.gradient[19]), rtol=0, atol=0)
    torch.testing.assert_close(flat(capped.gradient[18]), factor * flat(free.gradient[18]), rtol=1e-12, atol=0)


class Squares(torch.autograd.Function):
    """Has a derivative of every order, but no forward-mode formula."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.square()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        return 2 * x * gradient


class Squared(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        squares: Tensor = Squares.apply(x)
        return squares


def test_a_missing_formula_is_said_and_gone_round() -> None:
    problem = problem_of(nn.Sequential(nn.Linear(5, 5), Squared()), MOMENTUM, steps=3)
    expected, _ = by_autograd(problem)
    found = problem.run()
    assert "no forward-mode formula for" in found.notice
    exact = flat(expected)
    assert float((of_steps(found) - exact).norm() / exact.norm()) < 1e-10


def test_a_network_without_any_formula_is_refused() -> None:
    network = network_on(EmbeddingBag())
    optimizer = torch.optim.SGD(network.parameters(), 0.2)
    problem = Problem(network, optimizer, torch.randint(11, (3 * SAMPLES, 7)), steps=3)
    with pytest.raises(InputError, match=r"unrolled needs .*; leave this operation out of the network"):
        problem.run()


def test_evaluation_mode() -> None:
    problem = CASES["dropout"]()
    found = problem.run(evaluating=True)
    assert found.outer_loss != problem.run().outer_loss
    assert all(module.training for module in problem.network.modules())
    with pytest.raises(InputError, match=r"changes no buffers .*running_mean.*; take the outer loss in training mode"):
        CASES["batch norm and max pooling"]().run(evaluating=True)


def test_what_is_no_longer_finite_is_named() -> None:
    problem = problem_of(two_layers(), lambda p: torch.optim.SGD(p, 1e200))
    with pytest.raises(TrainingError, match=r"became (inf|nan) (after|at step) "):
        problem.run()


@pytest.mark.parametrize(
    ("optimize", "message"),
    [
        (lambda p: torch.optim.RMSprop(p, 0.1), "expected SGD, Adam or AdamW of torch.optim, found RMSprop"),
        (lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, dampening=0.5), "without dampening"),
        (lambda p: torch.optim.Adam(p, 0.1, amsgrad=True), "without amsgrad"),
        (lambda p: torch.optim.SGD(p[:2], 0.1), "lacks"),
    ],
)
def test_an_optimizer_that_cannot_be_unrolled_is_refused(optimize: Optimize, message: str) -> None:
    with pytest.raises(InputError, match=message):
        problem_of(two_layers(), optimize).run()


@pytest.mark.parametrize("name", ["steps", "horizon", "cap"])
@pytest.mark.parametrize("value", [0, -1])
def test_numbers_that_make_no_training_are_refused(name: str, value: int) -> None:
    problem = problem_of(two_layers(), lambda p: torch.optim.SGD(p, 0.1))
    given: dict[str, Any] = {"steps": problem.steps, name: value}
    with pytest.raises(InputError, match=f"expected {name} above 0, found {value}; give more"):
        unrolled(problem.network, problem.optimizer, problem.step, outer=problem.outer(), **given)
    with pytest.raises(InputError, match="expected outer batches above 0, found 0; give more"):
        unrolled(problem.network, problem.optimizer, problem.step, problem.steps, [])


def test_weights_that_never_had_a_gradient_under_adam() -> None:
    problem = problem_of(two_layers(), lambda p: torch.optim.Adam(p, 0.01), steps=3)
    problem.inputs[:, 2] = 0  # like the border of an image
    assert of_steps(problem.run()).isfinite().all()


def test_the_snippet_of_the_page_is_short() -> None:
    [code] = blocks("python", "docs/unrolled.md")
    assert len(code.splitlines()) <= 25
