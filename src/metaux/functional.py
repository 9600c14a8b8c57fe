"""A network as a function of its parameters, and derivatives through it.

It is the machinery of `metaux.metagradient` and `metaux.trajectory`.

Every pass runs on substitutes for the parameters, on clones of the buffers and on a random stream of its own:
parameters, gradients, running statistics and the global random state stay as they are, bit for bit.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from functools import cache, cached_property
from typing import Any, TypeVar
from warnings import catch_warnings, filterwarnings

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.utils import get_total_norm
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten, tree_map_only, tree_unflatten

from metaux.errors import InputError
from metaux.rng import ALONE

Tensors = Tensor | tuple[Tensor, ...]
Parameters = dict[str, Tensor]
Nest = TypeVar("Nest")


class PureNetwork:
    """A network as a function of its trained parameters.

    Args:
        network: which stays as it is.

    Attributes:
        parameters: those that require a gradient, detached, by name.
        buffers: detached, by name.

    Raises:
        InputError: if there are none.
    """

    def __init__(self, network: nn.Module):
        self.network = network
        self.parameters = {name: value.detach() for name, value in network.named_parameters() if value.requires_grad}
        self.buffers = self.present_buffers()
        if not self.parameters:
            raise InputError("expected a network with parameters that require a gradient, found none")

    def __call__(
        self,
        parameters: Parameters,
        inputs: tuple[Tensor, ...],
        seed: int,
        use: Callable[[Any], Any] = lambda outputs: outputs,
        buffers: Parameters | None = None,
    ) -> Any:
        """Return `use(outputs)` of the network's outputs at `parameters`, and at clones of `buffers` or its own.

        It may modify its copies of the inputs.

        The substitutes are there for `use`, too, since a backward pass calls the modules again that
        `torch.utils.checkpoint` holds.
        """
        own = tuple(part.detach().clone() for part in inputs)
        clones = {name: value.clone() for name, value in (self.buffers if buffers is None else buffers).items()}
        known = parameters | clones
        substitutes = {f"network.{name}": known[first] for name, first in self._first_names.items()}
        with _random_stream(seed, [*parameters.values(), *inputs]):
            return functional_call(_Used(self.network, use), substitutes, own, tie_weights=False)

    def present_buffers(self) -> Parameters:
        """Return the buffers that are in the network now: within `use`, those that the pass has changed."""
        return {name: value.detach() for name, value in self.network.named_buffers()}

    @cached_property
    def _first_names(self) -> dict[str, str]:
        """By every name of a trained parameter or a buffer in the network: its first name.

        A tied tensor has all of its names here, a shared module only one: with more, `functional_call` leaves the
        substitutes in the real network (pytorch/pytorch#164759).
        """
        known = {id(value): name for name, value in self.network.named_parameters() if name in self.parameters}
        known |= {id(value): name for name, value in self.network.named_buffers()}
        return {
            name: known[id(value)]
            for prefix, module in self.network.named_modules()
            for own in (module.named_parameters, module.named_buffers)
            for name, value in own(prefix, recurse=False, remove_duplicate=False)
            if id(value) in known
        }

    def precision(self) -> float:
        """Return the relative spacing of the coarsest numbers that the network computes in, frozen ones included."""
        kinds = {value.device.type for value in self.network.parameters()}
        types = {value.dtype for value in self.network.parameters() if value.is_floating_point()}
        types |= {torch.get_autocast_dtype(kind) for kind in kinds if torch.is_autocast_enabled(kind)}
        return max(torch.finfo(kind).eps for kind in types)


class _Used(nn.Module):
    """A network and what becomes of its outputs, as one module: both see the tensors that stand in for its own."""

    def __init__(self, network: nn.Module, use: Callable[[Any], Any]) -> None:
        super().__init__()
        self.network = network
        self.use = use

    def forward(self, *inputs: Tensor) -> Any:
        """Return `use(outputs)`."""
        return self.use(self.network(*inputs))


def slopes(loss: Tensor, leaves: list[Tensor], name: str, create_graph: bool = False) -> list[Tensor]:
    """Return the gradient of a loss for each leaf, 0 for those it does not depend on."""
    if loss.numel() != 1 or not loss.requires_grad:
        found = f"a tensor of shape {list(loss.shape)}" if loss.requires_grad else "one without a gradient"
        raise InputError(f"expected an {name} loss of one number that depends on the network, found {found}")
    if not leaves:
        return []
    found_slopes = torch.autograd.grad(loss, leaves, create_graph=create_graph, materialize_grads=True)
    return [slope.to_dense() for slope in found_slopes]  # those of a sparse embedding are not


def contract(
    loss: Callable[[Any, Any], Tensor], outputs: Any, tangents: list[Tensor | None], target: Tensors
) -> Tensors:
    """Return d/dt <dL_in/do (o, t), o'>, in the space of the outputs alone.

    Args:
        loss: L_in, of (outputs, target) to a scalar.
        outputs: o, detached.
        tangents: o', of each leaf of the outputs; None for what is no tensor of floats.
        target: t.
    """
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
    target = as_leaves(target)
    value = loss(tree_unflatten(leaves, structure), target)
    found_slopes = slopes(value, [leaves[index] for index in moving], "inner", create_graph=True)
    return backward(found_slopes, [tangent for tangent in tangents if tangent is not None], target)


def backward(values: Iterable[Tensor], along: Iterable[Tensor], target: Tensors) -> Tensors:
    """Return the gradient of <values, along> for each target tensor, 0 where there is no dependence."""
    leaves, structure = tree_flatten(target)
    pairs = [(value, vector) for value, vector in zip(values, along, strict=True) if value.requires_grad]
    gradient: Iterable[Tensor] = map(torch.zeros_like, leaves)
    if pairs:
        outputs, vectors = zip(*pairs, strict=True)
        gradient = torch.autograd.grad(outputs, leaves, vectors, materialize_grads=True)
    result: Tensors = tree_unflatten([g.detach() for g in gradient], structure)
    return result


def detached(nest: Any) -> Any:
    """Return the same tensors without their graph."""
    return tree_map_only(Tensor, Tensor.detach, nest)


def as_leaves(nest: Nest) -> Nest:
    """Return the same tensors as leaves that require a gradient."""
    leaves: Nest = tree_map_only(Tensor, lambda x: x.detach().requires_grad_(), nest)
    return leaves


def norm(tensors: Parameters) -> float:
    """Return the norm of all of them together."""
    return float(get_total_norm(list(tensors.values())))


@contextmanager
def _random_stream(seed: int, tensors: list[Tensor]) -> Iterator[None]:
    """Draw from a stream that starts at `seed`, on the tensors' devices too; restore the global ones."""
    kinds = {tensor.device.type for tensor in tensors} - {"cpu", "meta"}
    with ExitStack() as stack:
        stack.enter_context(ALONE)
        stack.enter_context(torch.random.fork_rng(devices=[]))
        torch.default_generator.manual_seed(seed)
        for kind in kinds:
            devices = range(torch.get_device_module(kind).device_count())
            stack.enter_context(torch.random.fork_rng(devices, device_type=kind))
            torch.manual_seed(seed)  # seeds every device, so all of them are forked
        yield


@contextmanager
def named_gap(method: str, remedy: str = "use finite_difference") -> Iterator[None]:
    """Turn PyTorch's missing derivative formulas into an `InputError` that says what to do."""
    try:
        yield
    except RuntimeError as error:  # NotImplementedError is one; a missing second derivative is a plain one
        named = any(words in str(error).lower() for words in ("not implemented", "not currently support"))
        if not named and not isinstance(error, NotImplementedError):
            raise
        raise InputError(
            f"{method} needs a PyTorch derivative formula for every operation of the network, found "
            f"'{str(error).splitlines()[0]}'; {remedy}"
        ) from error


def operation_without_formula(error: InputError) -> str:
    """Return what PyTorch cannot differentiate in forward mode, by an error of `named_gap`."""
    named = re.search(r"forward AD with (\w+)", str(error.__cause__))
    return named.group(1) if named else "an operation of the network"


@contextmanager
def attention_unfused() -> Iterator[None]:
    """Compute attention by operations that have formulas, in Transformer layers in evaluation mode too."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


class TangentsStopWithGradient(TorchFunctionMode):
    """Within a network's `torch.no_grad()` blocks, let no tangent pass, as no gradient does.

    PyTorch's forward mode ignores `torch.no_grad()`: its tangents would see what the gradient does not.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call a function of PyTorch, without forward mode where gradients are off."""
        with nullcontext() if torch.is_grad_enabled() else forward_ad._set_fwd_grad_enabled(False):
            return func(*args, **(kwargs or {}))


@cache
def load_forward_formulas() -> None:
    """Let PyTorch load its formulas, which happens at the first dual and warns about PyTorch's own code."""
    with catch_warnings(), forward_ad.dual_level():
        filterwarnings("ignore", r".*torch\.jit\.script")
        forward_ad.make_dual(torch.zeros(()), torch.zeros(()))
