import pytest
import torch
from torch.nn.functional import cross_entropy

from metaux.data.texts import encode, learn_tokens
from metaux.errors import InputError
from metaux.hierarchy import Hierarchy
from metaux.losses import focal_loss
from metaux.metagradient import LookAhead, double_backward, forward_mode
from metaux.networks.backbones import TextCNN, make_backbone
from metaux.networks.multitask import LabelGenerator, MultiTaskNetwork, Outputs

TEXTS = ["the room was warm", "cold", "the meal was rather dull and cold", "warm and bright"]
WORDS, _ = encode(TEXTS, learn_tokens(TEXTS * 2))


@pytest.mark.parametrize("length", [1, 2, 128])
def test_texts_of_any_length(length: int) -> None:
    assert TextCNN()(torch.ones(3, length, dtype=torch.int64)).shape == (3, 300)


def test_padding_beyond_the_reach_of_the_filters_changes_nothing() -> None:
    network = TextCNN()
    with torch.no_grad():
        for convolution in network.convolutions:
            convolution.get_parameter("bias").fill_(-1)  # so that padding alone never is the maximum
        once, more = (torch.nn.functional.pad(WORDS, (0, zeros)) for zeros in (4, 9))
        torch.testing.assert_close(network(once), network(more))


def test_the_order_of_words_matters() -> None:
    network = TextCNN()
    assert not network(WORDS[:1]).equal(network(WORDS[:1].flip(1)))


def test_auto_is_for_the_kind_of_data() -> None:
    assert isinstance(make_backbone("auto", (8,), "text"), TextCNN)
    assert isinstance(make_backbone("text-cnn", (8,), "text"), TextCNN)
    assert not isinstance(make_backbone("auto", (8,), "table"), TextCNN)
    with pytest.raises(InputError, match="expected the backbone text-cnn for texts, found mlp"):
        make_backbone("mlp", (8,), "text")
    with pytest.raises(InputError, match="text-cnn takes texts, found table inputs"):
        make_backbone("text-cnn", (8,), "table")


def test_forward_mode_is_exact() -> None:
    torch.manual_seed(0)
    network = MultiTaskNetwork(TextCNN(), torch.nn.Linear(300, 2), torch.nn.Linear(300, 6)).double()
    generator = LabelGenerator(TextCNN(), torch.nn.Linear(300, 6), Hierarchy([3, 3])).double()
    primary = torch.tensor([0, 1, 1, 0])
    labels = generator(WORDS, primary=primary)

    def of_primary(outputs: Outputs) -> torch.Tensor:
        return cross_entropy(outputs.primary, primary)

    def of_both(outputs: Outputs, target: torch.Tensor) -> torch.Tensor:
        assert outputs.auxiliary is not None
        return of_primary(outputs) + focal_loss(outputs.auxiliary, target)

    exact, found = (
        method(network, labels, (WORDS,), of_both, (WORDS,), of_primary, LookAhead(learning_rate=0.1)).gradient
        for method in (double_backward, forward_mode)
    )
    assert isinstance(exact, torch.Tensor)
    assert isinstance(found, torch.Tensor)
    assert float(exact.abs().max()) > 0
    torch.testing.assert_close(found, exact, rtol=1e-10, atol=1e-14)
