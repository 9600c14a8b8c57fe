"""The lines that make a library's network take the weights of ours, whatever its family and the size of the images."""

from typing import Any

import pytest
import torch
from torch import nn

from metaux.export.rebuilt import rebuilt
from metaux.networks.backbones import make_backbone
from metaux.networks.multitask import make_head

BACKBONES = [
    ("torchvision:resnet18", (1, 16, 16), "fc.weight"),
    ("torchvision:squeezenet1_1", (3, 32, 32), "features.0.weight"),
    ("torchvision:vgg11_bn", (1, 32, 32), "features.0.weight"),
    ("torchvision:mobilenet_v2", (3, 80, 80), "classifier.1.weight"),
    ("torchvision:mnasnet0_5", (3, 64, 64), "classifier.1.weight"),
    ("torchvision:googlenet", (3, 32, 32), "fc.weight"),
    ("torchvision:shufflenet_v2_x0_5", (2, 32, 32), "fc.weight"),
    ("torchvision:vit_b_32", (3, 32, 32), "heads.head.weight"),
    ("timm:resnet10t", (3, 32, 32), "fc.weight"),
    ("timm:vit_tiny_patch16_224", (1, 32, 32), "head.weight"),
    ("timm:convnext_atto", (3, 64, 64), "head.fc.weight"),
    ("timm:deit_tiny_distilled_patch16_224", (3, 32, 32), "1.weight"),
    ("timm:efficientnet_lite0", (1, 32, 32), "classifier.weight"),
    ("resnet32", (3, 8, 8), "0.0.weight"),
]


# Each way that a head is put into a network, with both kinds of heads.
OTHER_HEADS = ("torchvision:resnet18", "torchvision:squeezenet1_1", "timm:deit_tiny_distilled_patch16_224", "resnet32")
CASES = [
    *((*case, "linear") for case in BACKBONES),
    *((*case, "mlp") for case in BACKBONES if case[0] in OTHER_HEADS),
]


@pytest.mark.parametrize(("backbone", "shape", "name", "kind"), CASES, ids=[f"{case[0]}-{case[3]}" for case in CASES])
def test_lines_take_the_weights_and_give_the_same(
    backbone: str, shape: tuple[int, int, int], name: str, kind: str
) -> None:
    if backbone.startswith("timm"):
        pytest.importorskip("timm", reason="timm isn't installed")
    trunk = make_backbone(backbone, shape).eval()
    x = torch.rand(3, *shape)
    head = make_head(trunk(x).shape[1], 2, kind).eval()
    found = rebuilt(backbone, trunk, head, shape)
    variables: dict[str, Any] = {"nn": nn}
    exec("\n".join([found.import_line, *found.lines]), variables)
    network = variables["network"].eval()
    network.load_state_dict(found.weights)
    torch.testing.assert_close(network(x), head(trunk(x)), atol=1e-5, rtol=1e-5)
    of_the_head = not name.startswith(("features", "0."))
    assert (name.replace("weight", "0.weight") if kind == "mlp" and of_the_head else name) in found.weights
