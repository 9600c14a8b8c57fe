"""Texts to numbers: lower-cased words, each hashed to one of a fixed number of ids."""

import re
import zlib
from collections.abc import Sequence

import torch
from torch import Tensor

from metaux.errors import InputError

VOCABULARY = 2**14
"""How many ids there are; 0 is padding, so that words have 1 to 16,383."""
LONGEST = 128
"""Words of a text beyond these are not looked at."""
BUCKETS = 1024
WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


def words(text: str) -> list[str]:
    """Return the words of a text: runs of letters and digits, in lower case.

    >>> words("Don't panic: 42 is fine!")
    ["don't", 'panic', '42', 'is', 'fine']
    """
    return [word.lower() for word in WORD.findall(text)]


def word_id(word: str) -> int:
    """Return a word's id, the same on every machine and in every process (Python's own hash is not).

    >>> word_id("cat") == word_id("cat"), 0 < word_id("dog") < VOCABULARY
    (True, True)
    """
    return 1 + zlib.crc32(word.encode()) % (VOCABULARY - 1)


def encode(texts: Sequence[str], length: int | None = None) -> Tensor:
    """Return the ids of the words of each text, padded with 0.

    Args:
        texts: one per sample.
        length: how many words to keep of each; by default those of the longest text, at most 128.

    Returns:
        int64 `[n, length]`.

    Raises:
        InputError: if no text has a word, and the length isn't given.

    >>> encode(["the cat", "the"]).shape, int(encode(["the cat", "the"])[1, 1])
    (torch.Size([2, 2]), 0)
    """
    ids = [[word_id(word) for word in words(text)] for text in texts]
    if length is None:
        length = min(max(map(len, ids), default=0), LONGEST)
        if length == 0:
            raise InputError("expected texts of words, found none with a word in it; correct the texts")
    encoded = torch.zeros(len(ids), length, dtype=torch.int64)
    for row, text in enumerate(ids):
        kept = text[:length]
        encoded[row, : len(kept)] = torch.tensor(kept, dtype=torch.int64)
    return encoded


def cut_off(texts: Sequence[str], length: int | None = None) -> tuple[str, ...]:
    """Say how many texts have more words than are looked at; nothing if none has, or `encode` is given the length.

    >>> cut_off(["a b"]), cut_off(["a " * 129, "b"])
    ((), ('1 of 2 texts have more than 128 words, of which the first 128 are looked at',))
    """
    if length is not None:
        return ()
    # No text has more words than half of its characters.
    long = sum(len(text) > 2 * LONGEST and len(words(text)) > LONGEST for text in texts)
    notice = f"{long} of {len(texts)} texts have more than {LONGEST} words, of which the first {LONGEST} are looked at"
    return (notice,) if long else ()


def word_counts(encoded: Tensor) -> Tensor:
    """Return how often each bucket of words occurs in a text, of length 1: what texts are clustered by.

    Ids themselves can't be: they are names, not measures.

    Args:
        encoded: int64 `[n, length]`, as `encode` returns it.

    Returns:
        float32 `[n, 1024]`.

    >>> word_counts(encode(["a a", "a"])).norm(dim=1).tolist()
    [1.0, 1.0]
    """
    counts = torch.zeros(len(encoded), BUCKETS)
    counts.scatter_add_(1, encoded % BUCKETS, (encoded > 0).float())
    return torch.nn.functional.normalize(counts)
