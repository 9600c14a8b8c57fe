"""The meta-gradient: how the loss after one look-ahead step changes with the auxiliary targets.

One signature, three ways: `forward_mode` (the default, exact), `finite_difference` (for networks that
forward mode cannot differentiate) and `double_backward` (the textbook way, an oracle for tests). Nothing here
knows where the targets come from: the result is the gradient with respect to the target tensors, and the
caller sends it through whatever made them with one ordinary backward pass of `(target * gradient).sum()`.

**Derivation.** With the inner loss L_in(theta, t), whose target t the label generator made, the look-ahead
(equation 4) and the outer loss (equation 3) are

    theta+ = theta - alpha g,    g = dL_in/dtheta (theta, t);        L_out(theta+).

Let v be the gradient of L_out at theta+, an ordinary backward pass, and u = -alpha v. By the chain rule

    dL_out/dt = (dtheta+/dt)^T v = d<g, u>/dt,

and <g, u> is the slope of L_in at theta along u. L_in sees theta through the network's outputs o alone, so

    <g, u> = <dL_in/do (o, t), o'>,    with o' = (do/dtheta) u, the tangent of the outputs.

o' is all that is needed of the network and costs one forward pass; the rest is a few operations on tensors of
the outputs' size, exact for any L_in. For the focal loss, linear in t, the result is -(alpha / batch) times
the directional derivative of `focal_losses` along v. No second-order graph of the network is ever built.
With momentum and weight decay theta+ moves, but dtheta+/dg is -alpha still.

The three ways differ in one step: o' by forward-mode differentiation, o' by a central difference, or
d<g, u>/dt by a second backward pass through g.

Every forward pass runs on substitutes for the parameters, on clones of the buffers and on a random stream of
its own: parameters, gradients, running statistics and the global random state stay as they are, bit for bit.

This file is longer than 300 lines for its docstrings and for one signature written as a protocol.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache, cached_property, wraps
from typing import Any, NamedTuple, Protocol
from warnings import catch_warnings, filterwarnings

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.utils import get_total_norm
from torch.utils._pytree import tree_flatten, tree_map_only, tree_unflatten

from metaux.errors import InputError

Tensors = Tensor | tuple[Tensor, ...]
InnerLoss = Callable[[Any, Any], Tensor]
OuterLoss = Callable[[Any], Tensor]
Average = Callable[[Sequence[Tensor], int], list[Tensor]]
Parameters = dict[str, Tensor]


@dataclass(frozen=True)
class LookAhead:
    """The virtual SGD step theta+ = theta - alpha (mu b + g + decay theta); in equation 4 mu and decay are 0.

    Args:
        learning_rate: alpha.
        momentum: mu.
        weight_decay: decay, of the L2 norm.
        velocity: b, the momentum buffer of each parameter by name; absent ones are 0.

    >>> LookAhead(0.5, weight_decay=0.1).step({"w": torch.tensor(1.0)}, {"w": torch.tensor(0.5)})
    {'w': tensor(0.7000)}
    """

    learning_rate: float
    momentum: float = 0.0
    weight_decay: float = 0.0
    velocity: Mapping[str, Tensor] | None = None

    @classmethod
    def from_optimizer(cls, optimizer: torch.optim.Optimizer, network: nn.Module) -> "LookAhead":
        """Return the step that `optimizer` would take next: its rate, momentum, decay and momentum buffers.

        The buffers are not copied: make the look-ahead anew for each meta step.

        Raises:
            InputError: unless it is `torch.optim.SGD`, without dampening, Nesterov momentum and `maximize`,
                and with one parameter group that holds all of the network's trained parameters.
        """
        if type(optimizer) is not torch.optim.SGD:
            raise InputError(
                f"expected torch.optim.SGD for the look-ahead, found {type(optimizer).__name__}; "
                "construct a LookAhead from the values of your choice"
            )
        if len(optimizer.param_groups) != 1:
            raise InputError(
                f"expected one parameter group for the look-ahead, found {len(optimizer.param_groups)}; "
                "give the optimizer all parameters in one"
            )
        [group] = optimizer.param_groups
        for option in ("dampening", "nesterov", "maximize"):
            if group[option]:
                raise InputError(f"expected SGD without {option}, found {option}={group[option]}; leave it off")
        trained = {name: value for name, value in network.named_parameters() if value.requires_grad}
        held = set(map(id, group["params"]))
        missing = [name for name, value in trained.items() if id(value) not in held]
        if missing:
            raise InputError(
                f"expected an optimizer of all the network's parameters, but it lacks {', '.join(missing)}; "
                "add them to it or set their requires_grad to False"
            )
        buffers = {name: optimizer.state.get(value, {}).get("momentum_buffer") for name, value in trained.items()}
        velocity = {name: buffer for name, buffer in buffers.items() if buffer is not None}
        return cls(float(group["lr"]), group["momentum"], group["weight_decay"], velocity)

    def step(self, parameters: Mapping[str, Tensor], gradient: Mapping[str, Tensor]) -> Parameters:
        """Return theta+, by name; nothing is modified."""
        stepped = {}
        for name, value in parameters.items():
            change = gradient[name].add(value, alpha=self.weight_decay)
            if self.momentum and self.velocity and name in self.velocity:
                change.add_(self.velocity[name], alpha=self.momentum)
            stepped[name] = change.mul_(-self.learning_rate).add_(value)
        return stepped


class TargetGradient(NamedTuple):
    """`gradient` of the outer loss, of the target's structure, and the `outer_loss` at theta+, a scalar."""

    gradient: Tensors
    outer_loss: Tensor


def alone(tensors: Sequence[Tensor], samples: int) -> list[Tensor]:  # noqa: ARG001
    """Average over data-parallel processes where there is only one: the tensors themselves."""
    return list(tensors)


class MetaGradient(Protocol):
    """The signature of `forward_mode`, `finite_difference` and `double_backward`.

    Args:
        network: called as `network(*inputs)`; returns a tensor, or tuples, lists and dicts of tensors (and None),
            or of a type that is registered with `torch.utils._pytree`.
        target: what the inner loss learns from: one tensor, or a tuple, such as (labels `[batch, K]`, weights
            `[batch]`). The graph that made it is not followed.
        inner_inputs: the look-ahead's batch, each `[batch, ...]`.
        inner_loss: of (outputs, target) to a scalar, L_primary + L_auxiliary; any function differentiable in
            both. It is called again on detached outputs, and must depend on theta through them alone.
        outer_inputs: the outer loss's batch, each `[batch, ...]`.
        outer_loss: of the outputs at theta+ to a scalar, L_primary.
        look_ahead: the virtual step.
        seed: of the random numbers that the network draws (dropout): `seed` on the inner batch, `seed + 1` on
            the outer one.
        average: averages tensors over data-parallel processes, weighted by the number of samples it is given.
            It is called twice: on the look-ahead's gradient, and on v with the outer loss. The result is this
            process's own: average the generator's gradient over the processes in the same way.

    Returns:
        The gradient of the outer loss with respect to each target tensor, and the outer loss at theta+.

    Raises:
        InputError: if the network has nothing to train, a loss is not one number that depends on it, or it
            has an operation that cannot be differentiated this way.
    """

    def __call__(
        self,
        network: nn.Module,
        target: Tensors,
        inner_inputs: tuple[Tensor, ...],
        inner_loss: InnerLoss,
        outer_inputs: tuple[Tensor, ...],
        outer_loss: OuterLoss,
        look_ahead: LookAhead,
        *,
        seed: int = 0,
        average: Average = alone,
    ) -> TargetGradient:
        """Return the gradient of the outer loss with respect to the target, and the outer loss."""


@dataclass(frozen=True)
class _Problem:
    """The arguments of `MetaGradient`, and the steps that the three ways share."""

    network: nn.Module
    parameters: Parameters
    target: Tensors
    inner_inputs: tuple[Tensor, ...]
    inner_loss: InnerLoss
    outer_inputs: tuple[Tensor, ...]
    outer_loss: OuterLoss
    look_ahead: LookAhead
    seed: int
    average: Average

    def forward(
        self, parameters: Parameters, inputs: tuple[Tensor, ...], seed: int, use: Callable[[Any], Any] = lambda o: o
    ) -> Any:
        """Return `use(outputs)` of the network's outputs at `parameters`.

        On cloned buffers and a random stream of its own; both are there for `use`, too, since a backward pass calls the
        modules again that `torch.utils.checkpoint` holds.
        """
        with _random_stream(seed, [*parameters.values(), *inputs]):
            return functional_call(_Used(self.network, use), self._substitutes(parameters), inputs, tie_weights=False)

    def _substitutes(self, parameters: Parameters) -> Parameters:
        """Return what stands in for the network's tensors in a forward pass: `parameters`, and clones of buffers."""
        clones = {id(buffer): buffer.clone() for buffer in self._tensors.values() if isinstance(buffer, Tensor)}
        return {
            f"network.{name}": parameters[tensor] if isinstance(tensor, str) else clones[id(tensor)]
            for name, tensor in self._tensors.items()
        }

    @cached_property
    def _tensors(self) -> dict[str, str | Tensor]:
        """By every name of a tensor in the network: the parameter's first name, or the buffer.

        A tied tensor has all of its names here, a shared module only one: with more, `functional_call` leaves the
        substitutes in the real network (pytorch/pytorch#164759).
        """
        known: dict[int, str | Tensor] = {id(buffer): buffer for buffer in self.network.buffers()}
        known |= {id(value): name for name, value in self.network.named_parameters() if name in self.parameters}
        return {
            name: known[id(value)]
            for prefix, module in self.network.named_modules()
            for own in (module.named_parameters, module.named_buffers)
            for name, value in own(prefix, recurse=False, remove_duplicate=False)
            if id(value) in known
        }

    def inner(self, target: Tensors, create_graph: bool = False) -> tuple[list[Tensor], Any]:
        """Return g, the inner loss's gradient at theta, and the outputs there."""
        leaves = [value.detach().requires_grad_() for value in self.parameters.values()]

        def use(outputs: Any) -> tuple[list[Tensor], Any]:
            return _slopes(self.inner_loss(outputs, target), leaves, "inner", create_graph), _detached(outputs)

        parameters = dict(zip(self.parameters, leaves, strict=True))
        found: tuple[list[Tensor], Any] = self.forward(parameters, self.inner_inputs, self.seed, use)
        return found

    def step(self, gradient: list[Tensor]) -> Parameters:
        """Return theta+ (equation 4)."""
        averaged = self.average([g.detach() for g in gradient], len(self.inner_inputs[0]))
        with torch.no_grad():
            return self.look_ahead.step(self.parameters, dict(zip(self.parameters, averaged, strict=True)))

    def outer(self, ahead: Parameters) -> tuple[Parameters, Tensor]:
        """Return u = -alpha v, and the outer loss (equation 3)."""
        leaves = {name: value.requires_grad_() for name, value in ahead.items()}

        def use(outputs: Any) -> list[Tensor]:
            loss = self.outer_loss(outputs)
            return [*_slopes(loss, list(leaves.values()), "outer"), loss.detach()]

        found = self.forward(leaves, self.outer_inputs, self.seed + 1, use)
        *v, loss = self.average(found, len(self.outer_inputs[0]))
        return {name: g * -self.look_ahead.learning_rate for name, g in zip(ahead, v, strict=True)}, loss

    def contract(self, outputs: Any, tangents: list[Tensor | None]) -> Tensors:
        """Return d/dt <dL_in/do (o, t), o'>, in the space of the outputs alone."""
        leaves, structure = tree_flatten(outputs)
        moving = [index for index, tangent in enumerate(tangents) if tangent is not None]
        if not moving:
            found = ", ".join(sorted({type(leaf).__name__ for leaf in leaves}))
            raise InputError(
                f"expected a tensor or a tuple, list or dict of tensors from the network, found {found}; return one of "
                "these, or register the type with torch.utils._pytree"
            )
        for index in moving:
            leaves[index].requires_grad_()
        target = _leaves(self.target)
        loss = self.inner_loss(tree_unflatten(leaves, structure), target)
        slopes = _slopes(loss, [leaves[index] for index in moving], "inner", create_graph=True)
        return _backward(slopes, [t for t in tangents if t is not None], target)


class _Used(nn.Module):
    """A network and what becomes of its outputs, as one module: both see the tensors that stand in for its own."""

    def __init__(self, network: nn.Module, use: Callable[[Any], Any]) -> None:
        super().__init__()
        self.network = network
        self.use = use

    def forward(self, *inputs: Tensor) -> Any:
        """Return `use(outputs)`."""
        return self.use(self.network(*inputs))


def _meta_gradient(way: Callable[[_Problem], TargetGradient]) -> MetaGradient:
    """Give one of the three ways the common signature."""

    @wraps(way)
    def meta_gradient(
        network: nn.Module,
        target: Tensors,
        inner_inputs: tuple[Tensor, ...],
        inner_loss: InnerLoss,
        outer_inputs: tuple[Tensor, ...],
        outer_loss: OuterLoss,
        look_ahead: LookAhead,
        *,
        seed: int = 0,
        average: Average = alone,
    ) -> TargetGradient:
        trained = {name: value.detach() for name, value in network.named_parameters() if value.requires_grad}
        if not trained:
            raise InputError("expected a network with parameters that require a gradient, found none")
        inputs = inner_inputs, inner_loss, outer_inputs, outer_loss
        with torch.enable_grad():
            return way(_Problem(network, trained, target, *inputs, look_ahead, seed, average))

    del meta_gradient.__wrapped__  # its signature is this one, not that of `way`
    return meta_gradient


@_meta_gradient
def forward_mode(problem: _Problem) -> TargetGradient:
    """Return the exact meta-gradient from one forward-mode pass; arguments and errors as in `MetaGradient`.

    Attention by `scaled_dot_product_attention` is computed unfused, in the look-ahead too. LSTM,
    `EmbeddingBag` and `weight_norm` have no forward formula in PyTorch: use `finite_difference`.
    `SyncBatchNorm` is not supported.

    The released code builds the second-order graph instead (`double_backward`), or the finite difference
    described at `finite_difference`. The same identity for noisy labels: EMLC (arXiv 2305.12961).

    >>> network = nn.Linear(1, 1, bias=False)  # o = theta x, at theta = 1 and x = 1
    >>> _ = nn.init.ones_(network.weight)
    >>> x, t = torch.ones(1, 1), torch.zeros(1, 1)
    >>> def inner_loss(o, t):  # g = theta - t, so theta+ = theta - 0.5 g = 0.5 + 0.5 t
    ...     return 0.5 * (o - t).square().sum()
    >>> def outer_loss(o):  # theta+^2, so its gradient is 2 theta+ 0.5 = 0.5 at t = 0
    ...     return o.square().sum()
    >>> forward_mode(network, t, (x,), inner_loss, (x,), outer_loss, LookAhead(0.5))
    TargetGradient(gradient=tensor([[0.5000]]), outer_loss=tensor(0.2500))
    """
    with _attention_unfused():
        gradient, outputs = problem.inner(_detached(problem.target))
    ahead = problem.step(gradient)
    del gradient
    direction, loss = problem.outer(ahead)
    del ahead
    _load_forward_formulas()
    with _named_gap("forward_mode"), torch.no_grad(), _attention_unfused(), forward_ad.dual_level():
        duals = {name: forward_ad.make_dual(value, direction[name]) for name, value in problem.parameters.items()}
        moved = tree_flatten(problem.forward(duals, problem.inner_inputs, problem.seed))[0]
        tangents = [forward_ad.unpack_dual(x).tangent if isinstance(x, Tensor) else None for x in moved]
        del duals, moved
    return TargetGradient(problem.contract(outputs, tangents), loss)


@_meta_gradient
def finite_difference(problem: _Problem) -> TargetGradient:
    """Return the meta-gradient by a central difference of the outputs; arguments as in `MetaGradient`.

    o' = (o(theta + h u) - o(theta - h u)) / 2h, two forward passes without a graph. For any network, except that a
    difference sees through what hides from the gradient (`detach`, straight-through estimators). Rounding errs in
    proportion to 1 / h, a ReLU that switches within the step in proportion to h; so h is small for a central
    difference: min(sqrt(p), 10 p^(2/3)) |theta| / |u| at precision p. In float64 the relative error is below 1e-3,
    and in float32 it is below 1e-3 for smooth networks; for deep ReLU networks in float32 it is tens of per cent.

    The released code's "first order" variant takes the difference of the losses' gradients at a step of
    0.01 / |v|, with an error of 25 % (VGG-16), and drops the entropy loss.
    """
    gradient, outputs = problem.inner(_detached(problem.target))
    ahead = problem.step(gradient)
    del gradient
    direction, loss = problem.outer(ahead)
    del ahead
    theta = problem.parameters
    p = _precision(problem.network)
    h = min(p**0.5, 10 * p ** (2 / 3)) * (_norm(theta) or 1.0) / (_norm(direction) or 1.0)
    sides = []
    with torch.no_grad():
        for step in (h, -h):
            moved = {name: value.add(direction[name], alpha=step) for name, value in theta.items()}
            sides.append(tree_flatten(problem.forward(moved, problem.inner_inputs, problem.seed))[0])
            del moved
    tangents = [
        (after - before) / (2 * h) if isinstance(after, Tensor) and after.is_floating_point() else None
        for after, before in zip(*sides, strict=True)
    ]
    return TargetGradient(problem.contract(outputs, tangents), loss)


@_meta_gradient
def double_backward(problem: _Problem) -> TargetGradient:
    """Return the exact meta-gradient by a second backward pass; arguments and errors as in `MetaGradient`.

    The oracle for tests: it takes far more time and memory than `forward_mode`. Unlike the released code it
    computes the target's gradient only, and leaves the network as it was.
    """
    target = _leaves(problem.target)
    with _named_gap("double_backward"), _attention_unfused():
        gradient, _ = problem.inner(target, create_graph=True)
    direction, loss = problem.outer(problem.step(gradient))
    with _named_gap("double_backward"):
        return TargetGradient(_backward(gradient, direction.values(), target), loss)


def _slopes(loss: Tensor, leaves: list[Tensor], name: str, create_graph: bool = False) -> list[Tensor]:
    """Return the gradient of a loss for each leaf, 0 for those it does not depend on."""
    if loss.numel() != 1 or not loss.requires_grad:
        found = f"a tensor of shape {list(loss.shape)}" if loss.requires_grad else "one without a gradient"
        raise InputError(f"expected an {name} loss of one number that depends on the network, found {found}")
    if not leaves:
        return []
    slopes = torch.autograd.grad(loss, leaves, create_graph=create_graph, materialize_grads=True)
    return [slope.to_dense() for slope in slopes]  # those of a sparse embedding are not


def _backward(values: Iterable[Tensor], along: Iterable[Tensor], target: Tensors) -> Tensors:
    """Return the gradient of <values, along> for each target tensor, 0 where there is no dependence."""
    leaves, structure = tree_flatten(target)
    pairs = [(value, vector) for value, vector in zip(values, along, strict=True) if value.requires_grad]
    gradient: Iterable[Tensor] = map(torch.zeros_like, leaves)
    if pairs:
        outputs, vectors = zip(*pairs, strict=True)
        gradient = torch.autograd.grad(outputs, leaves, vectors, materialize_grads=True)
    result: Tensors = tree_unflatten([g.detach() for g in gradient], structure)
    return result


def _detached(nest: Any) -> Any:
    return tree_map_only(Tensor, Tensor.detach, nest)


def _leaves(nest: Tensors) -> Tensors:
    leaves: Tensors = tree_map_only(Tensor, lambda x: x.detach().requires_grad_(), nest)
    return leaves


def _norm(tensors: Parameters) -> float:
    return float(get_total_norm(list(tensors.values())))


def _precision(network: nn.Module) -> float:
    """Return the relative spacing of the coarsest numbers that the network computes in, frozen parameters included."""
    kinds = {value.device.type for value in network.parameters()}
    types = {value.dtype for value in network.parameters() if value.is_floating_point()}
    types |= {torch.get_autocast_dtype(kind) for kind in kinds if torch.is_autocast_enabled(kind)}
    return max(torch.finfo(kind).eps for kind in types)


@contextmanager
def _random_stream(seed: int, tensors: list[Tensor]) -> Iterator[None]:
    """Draw from a stream that starts at `seed`, on the tensors' devices too; restore the global ones."""
    kinds = {tensor.device.type for tensor in tensors} - {"cpu", "meta"}
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices=[]))
        torch.default_generator.manual_seed(seed)
        for kind in kinds:
            devices = range(torch.get_device_module(kind).device_count())
            stack.enter_context(torch.random.fork_rng(devices, device_type=kind))
            torch.manual_seed(seed)  # seeds every device, so all of them are forked
        yield


@contextmanager
def _named_gap(way: str) -> Iterator[None]:
    """Turn PyTorch's missing derivative formulas into the advice to use `finite_difference`."""
    try:
        yield
    except RuntimeError as error:  # NotImplementedError is one; a missing second derivative is a plain one
        named = any(words in str(error).lower() for words in ("not implemented", "not currently support"))
        if not named and not isinstance(error, NotImplementedError):
            raise
        raise InputError(
            f"{way} needs a PyTorch derivative formula for every operation of the network, found "
            f"'{str(error).splitlines()[0]}'; use finite_difference"
        ) from error


@contextmanager
def _attention_unfused() -> Iterator[None]:
    """Compute attention by operations that have formulas, in Transformer layers in evaluation mode too."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


@cache
def _load_forward_formulas() -> None:
    """Let PyTorch load its formulas, which happens at the first dual and warns about PyTorch's own code."""
    with catch_warnings(), forward_ad.dual_level():
        filterwarnings("ignore", r".*torch\.jit\.script")
        forward_ad.make_dual(torch.zeros(()), torch.zeros(()))
