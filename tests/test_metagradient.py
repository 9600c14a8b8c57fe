"""The three differentiation methods agree with each other and with brute force, and leave the network alone."""

import copy
import re
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from inspect import signature
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.func import functional_call, jvp
from torch.nn import functional as F
from torch.utils._pytree import tree_map_only
from torch.utils.checkpoint import checkpoint

from metaux.errors import InputError
from metaux.functional import Tensors, operation_without_formula
from metaux.hierarchy import Hierarchy
from metaux.losses import focal_loss, focal_losses, mask_softmax
from metaux.metagradient import (
    LookAhead,
    MetaGradient,
    Problem,
    TargetGradient,
    double_backward,
    finite_difference,
    forward_mode,
)
from metaux.networks.backbones import vgg16
from metaux.networks.multitask import MultiTaskNetwork, Outputs

WAYS = [forward_mode, finite_difference, double_backward]
HIERARCHY = Hierarchy([2, 3, 1])
RATE = 0.5


@dataclass
class Case:
    """One call of a meta-gradient, and a real optimizer that would take the look-ahead's step."""

    network: nn.Module
    target: Tensors
    inner_inputs: tuple[Tensor, ...]
    inner_loss: Callable[[Any, Any], Tensor]
    outer_inputs: tuple[Tensor, ...]
    outer_loss: Callable[[Any], Tensor]
    optimizer: torch.optim.SGD
    seed: int = 7

    def run(self, way: MetaGradient, **options: Any) -> TargetGradient:
        return way(
            self.network,
            self.target,
            self.inner_inputs,
            self.inner_loss,
            self.outer_inputs,
            self.outer_loss,
            LookAhead.from_optimizer(self.optimizer, self.network),
            seed=self.seed,
            **options,
        )

    def to(self, dtype: torch.dtype) -> "Case":
        """Return a copy in another precision."""

        def cast(nest: Any) -> Any:
            return tree_map_only(Tensor, lambda x: x.to(dtype) if x.is_floating_point() else x, nest)

        network, optimizer = copy.deepcopy((self.network, self.optimizer))
        network.to(dtype)
        for state in optimizer.state.values():
            state.update(cast(dict(state)))
        return replace(
            self,
            network=network,
            optimizer=optimizer,
            target=cast(self.target),
            inner_inputs=cast(self.inner_inputs),
            outer_inputs=cast(self.outer_inputs),
        )

    def objective(self, target: Tensors) -> float:
        """Take the look-ahead with the real optimizer on a copy of the real module; return the outer loss."""
        network, optimizer = copy.deepcopy((self.network, self.optimizer))
        optimizer.zero_grad()
        torch.manual_seed(self.seed)
        self.inner_loss(network(*self.inner_inputs), target).backward()
        optimizer.step()
        torch.manual_seed(self.seed + 1)
        return float(self.outer_loss(network(*self.outer_inputs)).detach())


def labels(count: int, classes: Tensor) -> Tensor:
    return mask_softmax(torch.randn(count, HIERARCHY.size), HIERARCHY.mask(classes))


def classification(
    trunk: nn.Module,
    features: int,
    inputs: tuple[Tensor, ...],
    outer_inputs: tuple[Tensor, ...] | None = None,
    gamma: float = 2.0,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
) -> Case:
    """A primary and an auxiliary focal loss on a multi-task network, as MAXL has it."""
    network = MultiTaskNetwork(trunk, nn.Linear(features, HIERARCHY.classes), nn.Linear(features, HIERARCHY.size))
    outer_inputs = inputs if outer_inputs is None else outer_inputs
    classes, outer_classes = (torch.arange(len(x[0])) % HIERARCHY.classes for x in (inputs, outer_inputs))

    def inner_loss(outputs: Outputs, target: Tensor) -> Tensor:
        assert outputs.auxiliary is not None
        return focal_loss(outputs.primary, classes, gamma) + focal_loss(outputs.auxiliary, target, gamma)

    def outer_loss(outputs: Outputs) -> Tensor:
        return focal_loss(outputs.primary, outer_classes, gamma)

    optimizer = torch.optim.SGD(
        [p for p in network.parameters() if p.requires_grad], RATE, momentum, weight_decay=weight_decay
    )
    target = labels(len(inputs[0]), classes)
    return Case(network, target, inputs, inner_loss, outer_inputs, outer_loss, optimizer)


def perceptron(*activations: nn.Module) -> nn.Sequential:
    layers: list[nn.Module] = []
    for activation in activations:
        layers += [nn.Linear(5, 5), activation]
    return nn.Sequential(*layers)


class Summed(nn.Module):
    """Autograd gives both parameters one gradient tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.randn(5))
        self.b = nn.Parameter(torch.randn(5))

    def forward(self, x: Tensor) -> Tensor:
        return x * (self.a + self.b).tanh()


class Checkpointed(nn.Module):
    """Computes its parts again in the backward pass, instead of keeping what they computed."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleList(nn.Sequential(nn.Linear(5, 5), nn.BatchNorm1d(5), nn.Tanh()) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        for part in self.parts:
            x = x + checkpoint(part, x, use_reentrant=False)
        return x


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Bilinear(3, 4, 5)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return torch.tanh(self.mix(a, b))


class Text(nn.Module):
    def __init__(self, recurrent: type[nn.GRU] | type[nn.LSTM]) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, 4)
        self.recurrent = recurrent(4, 5, batch_first=True)

    def forward(self, tokens: Tensor) -> Tensor:
        features: Tensor = self.recurrent(self.embedding(tokens))[0].mean(1)
        return features


class Attention(nn.Module):
    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.project = nn.Linear(4, 12)
        self.dropout = dropout

    def forward(self, tokens: Tensor) -> Tensor:
        q, k, v = self.project(tokens).unsqueeze(1).chunk(3, -1)
        return F.scaled_dot_product_attention(q, k, v, dropout_p=self.dropout).mean((1, 2))


def on(trunk: nn.Module, *sizes: int, features: int = 5, **options: Any) -> Case:
    """Return a case with six random samples of these sizes."""
    return classification(trunk, features, (torch.randn(6, *sizes or (5,)),), **options)


def two_layers() -> nn.Sequential:
    return perceptron(nn.Tanh(), nn.Tanh())


def shared(*between: nn.Module) -> nn.Sequential:
    """Return a network that passes one linear layer twice."""
    layer = nn.Linear(5, 5)
    return nn.Sequential(layer, *between, layer, nn.Tanh())


def shared_batch_norm() -> nn.Module:
    layer = nn.BatchNorm1d(5)
    return nn.Sequential(nn.Linear(5, 5), layer, nn.Tanh(), layer)


def tied_weight() -> nn.Module:
    trunk = two_layers()
    trunk[2].weight = trunk[0].weight
    return trunk


def frozen_layer() -> nn.Module:
    trunk = two_layers()
    trunk[0].requires_grad_(False)
    return trunk


def encoder(layers: int, activation: str = "relu") -> nn.Module:
    layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True, activation=activation)
    return nn.Sequential(layer if layers == 1 else nn.TransformerEncoder(layer, layers), nn.Flatten())


def convolutional(bias: bool = True) -> nn.Module:
    first = nn.Conv2d(2, 4, 3, bias=bias)
    return nn.Sequential(first, nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Flatten())


def evaluating(case: Case) -> Case:
    case.network.eval()
    return case


def sample_weights() -> Case:
    case = on(two_layers())
    classes = torch.arange(6) % HIERARCHY.classes

    def inner_loss(outputs: Outputs, target: tuple[Tensor, Tensor]) -> Tensor:
        assert outputs.auxiliary is not None
        return focal_loss(outputs.primary, classes) + focal_loss(outputs.auxiliary, target[0], weight=target[1])

    assert isinstance(case.target, Tensor)
    return replace(case, inner_loss=inner_loss, target=(case.target, torch.rand(6) + 0.5))


def vector_target() -> Case:
    def inner_loss(outputs: Outputs, target: Tensor) -> Tensor:
        assert outputs.auxiliary is not None
        return outputs.primary.square().mean() + (outputs.auxiliary.sin() - target.exp()).square().mean()

    return replace(on(two_layers()), inner_loss=inner_loss, target=torch.randn(6, HIERARCHY.size))


def momentum_and_decay() -> Case:
    case = on(two_layers(), momentum=0.9, weight_decay=0.1)
    for _ in range(2):
        case.optimizer.zero_grad()
        case.outer_loss(case.network(*case.inner_inputs)).backward()  # leaves the auxiliary head without buffers
        case.optimizer.step()
    return case


def no_auxiliary_head() -> Case:
    def inner_loss(outputs: Outputs, target: Tensor) -> Tensor:
        assert outputs.auxiliary is None
        return (target * outputs.primary.tanh()).mean() + outputs.features.square().mean()

    case = on(two_layers())
    assert isinstance(case.network, MultiTaskNetwork)
    case.network.auxiliary_head = None
    return replace(case, inner_loss=inner_loss, target=torch.randn(6, 3))


def tensor_output() -> Case:
    network = two_layers()
    optimizer = torch.optim.SGD(network.parameters(), RATE)
    x = (torch.randn(6, 5),)
    return Case(network, torch.rand(6), x, lambda o, t: (t * o.sum(1)).mean(), x, lambda o: o[0, 0], optimizer)


Build = Callable[[], Case]
SMOOTH: dict[str, Build] = {
    "unequal slots": lambda: on(two_layers()),
    "cross entropy": lambda: on(perceptron(nn.Tanh()), gamma=0),
    "dropout": lambda: on(perceptron(nn.Tanh(), nn.Dropout(0.4), nn.Tanh())),
    "shared module": lambda: on(shared(nn.Tanh())),
    "tied weight": lambda: on(tied_weight()),
    "shared batch norm": lambda: on(shared_batch_norm()),
    "frozen parameters": lambda: on(frozen_layer()),
    "sample weights": sample_weights,
    "vector target": vector_target,
    "another outer batch": lambda: classification(two_layers(), 5, (torch.randn(6, 5),), (torch.randn(9, 5),)),
    "momentum and decay": momentum_and_decay,
    "several inputs": lambda: classification(TwoInputs(), 5, (torch.randn(6, 3), torch.randn(6, 4))),
    "text": lambda: classification(Text(nn.GRU), 5, (torch.randint(11, (6, 7)),)),
    "summed parameters": lambda: on(Summed()),
    "fused attention": lambda: on(Attention(0.0), 7, 4, features=4),
    "fused attention with dropout": lambda: on(Attention(0.3), 7, 4, features=4),
    "encoder layer": lambda: on(encoder(1, "gelu"), 3, 4, features=12),
    "no auxiliary head": no_auxiliary_head,
    "tensor output": tensor_output,
}


def has_tangents_of_checkpoints() -> bool:
    """Return whether this PyTorch has a forward-mode formula for `checkpoint`; 2.7 has none, and says so."""
    point = torch.ones(2, requires_grad=True)
    with warnings.catch_warnings(), suppress(NotImplementedError):
        warnings.simplefilter("ignore")  # of PyTorch about itself, on the first of its tangents
        torch.func.jvp(lambda x: checkpoint(torch.sin, x, use_reentrant=False), (point,), (point,))
        return True
    return False


CASES: dict[str, Build] = {
    **SMOOTH,
    "batch norm": lambda: on(convolutional(), 2, 8, 8, features=36),
    "batch norm evaluating": lambda: evaluating(on(convolutional(), 2, 8, 8, features=36)),
    # where PyTorch has a fused path of its own
    "encoder evaluating": lambda: evaluating(on(encoder(2), 3, 4, features=12)),
}
if has_tangents_of_checkpoints():
    CASES["checkpointed"] = lambda: classification(Checkpointed(), 5, (torch.randn(6, 5),), (torch.randn(9, 5),))
each_case = pytest.mark.parametrize("build", CASES.values(), ids=CASES)
each_way = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)


pytestmark = pytest.mark.usefixtures("in_float64")


def flat(tensors: Tensors) -> Tensor:
    parts = tensors if isinstance(tensors, tuple) else (tensors,)
    return torch.cat([part.detach().double().flatten() for part in parts])


def distance(found: TargetGradient, expected: TargetGradient) -> float:
    """The relative distance of two meta-gradients."""
    reference = flat(expected.gradient)
    assert reference.norm() > 0
    return float((flat(found.gradient) - reference).norm() / reference.norm())


# agreement


def brute_force(case: Case) -> Tensor:
    """Differentiate the real step entry by entry, each shifted both ways."""
    slopes, h = [], 1e-5
    for part in case.target if isinstance(case.target, tuple) else (case.target,):
        for entry in part.view(-1).tensor_split(part.numel()):
            ends = []
            for step in (h, -h):
                entry += step
                ends.append(case.objective(case.target))
                entry -= step
            slopes.append((ends[0] - ends[1]) / (2 * h))
    return torch.tensor(slopes)


@each_case
def test_double_backward_is_the_derivative_of_the_real_step(build: Build) -> None:
    case = build()
    found = case.run(double_backward)
    torch.testing.assert_close(flat(found.gradient), brute_force(case), rtol=1e-5, atol=1e-9)
    torch.testing.assert_close(float(found.outer_loss), case.objective(case.target), rtol=1e-12, atol=0)


def deep() -> Case:
    return classification(vgg16((3, 32, 32)), 512, (torch.randn(4, 3, 32, 32),))


EXACT, CLOSE = 1e-10, 1e-3
# Against double backward in double precision: the method, its precision, the distance allowed, on which cases.
AGREEMENT = [
    *((forward_mode, torch.float64, EXACT, name) for name in CASES),
    *((finite_difference, torch.float64, CLOSE, name) for name in CASES),
    *((finite_difference, torch.float32, CLOSE, name) for name in SMOOTH),
]


@pytest.mark.parametrize(("way", "precision", "allowed", "name"), AGREEMENT)
def test_ways_agree_with_double_backward(way: MetaGradient, precision: torch.dtype, allowed: float, name: str) -> None:
    case = CASES[name]()
    assert distance(case.to(precision).run(way), case.run(double_backward)) < allowed


@pytest.mark.parametrize("build", [*CASES.values(), deep], ids=[*CASES, "deep"])
def test_single_precision_is_no_worse_than_double_backward(build: Build) -> None:
    case = build()
    single, exact = case.to(torch.float32), case.run(double_backward)
    rounding = torch.finfo(torch.float32).eps
    allowed = max(1.2 * distance(single.run(double_backward), exact), 4 * rounding)
    assert distance(single.run(forward_mode), exact) < allowed


class Unseen(nn.Module):
    """Divides by a statistic, keeps a moving average and works in place, all of which the gradient does not see."""

    average: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(5, 6)
        self.head = nn.Linear(6, 6)
        self.register_buffer("average", torch.zeros(6))

    def forward(self, x: Tensor) -> Tensor:
        hidden: Tensor = self.layer(x)
        with torch.no_grad():
            scale = hidden.abs().mean(0)
            self.average.mul_(0.9).add_(scale, alpha=0.1)
        found: Tensor = self.head(torch.tanh(hidden / (scale + 0.1)) + self.average)
        return found


class InPlace(nn.Module):
    """Changes what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(5, 6)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.layer(x.mul_(2).sub_(1))
        return found


def test_what_the_gradient_does_not_see_no_tangent_does() -> None:
    case = classification(Unseen(), 6, (torch.randn(8, 5),))
    exact = case.run(double_backward)
    assert distance(case.run(forward_mode), exact) < EXACT
    assert distance(case.run(finite_difference), exact) > 10 * CLOSE  # a difference sees through it


@pytest.mark.parametrize("way", WAYS)
def test_a_network_that_works_in_place_leaves_the_batch_as_it_was(way: MetaGradient) -> None:
    case = classification(InPlace(), 6, (torch.randn(8, 5),))
    before = [part.clone() for part in (*case.inner_inputs, *case.outer_inputs)]
    first, again = case.run(way), case.run(way)
    assert all(a.equal(b) for a, b in zip(before, (*case.inner_inputs, *case.outer_inputs), strict=True))
    assert distance(first, again) == 0
    assert distance(first, case.run(double_backward)) < CLOSE


class Adapted(nn.Module):
    """Trained layers in single precision beside frozen ones in half."""

    def __init__(self) -> None:
        super().__init__()
        self.frozen = nn.ModuleList(nn.Linear(5, 5).to(torch.bfloat16).requires_grad_(False) for _ in range(2))
        self.adapter = nn.Linear(5, 5, dtype=torch.float32)

    def forward(self, x: Tensor) -> Tensor:
        x = x.bfloat16()
        features: Tensor = self.frozen[1]((self.frozen[0](x) + self.adapter(x.float()).bfloat16()).tanh())
        return features.double()


def test_finite_difference_steps_far_enough_for_frozen_parameters_in_half_precision() -> None:
    case = classification(Adapted(), 5, (torch.randn(60, 5),))
    assert distance(case.run(finite_difference), case.run(double_backward)) < 0.1


def test_gradients_of_a_sparse_embedding_are_those_of_a_dense_one() -> None:
    found = []
    for sparse in (True, False):
        torch.manual_seed(0)
        tokens = nn.Sequential(nn.Embedding(11, 5, sparse=sparse), nn.Flatten(), nn.Tanh())
        found.append(classification(tokens, 20, (torch.randint(11, (6, 4)),)).run(forward_mode))
    assert distance(*found) < 1e-10


@settings(max_examples=20)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.integers(1, 6), st.sampled_from([0.0, 1.0, 2.0]))
def test_ways_agree_for_any_hierarchy_and_batch(slots: list[int], batch: int, gamma: float) -> None:
    hierarchy = Hierarchy(slots)
    network = MultiTaskNetwork(perceptron(nn.Tanh()), nn.Linear(5, len(slots)), nn.Linear(5, hierarchy.size))
    x, classes = torch.randn(batch, 5), torch.randint(len(slots), (batch,))
    target = mask_softmax(torch.randn(batch, hierarchy.size), hierarchy.mask(classes))

    def primary(outputs: Outputs) -> Tensor:
        return outputs.primary.square().mean() + focal_loss(outputs.primary, classes, gamma)

    def inner(outputs: Outputs, target: Tensor) -> Tensor:
        assert outputs.auxiliary is not None
        return primary(outputs) + focal_loss(outputs.auxiliary, target, gamma)

    def run(way: MetaGradient) -> Tensor:
        return flat(way(network, target, (x,), inner, (x,), primary, LookAhead(RATE)).gradient)

    double = run(double_backward)
    torch.testing.assert_close(run(forward_mode), double, rtol=1e-10, atol=1e-14)
    torch.testing.assert_close(run(finite_difference), double, rtol=1e-3, atol=1e-6)


def test_gradient_is_the_directional_derivative_of_the_focal_losses() -> None:
    case = on(two_layers())
    network = case.network
    theta = {name: value.detach() for name, value in network.named_parameters()}
    loss = case.inner_loss(network(*case.inner_inputs), case.target)
    gradient = dict(zip(theta, torch.autograd.grad(loss, list(network.parameters())), strict=True))
    ahead = LookAhead(RATE).step(theta, gradient)
    v = torch.func.grad(lambda p: case.outer_loss(functional_call(network, p, case.outer_inputs)))(ahead)
    slopes = jvp(lambda p: focal_losses(functional_call(network, p, case.inner_inputs).auxiliary), (theta,), (v,))[1]
    found = case.run(forward_mode).gradient
    torch.testing.assert_close(found, -RATE / 6 * slopes, rtol=1e-10, atol=1e-15)


@each_way
@pytest.mark.parametrize(
    ("look_ahead", "expected"),
    [
        # theta+ = 2 - 0.1 * 7 = 1.3, so L_out = 0.3^2 / 2, v = 0.3,
        # dL/dt = -0.1 * 0.3 * -3 and dL/dw = -0.1 * 0.3 * 2
        (LookAhead(0.1), (0.045, 0.09, -0.06)),
        # theta+ = 2 - 0.1 * (0.5 * 2 + 7 + 0.1 * 2) = 1.18, so v = 0.18
        (
            LookAhead(0.1, 0.5, 0.1, {"weight": torch.tensor([[2.0]], dtype=torch.float64)}),
            (0.0162, 0.054, -0.036),
        ),
    ],
    ids=["plain", "momentum"],
)
def test_value_worked_out_by_hand(
    way: MetaGradient, look_ahead: LookAhead, expected: tuple[float, float, float]
) -> None:
    # o = theta x with theta = 2, x = 1; L_in = (o - 1)^2 / 2 + w (o - t)^2 / 2 with t = 0, w = 3; so
    # g = (theta - 1) + w (theta - t) = 7, dg/dt = -w = -3, dg/dw = theta - t = 2
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, 2.0)
    x = torch.ones(1, 1)

    def inner_loss(o: Tensor, target: tuple[Tensor, Tensor]) -> Tensor:
        t, w = target
        return ((o - 1).square() / 2 + w * (o - t).square() / 2).sum()

    def outer_loss(o: Tensor) -> Tensor:
        return (o - 1).square().sum() / 2

    target = (torch.zeros(1, 1), torch.full((1, 1), 3.0))
    found = way(network, target, (x,), inner_loss, (x,), outer_loss, look_ahead)
    values = [found.outer_loss.item(), found.gradient[0].item(), found.gradient[1].item()]
    assert values == pytest.approx(expected, rel=1e-6 if way is finite_difference else 1e-12)


# what stays as it was


def state(network: nn.Module) -> list[Any]:
    tensors = [*network.parameters(), *network.buffers()]
    return [
        [x.detach().clone() for x in tensors],
        [None if x.grad is None else x.grad.clone() for x in tensors],
        [x.requires_grad for x in tensors],
        [id(x) for x in tensors],
        [module.training for module in network.modules()],
        torch.get_rng_state(),
    ]


@each_way
@each_case
def test_the_network_and_the_random_state_stay_bit_for_bit(way: MetaGradient, build: Build) -> None:
    case = build()
    case.outer_loss(case.network(*case.outer_inputs)).backward()
    before, memory = state(case.network), copy.deepcopy(case.optimizer.state_dict())
    target = flat(case.target)
    case.run(way)
    torch.testing.assert_close(state(case.network), before, rtol=0, atol=0)
    torch.testing.assert_close(case.optimizer.state_dict(), memory, rtol=0, atol=0)
    assert torch.equal(flat(case.target), target)


@each_way
def test_the_result_carries_no_graph(way: MetaGradient) -> None:
    case = on(two_layers())
    assert isinstance(case.target, Tensor)
    found = case.run(way)
    assert isinstance(found.gradient, Tensor)
    assert not found.gradient.requires_grad
    assert not found.outer_loss.requires_grad


@each_way
def test_a_target_with_a_graph_counts_as_its_values(way: MetaGradient) -> None:
    case = on(two_layers())
    assert isinstance(case.target, Tensor)
    logits = case.target.log().requires_grad_()
    with_graph = replace(case, target=logits.exp())
    with torch.no_grad():
        assert distance(with_graph.run(way), case.run(way)) < 1e-12
    assert logits.grad is None


@each_way
def test_seed_decides_the_dropout_masks(way: MetaGradient) -> None:
    case = CASES["dropout"]()
    first = case.run(way)
    torch.manual_seed(123)
    assert distance(case.run(way), first) == 0
    assert distance(replace(case, seed=8).run(way), first) > 1e-3


@each_way
def test_no_dependence_gives_zero(way: MetaGradient) -> None:
    case = on(two_layers())
    found = replace(case, inner_loss=lambda o, t: o.primary.square().mean() + t.sum()).run(way)
    assert torch.equal(flat(found.gradient), torch.zeros(6 * HIERARCHY.size))
    found = case.run(way, average=lambda tensors, samples: [torch.zeros_like(x) for x in tensors])
    assert torch.equal(flat(found.gradient), torch.zeros(6 * HIERARCHY.size))


def test_bfloat16_autocast() -> None:
    case = on(two_layers()).to(torch.float32)
    exact = case.run(double_backward)
    for way in WAYS:
        with torch.autocast("cpu", torch.bfloat16):
            assert distance(case.run(way), exact) < 0.1


# data-parallel processes


def two_process_case() -> Case:
    torch.manual_seed(0)
    return classification(two_layers(), 5, (torch.randn(9, 5),), momentum=0.9)


def split(case: Case, rows: slice) -> Case:
    classes = (torch.arange(9) % HIERARCHY.classes)[rows]

    def inner_loss(outputs: Outputs, target: Tensor) -> Tensor:
        assert outputs.auxiliary is not None
        return focal_loss(outputs.primary, classes) + focal_loss(outputs.auxiliary, target)

    def outer_loss(outputs: Outputs) -> Tensor:
        return focal_loss(outputs.primary, classes)

    assert isinstance(case.target, Tensor)
    inputs = (case.inner_inputs[0][rows],)
    return Case(case.network, case.target[rows], inputs, inner_loss, inputs, outer_loss, case.optimizer)


@each_way
def test_two_uneven_processes_equal_one(way: MetaGradient) -> None:
    case, rows = two_process_case(), (slice(0, 3), slice(3, 9))
    averages: list[list[Tensor]] = []

    def share(own: slice) -> tuple[TargetGradient, list[list[Tensor]]]:
        """Return what a process finds that goes on with `averages`, and what it gives to each of them."""
        given: list[list[Tensor]] = []

        def average(tensors: Sequence[Tensor], samples: int) -> list[Tensor]:
            given.append([tensor * samples for tensor in tensors])
            return averages[len(given) - 1] if averages else list(tensors)

        return split(case, own).run(way, average=average), given

    for _ in range(3):  # with no average, with that of the look-ahead's gradient, with that of v as well
        (first, gave), (second, also) = map(share, rows)
        averages = [[(a + b) / 9 for a, b in zip(*both, strict=True)] for both in zip(gave, also, strict=True)]
    assert len(averages) == 2
    # each process returns its own share: the mean over its own samples
    assert isinstance(first.gradient, Tensor)
    assert isinstance(second.gradient, Tensor)
    joined = torch.cat([first.gradient * 3 / 9, second.gradient * 6 / 9])
    bound, whole = 1e-6 if way is finite_difference else 1e-10, case.run(way)
    assert distance(TargetGradient(joined, first.outer_loss), whole) < bound
    for part in (first, second):
        torch.testing.assert_close(part.outer_loss, whole.outer_loss, rtol=1e-10, atol=0)


# errors


class EmbeddingBag(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.bag = nn.EmbeddingBag(11, 5)

    def forward(self, tokens: Tensor) -> Tensor:
        features: Tensor = self.bag(tokens)
        return features


def test_lstm_has_no_forward_formula_but_a_finite_difference() -> None:
    case = classification(Text(nn.LSTM), 5, (torch.randint(11, (6, 7)),))
    single = case.to(torch.float32)
    with pytest.raises(InputError, match=r"forward_mode needs .* use finite_difference") as told:
        single.run(forward_mode)
    assert re.fullmatch(r"\w*(rnn|lstm)\w*", operation_without_formula(told.value))
    assert distance(single.run(finite_difference), case.run(double_backward)) < 1e-3


def test_embedding_bag_has_no_second_derivative_but_a_finite_difference() -> None:
    case = classification(EmbeddingBag(), 5, (torch.randint(11, (6, 7)),))
    for way in (forward_mode, double_backward):
        with pytest.raises(InputError, match=r"needs .* use finite_difference"):
            case.run(way)
    found = flat(case.run(finite_difference).gradient)
    torch.testing.assert_close(found, brute_force(case), rtol=1e-5, atol=1e-8)


@pytest.mark.filterwarnings("ignore:Guards may run slower on Python 3.13.0")
def test_a_compiled_network_has_no_second_derivative_but_a_finite_difference() -> None:
    case = on(two_layers())
    exact = case.run(double_backward)
    case.network.compile(backend="aot_eager")
    with pytest.raises(InputError, match=r"double_backward needs .* use finite_difference"):
        case.run(double_backward)
    assert distance(case.run(finite_difference), exact) < 1e-3


@each_way
def test_bad_problems_are_named(way: MetaGradient) -> None:
    case = on(two_layers())
    frozen = copy.deepcopy(case.network).requires_grad_(False)
    with pytest.raises(InputError, match="parameters that require a gradient, found none"):
        replace(case, network=frozen).run(way)
    with pytest.raises(InputError, match=r"inner loss of one number.*shape \[6, 3\]"):
        replace(case, inner_loss=lambda o, t: o.primary).run(way)
    with pytest.raises(InputError, match=r"outer loss of one number.*without a gradient"):
        replace(case, outer_loss=lambda o: torch.zeros(())).run(way)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: torch.optim.Adam(p), "found Adam"),
        (lambda p: torch.optim.SGD([{"params": p[:1]}, {"params": p[1:]}], 0.1), "found 2"),
        (lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True), "without nesterov"),
        (lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, dampening=0.1), "without dampening"),
        (lambda p: torch.optim.SGD(p, 0.1, maximize=True), "without maximize"),
        (lambda p: torch.optim.SGD(p[:1], 0.1), "lacks bias"),
    ],
)
def test_unfit_optimizers_are_named(make: Callable[[list[Tensor]], torch.optim.Optimizer], message: str) -> None:
    network = nn.Linear(2, 2)
    with pytest.raises(InputError, match=message):
        LookAhead.from_optimizer(make(list(network.parameters())), network)


@dataclass
class Held:
    value: Tensor


class Holding(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Held:
        return Held(self.inner(x))


@pytest.mark.parametrize("way", [forward_mode, finite_difference])
def test_outputs_that_cannot_be_looked_into_are_refused(way: MetaGradient) -> None:
    x, target = torch.rand(4, 3), torch.rand(4, 2)
    network, step = Holding(), LookAhead(0.1)
    inner = lambda held, t: (held.value - t).square().mean()  # noqa: E731
    outer = lambda held: held.value.square().mean()  # noqa: E731
    with pytest.raises(
        InputError, match=r"expected a tensor or a tuple, list or dict of tensors .* found Held; return"
    ):
        way(network, target, (x,), inner, (x,), outer, step)


@pytest.mark.parametrize(
    ("way", "name", "told"),
    [
        (forward_mode, "forward_mode", "from one forward-mode pass;"),
        (finite_difference, "finite_difference", "by a central difference of the outputs;"),
        (double_backward, "double_backward", "by a second backward pass;"),
    ],
)
def test_each_way_keeps_its_name_and_its_help_and_shows_its_arguments(way: Any, name: str, told: str) -> None:
    assert (way.__name__, way.__module__) == (name, "metaux.metagradient")
    assert told in way.__doc__
    assert [*signature(way).parameters] == [*signature(Problem).parameters]


@pytest.mark.parametrize("theta", [3.0, 0.0])
@pytest.mark.parametrize(("dtype", "step"), [(torch.float64, 10 * 2 ** (-52 * 2 / 3)), (torch.float32, 2.42e-4)])
def test_the_step_of_a_finite_difference_is_that_of_its_page(dtype: torch.dtype, step: float, theta: float) -> None:
    """min(sqrt(p), 10 p^(2/3)) of the parameters' norm, or of 1 where they are 0, in both directions."""
    network, at = nn.Linear(1, 1, bias=False, dtype=dtype), list[float]()
    nn.init.constant_(network.weight, theta)
    network.register_forward_pre_hook(lambda module, _: at.append(float(module.weight.detach())))
    x, target = torch.ones(1, 1, dtype=dtype), torch.full((1, 1), 0.5, dtype=dtype)

    def half_square(output: Tensor, target: Tensor) -> Tensor:
        return 0.5 * (output - target).square().sum()

    finite_difference(network, target, (x,), half_square, (x,), lambda output: half_square(output, x), LookAhead(0.25))
    moved = sorted(weight - theta for weight in at[-2:])
    assert moved == pytest.approx([-step * (theta or 1.0), step * (theta or 1.0)], rel=0.02)
