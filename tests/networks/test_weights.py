"""Pretrained weights: from files that are there, from a server that is, and quickly not at all."""

import functools
import hashlib
import os
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision import models

from metaux.errors import InputError
from metaux.networks.backbones import check_backbone, make_backbone
from metaux.networks.embedding import pretrained_embedding
from metaux.networks.stems import fit_kernel
from metaux.networks.weights import file_of_address
from metaux.runs.launch import run
from metaux.runs.loading import load_once
from metaux.runs.model import Model
from metaux.runs.plan import make_plan
from metaux.runs.record import Run
from metaux.runs.trial import Trial
from metaux.settings import Settings
from metaux.training.devices import make_fabric
from metaux.training.learner import make_learner


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for both libraries' files, on a machine without a network."""
    from huggingface_hub import constants

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    return tmp_path


def publish(folder: Path, model: str) -> nn.Module:
    """Put weights where torchvision would have put those that it downloads."""
    torch.manual_seed(7)
    options = {"init_weights": False} if model == "googlenet" else {}
    network: nn.Module = models.get_model(model, weights=None, **options)
    file = folder / "hub" / "checkpoints" / Path(models.get_model_weights(model).DEFAULT.url).name
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save(network.state_dict(), file)
    return network


def publish_on_hub(folder: Path, name: str = "test_vit", repository: str = "timm--test_vit.r160_in1k") -> nn.Module:
    """Put weights where the Hugging Face hub's own cache has them."""
    import timm

    network: nn.Module = timm.create_model(name)
    file = folder / "hub" / f"models--{repository}" / "snapshots" / "main" / "model.safetensors"
    file.parent.mkdir(parents=True)
    save_file(network.state_dict(), file)
    return network


@pytest.mark.parametrize("model", ["resnet18", "mobilenet_v3_small", "googlenet", "mnasnet0_5"])
def test_a_trunk_of_torchvision_starts_from_its_weights(model: str, folder: Path) -> None:
    published = publish(folder, model).state_dict()
    trunk = make_backbone(f"torchvision:{model}", (3, 64, 64), pretrained=True)
    own = trunk.state_dict()
    assert trunk.training
    absent = published.keys() - own.keys()
    assert all(name.startswith(("fc.", "classifier.", "aux1.", "aux2.")) for name in absent)
    assert all(value.equal(published[name]) for name, value in own.items())


def test_filters_of_a_small_grey_image_come_from_the_weights(folder: Path) -> None:
    published = publish(folder, "resnet18").state_dict()
    own = make_backbone("torchvision:resnet18", (1, 32, 32), pretrained=True).state_dict()
    assert own["layer4.1.conv2.weight"].equal(published["layer4.1.conv2.weight"])
    torch.testing.assert_close(own["conv1.weight"], fit_kernel(published["conv1.weight"], 1, 3))


def test_densenet_has_its_weights_by_their_old_names(folder: Path) -> None:
    network = publish(folder, "densenet121")
    [file] = (folder / "hub" / "checkpoints").iterdir()
    old = {
        name.replace("norm1", "norm.1").replace("conv2", "conv.2") if "denselayer" in name else name: value
        for name, value in network.state_dict().items()
    }
    torch.save(old, file)
    own = make_backbone("torchvision:densenet121", (3, 64, 64), pretrained=True).state_dict()
    name = "features.denseblock4.denselayer16.norm1.weight"
    assert own.keys() == {key for key in network.state_dict() if not key.startswith("classifier")}
    assert own[name].equal(network.state_dict()[name])


@pytest.mark.parametrize("shape", [(3, 160, 160), (1, 32, 32)])
def test_a_trunk_of_timm_starts_from_its_weights(shape: tuple[int, int, int], folder: Path) -> None:
    published = publish_on_hub(folder).state_dict()
    own = make_backbone("timm:test_vit", shape, pretrained=True).state_dict()
    assert own["blocks.1.mlp.fc1.weight"].equal(published["blocks.1.mlp.fc1.weight"])
    same = own["patch_embed.proj.weight"].shape == published["patch_embed.proj.weight"].shape
    assert same == (shape == (3, 160, 160))


def test_both_networks_of_a_run_start_from_the_weights_and_reading_it_needs_none(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = publish_on_hub(folder, "test_resnet", "timm--test_resnet.r160_in1k").state_dict()
    settings = Settings(backbone="timm:test_resnet", pretrained=True, train_size=40, epochs=1, device="cpu")
    data = load_once(replace(settings, backbone="auto"))
    plan = make_plan(Trial(settings, "maxl", 0), data)
    made = make_learner(plan, make_fabric(settings))
    name = "layer4.0.conv1.weight"
    for network in (made.network, made.source.get_submodule("generator")):
        assert network.state_dict()[f"trunk.{name}"].equal(published[name])
    run(Trial(settings, "maxl", 0), data, folder / "run")
    shutil.rmtree(folder / "hub")
    model = Model.read(folder / "run")
    logits = model.predict(data.test).logits.softmax(-1)
    recorded = torch.from_numpy(Run.read(folder / "run").output("test_probabilities"))
    torch.testing.assert_close(logits, recorded)


def test_an_embedding_has_the_form_of_its_weights(folder: Path) -> None:
    network = publish(folder, "mobilenet_v3_small").eval()
    embedding = pretrained_embedding("torchvision:mobilenet_v3_small", size=64)
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    preset = models.MobileNet_V3_Small_Weights.DEFAULT.transforms(crop_size=64, resize_size=64)
    with torch.no_grad():
        logits = network(preset(images))
        classifier = network.get_submodule("classifier.3")
        torch.testing.assert_close(classifier(embedding.features(images)), logits, atol=1e-4, rtol=1e-4)


def test_an_embedding_of_timm(folder: Path) -> None:
    publish_on_hub(folder)
    embedding = pretrained_embedding("timm:test_vit")
    assert (embedding.size, embedding.mean) == (160, (0.5, 0.5, 0.5))
    assert embedding.features(torch.zeros(2, 1, 28, 28, dtype=torch.uint8)).shape == (2, 64)


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("torchvision:resnet18", r"checkpoints.resnet18-\w+\.pth' .* put the file of https://download.pytorch.org/"),
        ("timm:resnet10t", r"models--timm--resnet10t.c3_in1k.snapshots.main.model.safetensors' .* https://"),
    ],
)
def test_without_a_network_it_says_at_once_where_the_file_belongs(
    name: str, place: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited = list[float]()
    monkeypatch.setattr(time, "sleep", waited.append)
    with pytest.raises(InputError, match=place) as refusal:
        check_backbone(name, pretrained=True)
    assert sum(waited) < 5
    assert "\n" not in str(refusal.value)


class Planted:
    """What a pickle would run."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, ("planted",)


def test_a_pickle_in_place_of_weights_is_not_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(folder, "shufflenet_v2_x0_5")
    [file] = (folder / "hub" / "checkpoints").iterdir()
    torch.save({"fc.weight": Planted()}, file)
    monkeypatch.chdir(folder)
    with pytest.raises(InputError, match=r"expected pretrained weights in '.*', found a file without"):
        make_backbone("torchvision:shufflenet_v2_x0_5", (3, 32, 32), pretrained=True)
    assert not (folder / "planted").exists()


def test_weights_of_another_network_are_refused(folder: Path) -> None:
    publish(folder, "shufflenet_v2_x0_5")
    [file] = (folder / "hub" / "checkpoints").iterdir()
    torch.save(models.squeezenet1_1().state_dict(), file)
    with pytest.raises(InputError, match=r"found a file without .*; delete it"):
        make_backbone("torchvision:shufflenet_v2_x0_5", (3, 32, 32), pretrained=True)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A folder, and the address where it can be had."""
    served = tmp_path / "served"
    served.mkdir()

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(served))) as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{made.server_port}", served
        made.shutdown()
        thread.join()


def test_downloads_a_file_once_and_checks_it(
    server: tuple[str, Path], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    address, served = server
    content = b"weights"
    name = f"net-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    (served / name).write_bytes(content)
    file = file_of_address(f"{address}/{name}")
    assert file == folder / "hub" / "checkpoints" / name
    (served / name).unlink()
    assert file_of_address(f"{address}/{name}").read_bytes() == content
    (served / "other-00000000.pth").write_bytes(content)
    for wrong in ("other-00000000.pth", "absent.pth"):
        with pytest.raises(InputError, match=r"can't be fetched \(.*\); put the file at '.*checkpoints"):
            file_of_address(f"{address}/{wrong}")
    assert [path.name for path in file.parent.iterdir()] == [name]
