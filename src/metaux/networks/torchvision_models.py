"""Classification models of `torchvision.models` without their classifier."""

import re
from pathlib import Path
from typing import Any

import torch
from torch import nn

from metaux.errors import InputError
from metaux.networks.stems import fit_kernel, patch_size
from metaux.networks.weights import Form, check_known, file_of_address, place_of_address, read_weights, unusable

# Auxiliary classifiers off; the slow initialisation of these two, which warns about itself, too.
_PLAIN: dict[str, dict[str, Any]] = {
    name: {"aux_logits": False, "init_weights": False} for name in ("googlenet", "inception_v3")
}
_CLASSIFIERS = ("fc", "classifier", "head", "heads")
# A whole classifier of wide layers for 7 x 7 maps: none of it is kept, as in CIFAR's VGG.
_POOLED = ("alexnet", "vgg")
_OLD_DENSENET_KEY = re.compile(r"(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\..+)")


def names() -> list[str]:
    """Return the names of all classification models.

    >>> "mobilenet_v3_small" in names(), "fasterrcnn_resnet50_fpn" in names()
    (True, False)
    """
    from torchvision import models

    found: list[str] = models.list_models(module=models)
    return found


def check(model: str) -> None:
    """Raise `InputError` for an unknown model, or one for another task: detection, segmentation, video."""
    from torchvision import models

    known = names()
    if model not in known and model in models.list_models():
        raise InputError(
            f"expected a classification model, found 'torchvision:{model}', which is for another task; name one such "
            "as torchvision:resnet18"
        )
    check_known("torchvision", model, known)


def form(model: str) -> Form:
    """Return the images that the published weights were trained on."""
    preset = _weights(model).transforms()
    if model in _PLAIN:  # their `transform_input`, which is off here, brings the preset's images into this form
        return Form(preset.crop_size[0], (0.5,) * 3, (0.5,) * 3)
    return Form(preset.crop_size[0], tuple(preset.mean), tuple(preset.std))


def fetch(model: str) -> Path:
    """Return the file of the published weights, downloaded if need be."""
    return file_of_address(_weights(model).url)


def cached() -> dict[str, Path]:
    """Return the files of published weights that are on this machine, by model."""
    places = {model: place_of_address(_weights(model).url) for model in names()}
    return {model: file for model, file in places.items() if file.is_file()}


def recipe(model: str, shape: tuple[int, int, int]) -> tuple[str, dict[str, Any]]:
    """Return the call that makes the model, with its own classifier and 3 channels, for images of this size.

    Transformers get their image size, and patches small enough for it.

    Returns:
        The function's name and its options.
    """
    _, height, width = shape
    if model.startswith("vit_"):
        return "torchvision.models.VisionTransformer", _vision_transformer(model, height, width)
    options: dict[str, Any] = {"name": model, "weights": None, **_PLAIN.get(model, {})}
    if model.startswith("maxvit"):
        options["input_size"] = (height, width)
    return "torchvision.models.get_model", options


def build(model: str, shape: tuple[int, int, int], weights: Path | None = None) -> nn.Module:
    """Make the model as its recipe says, without classifier, from a file of weights; it has 3 channels in any case."""
    from torchvision import models

    function, options = recipe(model, shape)
    made: nn.Module = getattr(models, function.rpartition(".")[2])(**options)
    if weights is not None:
        _load(made, model, weights)
    return _without_classifier(made, model)


def place_of_head(trunk: nn.Module, model: str) -> str | None:
    """Return where the library has the last layer of the classifier that the trunk lacks; None for a pooled one."""
    if is_pooled(model):
        return None
    name, classifier = _classifier(trunk)
    return f"{name}.{[*dict(classifier.named_children())][-1]}" if isinstance(classifier, nn.Sequential) else name


def is_pooled(model: str) -> bool:
    """Return whether the trunk is the library's `features`, pooled: none of its classifier is kept."""
    return model.startswith((*_POOLED, "squeezenet"))


def _vision_transformer(model: str, height: int, width: int) -> dict[str, Any]:
    from torchvision.models import get_model

    if height != width:
        raise ValueError(f"it takes square images, found {height} x {width}")
    with torch.device("meta"):
        size = get_model(model, weights=None)
    return {
        "image_size": height,
        "patch_size": patch_size((height, width), size.patch_size),
        "num_layers": len(size.encoder.layers),
        "num_heads": size.encoder.layers[0].num_heads,
        "hidden_dim": size.hidden_dim,
        "mlp_dim": size.mlp_dim,
    }


def _load(made: nn.Module, model: str, file: Path) -> None:
    from torchvision.models.vision_transformer import interpolate_embeddings

    try:
        state = read_weights(file)
        for key in list(state):  # in place: what it says of its version is kept
            if key.startswith(("aux1.", "aux2.", "AuxLogits.")):
                del state[key]
            elif model.startswith("densenet") and (old := _OLD_DENSENET_KEY.fullmatch(key)):
                state["".join(old.groups())] = state.pop(key)
        if model.startswith("vit_"):
            own: Any = made
            state = interpolate_embeddings(own.image_size, own.patch_size, state)
            state["conv_proj.weight"] = fit_kernel(state["conv_proj.weight"], 3, own.patch_size)
        made.load_state_dict(state)
    except Exception as error:  # pickle's, zip's, the system's and torch's
        raise unusable(file, error) from error


def _without_classifier(made: nn.Module, model: str) -> nn.Module:
    if is_pooled(model):
        dropout = [nn.Dropout(0.5)] if model.startswith("squeezenet") else []
        return nn.Sequential(made.get_submodule("features"), *dropout, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    name, classifier = _classifier(made)
    if isinstance(classifier, nn.Sequential):
        classifier[-1] = nn.Identity()
    else:
        setattr(made, name, nn.Identity())
    return made


def _classifier(network: nn.Module) -> tuple[str, nn.Module]:
    [found] = [(name, part) for name, part in network.named_children() if name in _CLASSIFIERS]
    return found


def _weights(model: str) -> Any:
    from torchvision import models

    return models.get_model_weights(model).DEFAULT
