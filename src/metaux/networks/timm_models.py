"""Models of timm (extra `metaux[timm]`) without their classifier."""

from typing import Any

from torch import nn

from metaux.errors import InputError
from metaux.networks.forms import Form, patch_size


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


def tags(model: str) -> list[str]:
    """Return the full names, `model.tag`, of a model's published weights."""
    found: list[str] = _timm().list_pretrained(model.partition(".")[0] + ".*")
    return found


def form(model: str) -> Form:
    """Return the images that the published weights were trained on."""
    settings = _timm().get_pretrained_cfg(model)
    return Form(settings.input_size[-1], tuple(settings.mean), tuple(settings.std))


def build(model: str, shape: tuple[int, int, int], pretrained: bool) -> nn.Module:
    """Make the model for images `[channels, height, width]`.

    Transformers get their image size, and patches small enough for it. Pretrained filters are averaged over channels,
    positions and patches are interpolated, by timm.
    """
    channels, height, width = shape
    options: dict[str, Any] = {"num_classes": 0, "in_chans": channels}
    settings = _timm().get_pretrained_cfg(model)
    if settings is not None and settings.fixed_input_size:
        options["img_size"] = (height, width)
    if pretrained:
        options |= {"pretrained": True, "pretrained_cfg_overlay": _source(model, settings)}
    if "img_size" in options and (patch := _smaller_patch(model, shape)):
        options["patch_size"] = patch
    made: nn.Module = _timm().create_model(model, **options)
    return made


def _smaller_patch(model: str, shape: tuple[int, int, int]) -> int | None:
    """Return the patch size that these images need if it is not the model's own, and can be chosen."""
    import torch

    if not model.startswith(("vit_", "deit", "test_vit")):
        return None
    with torch.device("meta"):
        native = _timm().create_model(model, num_classes=0).patch_embed.patch_size[0]
    wanted = patch_size(shape[1:], native)
    return None if wanted == native else wanted


def _source(model: str, settings: Any) -> dict[str, Any]:
    """Return where to load the weights from: a file of tensors alone, never a pickle."""
    from metaux.networks.weights import file_of_hub, state_from_url

    if settings is None or not (settings.hf_hub_id or settings.url):
        raise InputError(f"expected a model with published weights, found timm:{model}, which has none; name another")
    if settings.hf_hub_id:
        return {"file": str(file_of_hub(settings.hf_hub_id)), "custom_load": False}
    return {"state_dict": state_from_url(settings.url), "custom_load": False}
