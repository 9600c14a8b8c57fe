"""Models of timm (extra `metaux[timm]`) without their classifier."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from torch import nn

from metaux.errors import InputError, nearest
from metaux.networks.stems import patch_size
from metaux.networks.weights import Form, cached_of_hub, check_known, file_of_address, file_of_hub, unusable

# timm's files of networks whose patch size is an option.
_PATCHED = ("vision_transformer", "deit", "eva")


def _timm() -> Any:
    try:
        import timm
    except ImportError:
        raise InputError(
            "expected timm for a backbone timm:NAME, found that it isn't installed; pip install 'metaux[timm]'"
        ) from None
    return timm


def names() -> list[str]:
    """Return the names of all models; a name may be followed by `.` and one of its tags of weights."""
    found: list[str] = _timm().list_models()
    return found


def check(model: str) -> None:
    """Raise `InputError` for an unknown model, or a tag of weights that the model doesn't have."""
    known, (plain, _, tag) = names(), model.partition(".")
    if plain not in known:
        check_known("timm", model, known)
    elif tag and model not in (full := _timm().list_pretrained(plain + ".*")):
        raise InputError(
            f"expected weights that timm has for {plain}, found the tag '{tag}'{nearest(model, full)}; correct it"
        )


def form(model: str) -> Form | None:
    """Return the images that the published weights were trained on; None for a model without any."""
    settings = _timm().get_pretrained_cfg(model)
    if settings is None:
        return None
    return Form(settings.input_size[-1], tuple(settings.mean), tuple(settings.std))


def fetch(model: str) -> Path:
    """Return the file of the published weights, downloaded if need be.

    Raises:
        InputError: for a model without any.
    """
    settings = _timm().get_pretrained_cfg(model)
    if settings is None or not (settings.hf_hub_id or settings.url):
        raise InputError(f"expected a model with published weights, found timm:{model}, which has none; name another")
    if settings.hf_hub_id:
        return file_of_hub(settings.hf_hub_id)
    return file_of_address(settings.url)


def cached() -> dict[str, Path]:
    """Return the files of published weights that are in the hub's cache, by full name; without timm none."""
    if find_spec("timm") is None or not (found := cached_of_hub("timm")):
        return {}
    return {model: file for model, file in found.items() if _timm().list_pretrained(model)}


def recipe(model: str, shape: tuple[int, int, int]) -> tuple[str, dict[str, Any]]:
    """Return the call that makes the model, without classifier, for images `[channels, height, width]`.

    Transformers get their image size, and patches small enough for it.

    Returns:
        The function's name and its options.
    """
    channels, height, width = shape
    options: dict[str, Any] = {"model_name": model, "num_classes": 0, "in_chans": channels}
    settings = _timm().get_pretrained_cfg(model)
    if settings is not None and settings.fixed_input_size:
        options["img_size"] = (height, width)
        if patch := _smaller_patch(model, shape):
            options["patch_size"] = patch
    return "timm.create_model", options


def build(model: str, shape: tuple[int, int, int], weights: Path | None = None) -> nn.Module:
    """Make the model as its recipe says, from a file of weights.

    Of pretrained weights, timm sums or repeats the first filters over channels, and interpolates positions and patches.
    """
    _, options = recipe(model, shape)
    if weights is None:
        return _made(options)
    source = {"pretrained": True, "pretrained_cfg_overlay": {"file": str(weights), "custom_load": False}}
    try:
        return _made(options | source)
    except Exception as error:  # safetensors', pickle's and the system's
        _made(options)  # unless the images were to blame, which shows here
        raise unusable(weights, error) from error


def place_of_head(trunk: Any, model: str) -> str | None:  # noqa: ARG001
    """Return where timm has the classifier that the trunk lacks; None where there are several places."""
    place = trunk.pretrained_cfg.get("classifier")
    return place if isinstance(place, str) else None


def _made(options: dict[str, Any]) -> nn.Module:
    made: nn.Module = _timm().create_model(**options)
    return made


def _smaller_patch(model: str, shape: tuple[int, int, int]) -> int | None:
    """Return the patch size that these images need if it is not the model's own, and can be chosen."""
    import torch

    if not _timm().models.is_model_in_modules(model, _PATCHED):
        return None
    with torch.device("meta"):
        native = _timm().create_model(model, num_classes=0).patch_embed.patch_size[0]
    wanted = patch_size(shape[1:], native)
    return None if wanted == native else wanted
