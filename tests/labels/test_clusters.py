"""Clusters of equal size, clusters by leaves, and the features that images teach without labels."""

from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from metaux import Hierarchy, InputError
from metaux.data.samples import Samples
from metaux.data.transforms import Preprocessing
from metaux.labels.kmeans import balanced_assignment
from metaux.labels.sources import SOURCES
from metaux.networks.backbones import make_backbone
from metaux.protocols import TUNED
from metaux.runs.features import make_features
from metaux.runs.loading import load_once
from metaux.runs.plan import make_plan
from metaux.runs.trial import Trial
from metaux.settings import Settings
from metaux.training.features import of_pixels
from metaux.training.generated_labels import human_agreement, training_labels
from metaux.training.learner import make_learner
from metaux.training.loader import Loader
from metaux.training.plan import Features
from metaux.training.teachers import random_view, same_image_loss, train_on_rotations
from shell import metaux, write_table
from small import cpu, digits, learner, normalise


@given(st.integers(2, 5), st.integers(6, 40))
def test_an_assignment_is_balanced_and_of_least_distance(count: int, samples: int) -> None:
    stream = torch.Generator().manual_seed(samples)
    distance = torch.rand(samples, count, generator=stream, dtype=torch.float64)
    cluster = balanced_assignment(distance)
    assert (cluster.bincount(minlength=count) - samples / count).abs().max() <= 2
    # the best of all assignments with these very sizes, by an exact solver
    places = cluster.sort().values
    rows, columns = linear_sum_assignment(distance[:, places].numpy())
    best = distance[:, places][rows, columns].sum()
    torch.testing.assert_close(distance.gather(1, cluster.unsqueeze(1)).sum(), best, rtol=1e-3, atol=0)


def test_balanced_clusters_are_of_equal_size_where_those_of_k_means_are_not() -> None:
    def skewed(samples: Samples) -> Tensor:
        """Five places on a line, the first one of most samples."""
        assert samples.ids is not None
        place = (samples.ids % 20 - 15).clamp(min=0).float()
        return (10 * place + torch.rand(len(samples), generator=torch.Generator().manual_seed(0))).unsqueeze(1)

    sizes = {}
    for name in ("kmeans", "balanced"):
        made = learner(SOURCES[name], features=skewed)
        labels = made.source.labels(made.batches.train.load(torch.arange(200)))
        assert labels is not None
        sizes[name] = labels.sum(0)
    assert sizes["kmeans"].max() > 50
    assert sizes["balanced"].min() >= 14
    assert sizes["balanced"].max() <= 27


def by_both_ends(samples: int = 400) -> Samples:
    """A class at both ends of one column, another in the middle; the other columns are louder and say nothing."""
    stream = torch.Generator().manual_seed(0)
    x = 5 * torch.randn(samples, 8, generator=stream)
    x[:, 0] = 4 * torch.rand(samples, generator=stream) - 2
    primary = (x[:, 0].abs() > 1).long()
    return Samples((x,), primary, 2 * primary + (x[:, 0] > 0))


def test_leaves_find_what_the_classes_are_made_of() -> None:
    train, hierarchy, agreement = by_both_ends(), Hierarchy([2, 2]), {}
    data = replace(digits(), train=train, test=train.take(torch.arange(0)), hierarchy=hierarchy, kind="table")
    for name in ("leaves", "kmeans"):
        made = learner(
            SOURCES[name],
            data=data,
            train=train,
            augment=None,
            preprocess=lambda inputs: inputs,
            trunk=lambda: make_backbone("mlp", (8,), "table"),
        )
        labels = training_labels(made.source, made.batches.train)
        assert labels is not None
        ends = train.primary == 1
        found = human_agreement(labels[ends], train.take(ends.nonzero().squeeze(-1)))
        agreement[name] = found or 0.0
    assert agreement["leaves"] > 0.9
    assert agreement["kmeans"] < 0.2


@pytest.mark.parametrize("name", ["balanced", "leaves"])
def test_needs_as_many_samples_as_clusters(name: str) -> None:
    with pytest.raises(InputError, match="too few for 5 clusters; ask for fewer sub-classes"):
        learner(SOURCES[name], train=digits().train.take(torch.arange(6)))


def test_the_loss_of_finding_the_other_view_by_hand() -> None:
    z = torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 3.0], [0.0, 1.0]])
    unit = z / z.norm(dim=-1, keepdim=True)
    terms = []
    for view, partner in ((0, 2), (1, 3), (2, 0), (3, 1)):
        alike = [(unit[view] @ unit[other] / 0.5).exp() for other in range(4)]
        terms.append(-(alike[partner] / (sum(alike) - alike[view])).log())
    torch.testing.assert_close(same_image_loss(z, 0.5), torch.stack(terms).mean())


def test_random_views_are_of_the_images_own_form_and_differ() -> None:
    torch.manual_seed(0)
    images = torch.rand(6, 3, 8, 8)
    first, second = random_view(images), random_view(images)
    assert first.shape == images.shape
    assert first.isfinite().all()
    assert not any(torch.allclose(one, other, atol=0.05) for one, other in zip(first, second, strict=True))


def test_a_trunk_learns_which_way_up_a_digit_is() -> None:
    """And tells it of digits that it has not seen: a nearest mean on its features knows the rotation."""
    train, test = digits().train, digits().test
    loader = Loader(train, normalise, torch.device("cpu"))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        trunk = make_backbone("small-cnn", (1, 8, 8))
    untrained = right(trunk, train, test)
    train_on_rotations(trunk, 128, loader, replace(TUNED, epochs=10, batch_size=25))
    assert right(trunk, train, test) > max(0.75, untrained + 0.1)


def right(trunk: torch.nn.Module, train: Samples, test: Samples) -> float:
    trunk.eval()
    with torch.no_grad():
        known, asked = (
            torch.stack([trunk(normalise(part.inputs)[0].rot90(turns, (-2, -1))) for turns in range(4)])
            for part in (train, test)
        )
    nearest = torch.cdist(asked, known.mean(1)).argmin(-1)
    return float((nearest == torch.arange(4).unsqueeze(-1)).float().mean())


def test_every_input_is_looked_at() -> None:
    data = digits()
    samples = replace(data.train, stored=(data.train.inputs[0], 1 + torch.arange(200.0).view(-1, 1)))
    pixels = of_pixels(lambda inputs: (*normalise(inputs[:1]), *inputs[1:]))(samples)
    assert pixels.shape == (200, 65)
    assert pixels[:, -1].equal(samples.inputs[1][:, 0])


@pytest.mark.parametrize("features", ["rotations", "contrastive"])
def test_features_of_the_backbone_trained_without_labels(features: str) -> None:
    settings = Settings(features=features, epochs=3, train_size=300, backbone="small-cnn")
    data = load_once(replace(settings, features="pixels", epochs=None))
    plan = make_plan(Trial(settings, "kmeans", 0), data)

    def made_of(samples: Samples) -> Features | None:
        preprocess = cast("Preprocessing", plan.preprocess)
        return make_features(settings, replace(plan, train=samples), preprocess, torch.device("cpu"))

    first, again = (made_of(plan.train) for _ in range(2))
    assert first is not None
    assert again is not None
    found = first(plan.train)
    assert found.shape == (300, 128)
    assert found.equal(again(plan.train))
    # labels play no part
    blind = made_of(replace(plan.train, primary=plan.train.primary.flip(0)))
    assert blind is not None
    assert found.equal(blind(plan.train))
    made = make_learner(plan, cpu())
    labels = training_labels(made.source, made.batches.train)
    assert labels is not None
    assert (human_agreement(labels, plan.train) or 0) > 0.15


def test_a_table_has_no_other_way_up(tmp_path: Path) -> None:
    words = ("train", write_table(tmp_path / "t.npz"), "--method", "kmeans", "--features", "rotations", "--epochs", 1)
    result = metaux(*words, "--out", tmp_path / "out")
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert "expected square images for --features rotations, found tables of 4 columns" in result.err
    assert not (tmp_path / "out").exists()
