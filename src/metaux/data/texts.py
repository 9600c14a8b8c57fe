"""Texts to numbers: the tokens of a byte-pair model that is trained on the training texts and kept with the run."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from metaux.errors import InputError, explained

if TYPE_CHECKING:
    from tokenizers import Tokenizer

VOCABULARY = 2**14
"""How many ids a network has room for; 0 is padding, 1 what the training texts do not have."""
LARGEST = 8000
"""The most tokens of a model. A pair that comes once among the training texts is none."""
LONGEST = 128
"""Tokens of a text beyond these are not looked at."""
BUCKETS = 1024
_LONG_WORD = re.compile(r"(\S{1000})(?=\S)")
PADDING, UNKNOWN = "[PAD]", "[UNK]"
_WITHOUT_SPACES = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]\p{M}*"
"""A character, with its marks, of a script that puts no spaces between words: without them a sentence would be one."""


def learn_tokens(texts: Sequence[str]) -> str:
    """Train a byte-pair model on texts; return it as `tokenizers` writes it.

    Letters are in lower case, in Unicode's composed form. A token is part of one word or of one run of signs; in
    scripts that put no spaces between words, one character.

    Raises:
        InputError: if no text has a word.

    >>> ids, _ = encode(["the cat", "a cat"], learn_tokens(["the cat", "the dog", "a cat"]))
    >>> [len(row.unique()) for row in ids]
    [2, 2]
    """
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

    if not any(character.isalnum() for text in texts for character in text):
        raise InputError("expected texts of words, found none with a word in it; correct the texts")
    model = Tokenizer(models.BPE(unk_token=UNKNOWN))
    model.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    characters = pre_tokenizers.Split(Regex(_WITHOUT_SPACES), "isolated")
    model.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), characters])
    trainer = trainers.BpeTrainer(
        vocab_size=LARGEST, min_frequency=2, special_tokens=[PADDING, UNKNOWN], show_progress=False
    )
    # The time for a word goes with the square of its length.
    model.train_from_iterator((_LONG_WORD.sub(r"\1 ", text) for text in texts), trainer)
    written: str = model.to_str()
    return written


def encode(texts: Sequence[str], tokenizer: str, length: int | None = None) -> tuple[Tensor, tuple[str, ...]]:
    """Return the ids of the tokens of each text, padded with 0, and what to say of texts that lose some.

    Args:
        texts: one per sample.
        tokenizer: as `learn_tokens` returned it.
        length: how many tokens to keep of each; by default those of the longest text, at most 128.

    Returns:
        int64 `[n, length]`; and how many texts are longer, or have no token that the training texts have.
    """
    found = _model(tokenizer).encode_batch(list(texts), add_special_tokens=False)
    ids: list[list[int]] = [text.ids for text in found]
    if length is None:
        length = max(1, min(max(map(len, ids), default=0), LONGEST))
    encoded = torch.zeros(len(ids), length, dtype=torch.int64)
    for row, text in enumerate(ids):
        encoded[row, : len(text[:length])] = torch.tensor(text[:length], dtype=torch.int64)
    said: tuple[str, ...] = ()
    if long := sum(len(text) > length for text in ids):
        said = (f"{long:,} of {len(texts):,} texts have more than {length} tokens, of which the first {length} count",)
    if odd := [row for row, text in enumerate(ids) if not set(text) - {1}]:
        said += (f"{len(odd):,} of {len(texts):,} texts have no known token, such as '{texts[odd[0]][:40]}'",)
    return encoded, said


def word_counts(encoded: Tensor) -> Tensor:
    """Return how often each bucket of tokens occurs in a text, of length 1: what texts are clustered by.

    Ids themselves can't be: they are names, not measures.

    Args:
        encoded: int64 `[n, length]`, as `encode` returns it.

    Returns:
        float32 `[n, 1024]`.

    >>> word_counts(torch.tensor([[2, 2], [2, 0]])).norm(dim=1).tolist()
    [1.0, 1.0]
    """
    counts = torch.zeros(len(encoded), BUCKETS)
    counts.scatter_add_(1, encoded % BUCKETS, (encoded > 0).float())
    return torch.nn.functional.normalize(counts)


@lru_cache(maxsize=2)
def _model(tokenizer: str) -> "Tokenizer":
    from tokenizers import Tokenizer

    expected = "expected a tokenizer as the library tokenizers writes it, found another text"
    with explained(expected, "train the run anew", 120):
        model = Tokenizer.from_str(tokenizer)
    if max(model.get_vocab().values(), default=0) >= VOCABULARY:
        raise InputError(
            f"expected a tokenizer of at most {VOCABULARY:,} tokens, found a larger one; train the run anew"
        )
    model.no_padding()  # to a length of somebody else's
    model.no_truncation()
    return model
