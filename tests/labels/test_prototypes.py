"""Prototypical labels on embeddings made by hand, and the scale that the labelled samples decide."""

import math

import pytest
import torch
from torch import Tensor

from metaux import InputError
from metaux.data.samples import LabelledData, Samples
from metaux.hierarchy import Hierarchy
from metaux.labels.prototypes import SHARPEST, inverse_temperature, prototypes, soft_assignment
from metaux.labels.sources import SOURCES
from metaux.training.plan import no_embedding
from small import digits, learner

PSI = Hierarchy([2, 3])
# Class 0 has the prototypes (0, 0) and (4, 0), class 1 (0, 3) and (4, 3); its third sub-class has no sample.
LABELLED = torch.tensor([[-1.0, 0.0], [1.0, 0.0], [3.0, 0.0], [5.0, 0.0], [0.0, 3.0], [4.0, 2.0], [4.0, 4.0]]).double()
SUBCLASS = torch.tensor([0, 0, 1, 1, 2, 3, 3])


def embedded(samples: Samples) -> Tensor:
    return samples.inputs[0][:, :2]


def source(points: Tensor, primary: Tensor, meta: Samples) -> Tensor:
    """Return the labels of points whose embedding they are."""
    train = Samples((points,), primary, torch.zeros_like(primary))
    data = LabelledData(train, train, PSI, "table")
    made = learner(
        SOURCES["prototypical"],
        data=data,
        train=train,
        meta=meta,
        embedding=embedded,
        preprocess=lambda inputs: inputs,
        augment=None,
        trunk=lambda: torch.nn.Linear(2, 3),
    )
    labels = made.source.labels(made.batches.train.load(torch.arange(len(points))))
    assert labels is not None
    return labels


def labelled(rows: list[int]) -> Samples:
    return Samples((LABELLED[rows].float(),), PSI.parent[SUBCLASS[rows]], SUBCLASS[rows])


def test_prototypes_are_means() -> None:
    means, counts = prototypes(LABELLED, SUBCLASS, 5)
    assert means.tolist() == [[0, 0], [4, 0], [0, 3], [4, 3], [0, 0]]
    assert counts.tolist() == [2, 2, 1, 2, 0]


def test_labels_worked_out_by_hand() -> None:
    means, counts = prototypes(LABELLED, SUBCLASS, 5)
    points, primary = torch.tensor([[1.0, 0.0], [2.0, 7.0], [1.0, 3.0]]).double(), torch.tensor([0, 1, 1])
    found = soft_assignment(points, primary, means, counts > 0, PSI, 0.25)
    # distances 1 and 9; 20 and 20; 1 and 9: the ratio is exp(0.25 * 8)
    p = 1 / (1 + math.exp(-2))
    expected = [[p, 1 - p, 0, 0, 0], [0, 0, 0.5, 0.5, 0], [0, 0, p, 1 - p, 0]]
    torch.testing.assert_close(found, torch.tensor(expected).double())
    assert found[:, 4].eq(0).all()


def test_the_scale_worked_out_by_hand() -> None:
    # Three points at -1, 0 and 1 of one sub-class, the other's at 0.5, 1.5 and 2.5. Left out, a sample's own prototype
    # is 1.5 times as far: own 2.25, 0, 2.25, the other's 6.25, 2.25, 0.25; and mirrored. Gaps: 4, 2.25, -2.
    points = torch.tensor([[-1.0], [0.0], [1.0], [0.5], [1.5], [2.5]]).double()
    subclass = torch.tensor([0, 0, 0, 1, 1, 1])
    means, counts = prototypes(points, subclass, 2)
    beta = inverse_temperature(points, subclass, means, counts, Hierarchy([2]))
    slope = sum(gap / (1 + math.exp(beta * gap)) for gap in (4, 2.25, -2))
    assert slope == pytest.approx(0, abs=1e-9)
    assert beta > 0.1


def test_the_scale_is_the_most_likely_one_with_prototypes_made_anew_without_each_sample() -> None:
    stream = torch.Generator().manual_seed(0)
    subclass = torch.arange(5).repeat(8)
    points = torch.randn(40, 6, generator=stream, dtype=torch.float64) + 1.5 * torch.eye(6).double()[subclass]
    means, counts = prototypes(points, subclass, 5)
    beta = inverse_temperature(points, subclass, means, counts, PSI)

    def likelihood(beta: float) -> float:
        total = 0.0
        for row in range(40):
            rest = torch.arange(40) != row
            others, known = prototypes(points[rest], subclass[rest], 5)
            own = PSI.parent[subclass[row]].unsqueeze(0)
            label = soft_assignment(points[row : row + 1], own, others, known > 0, PSI, beta)
            total += float(label[0, subclass[row]].log())
        return total

    assert likelihood(beta) > max(likelihood(0.99 * beta), likelihood(1.01 * beta), 40 * math.log(1 / 3))


@pytest.mark.parametrize("unit", [1e-3, 1e3])
def test_labels_do_not_depend_on_the_embeddings_unit(unit: float) -> None:
    def labels(embedding: object) -> Tensor:
        made = learner(SOURCES["prototypical"], embedding=embedding)
        found = made.source.labels(made.batches.train.load(torch.arange(200)))
        assert found is not None
        return found

    plain = labels(lambda samples: samples.inputs[0].float().flatten(1))
    torch.testing.assert_close(labels(lambda samples: unit * samples.inputs[0].float().flatten(1)), plain)
    assert 0.5 < plain.max(-1).values.mean() < 0.95  # neither hard nor uniform, on raw pixels of 0 to 255


def test_an_embedding_without_information_gives_uniform_labels_and_a_perfect_one_hard_ones() -> None:
    subclass = torch.tensor([0, 0, 1, 1])
    for points, expected in (([0, 1, 0, 1], 0.0), ([1, 1, 1, 1], 0.0), ([0, 1, 100, 101], None)):
        x = torch.tensor(points).double().unsqueeze(-1)
        means, counts = prototypes(x, subclass, 2)
        beta = inverse_temperature(x, subclass, means, counts, Hierarchy([2]))
        distances = torch.tensor([4 * 0.25, *[(100 + d) ** 2 for d in (0.5, -0.5)]]).double()
        sharpest = SHARPEST / float((distances[0] + distances[1:].mean()) / 2)
        assert beta == pytest.approx(sharpest if expected is None else expected)


def test_a_subclass_without_a_labelled_sample_gets_nothing() -> None:
    points, primary = torch.tensor([[0.0, 3.0], [9.0, 9.0], [0.0, 0.0]]), torch.tensor([1, 1, 0])
    found = source(points, primary, labelled(list(range(7))))
    assert found[:, 4].eq(0).all()
    torch.testing.assert_close(found.sum(-1), torch.ones(3))
    assert found.argmax(-1).tolist() == [2, 3, 0]


def test_a_class_without_a_labelled_sample_is_refused() -> None:
    with pytest.raises(
        InputError, match="expected labelled samples of every class in the meta split, found none of '1'"
    ):
        source(torch.zeros(2, 2), torch.tensor([0, 1]), labelled([0, 1, 2, 3]))


def test_a_scale_needs_two_samples_of_a_subclass() -> None:
    with pytest.raises(InputError, match="expected two labelled samples or more of a sub-class"):
        source(torch.zeros(2, 2), torch.tensor([0, 1]), labelled([0, 2, 4, 5]))


def test_needs_finer_labels() -> None:
    meta = digits().train.take(torch.arange(40))
    with pytest.raises(InputError, match="expected finer labels than the primary ones for method prototypical"):
        learner(SOURCES["prototypical"], meta=Samples(meta.inputs, meta.primary))


def test_looks_at_the_meta_splits_finer_labels_only() -> None:
    train = digits().train
    blind = Samples(train.inputs, train.primary)
    first, second = (learner(SOURCES["prototypical"], train=samples) for samples in (train, blind))
    batch = first.batches.train.load(torch.arange(200))
    labels, others = first.source.labels(batch), second.source.labels(batch)
    assert labels is not None
    assert others is not None
    assert labels.equal(others)
    assert train.human is not None
    assert (labels.argmax(-1) == train.human).float().mean() > 0.7  # of 10 % by chance within the class: 20 %


@pytest.mark.parametrize(
    ("embedding", "found"),
    [
        (no_embedding, "expected an embedding for this method, found none"),
        (lambda samples: torch.zeros(len(samples)), r"finite numbers \[40, features\], found shape \[40\]"),
        (lambda samples: torch.full((len(samples), 2), torch.nan), "found numbers that are not finite"),
        (lambda samples: torch.zeros(3, 2), r"found shape \[3, 2\]"),
    ],
)
def test_an_embedding_of_another_form_is_refused(embedding: object, found: str) -> None:
    with pytest.raises(InputError, match=found):
        learner(SOURCES["prototypical"], embedding=embedding)
