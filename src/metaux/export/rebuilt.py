"""The lines of Python that make a network to load exported weights into, and the weights under its names."""

from copy import deepcopy
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from metaux.networks import torchvision_models
from metaux.networks.backbones import Shape
from metaux.networks.zoo import is_of_library, library_and_model


class Rebuilt(NamedTuple):
    """Lines that make the module `network`, from normalised inputs to logits, with `nn` being `torch.nn`.

    `import_line` comes before them, and imports from `package`; `weights` are the network's state.
    """

    package: str
    import_line: str
    lines: list[str]
    weights: dict[str, Tensor]


def rebuilt(backbone: str, trunk: nn.Module, head: nn.Module, shape: Shape) -> Rebuilt:
    """Return how to make the network anew: of a library's backbone with that library alone, else with metaux.

    Args:
        backbone: its name, not auto.
        trunk: without the head.
        head: a linear layer, or a sequence of such and activations.
        shape: of one sample.
    """
    if is_of_library(backbone):
        return _of_library(backbone, trunk, head, (shape[0], shape[1], shape[2]))
    line = f"network = nn.Sequential(make_backbone({backbone!r}, {shape}), {_code(head)})"
    weights = nn.Sequential(trunk, head).state_dict()
    return Rebuilt("metaux", "from metaux.networks.backbones import make_backbone", [line], weights)


def _of_library(backbone: str, trunk: nn.Module, head: nn.Module, image: tuple[int, int, int]) -> Rebuilt:
    library, model = library_and_model(backbone)
    function, options = library.recipe(model, image)
    module = function.rpartition(".")[0]
    imported = module.partition(".")[0], f"import {module}"
    words = ", ".join(f"{name}={value!r}" for name, value in options.items())
    lines = [f"network = {function}({words})"]
    if model.startswith("mnasnet"):  # it wants a version beside the weights, which safetensors do not hold
        lines.append("network._load_from_state_dict = super(type(network), network)._load_from_state_dict")
    pooled = library is torchvision_models and torchvision_models.is_pooled(model)
    prefix = {"0": "features"} if pooled else {}
    lines += _changes(library.build(model, image), trunk, prefix)
    state = {_renamed(name, prefix): value for name, value in trunk.state_dict().items()}
    if pooled:
        place, line = "classifier", f"network.classifier = {_code(head)}"
        if model.startswith("squeezenet"):  # its classifier takes maps, the others' a vector
            place = "classifier.2"
            line = f"network.classifier = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), {_code(head)})"
        else:
            lines.append("network.avgpool = nn.AdaptiveAvgPool2d(1)")
        return Rebuilt(*imported, [*lines, line], state | _prefixed(head, place))
    place = library.place_of_head(trunk, model)
    if place is None or not _belongs(trunk, place, head, image):
        lines.append(f"network = nn.Sequential(network, {_code(head)})")
        return Rebuilt(*imported, lines, nn.Sequential(trunk, head).state_dict())
    lines.append(f"network.set_submodule({place!r}, {_code(head)})")
    return Rebuilt(*imported, lines, state | _prefixed(head, place))


def _changes(plain: nn.Module, trunk: nn.Module, prefix: dict[str, str]) -> list[str]:
    """Return a line for each layer that was adapted to small images or other channels."""
    lines = []
    for name, old in plain.named_modules():
        if next(old.children(), None) is not None and not isinstance(old, nn.MaxPool2d):
            continue
        new, own = trunk.get_submodule(name), _renamed(name, prefix)
        if type(new) is nn.Identity and type(old) is not nn.Identity:
            lines.append(f"network.set_submodule({own!r}, nn.Identity())")
        elif isinstance(old, nn.Conv2d) and isinstance(new, nn.Conv2d) and repr(old) != repr(new):
            if old.weight.shape == new.weight.shape:
                lines.append(f"network.get_submodule({own!r}).stride = {new.stride}")
            else:
                lines.append(f"convolution = type(network.get_submodule({own!r}))")
                lines.append(f"network.set_submodule({own!r}, convolution({_convolution(new)}))")
    return lines


def _convolution(layer: nn.Conv2d) -> str:
    words: list[Any] = [layer.in_channels, layer.out_channels, layer.kernel_size]
    rest = f"stride={layer.stride}, padding={layer.padding!r}, bias={layer.bias is not None}"
    return ", ".join([*map(repr, words), rest])


def _belongs(trunk: nn.Module, place: str, head: nn.Module, image: tuple[int, int, int]) -> bool:
    """Return whether the head, put in that place, does what it does after the trunk."""
    x = torch.rand(2, *image, generator=torch.Generator().manual_seed(0))
    whole = deepcopy(trunk).eval()
    with torch.inference_mode():
        expected = head.eval()(trunk.eval()(x))
        try:
            if type(whole.get_submodule(place)) is not nn.Identity:
                return False
            whole.set_submodule(place, head)
            return torch.allclose(whole(x), expected, atol=1e-5)
        except (AttributeError, RuntimeError):
            return False


def _prefixed(module: nn.Module, place: str) -> dict[str, Tensor]:
    return {f"{place}.{name}": value for name, value in module.state_dict().items()}


def _renamed(name: str, prefix: dict[str, str]) -> str:
    first, dot, rest = name.partition(".")
    return prefix.get(first, first) + dot + rest


def _code(module: nn.Module) -> str:
    if isinstance(module, nn.Sequential):
        return f"nn.Sequential({', '.join(map(_code, module))})"
    return f"nn.{module!r}"
