"""What a classical model takes of raw samples: a row of numbers for each."""

import hashlib
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from metaux.data.samples import Samples
from metaux.data.texts import VOCABULARY
from metaux.data.transforms import Preprocessing
from metaux.runs.features import pretrained_features


def numbers_of(embedding: str, preprocessing: Preprocessing, samples: Samples, device: torch.device) -> Any:
    """Return the standardised columns of tables, how often each word occurs in texts, the features of images.

    Args:
        embedding: the frozen network that makes features of images, as `Settings.embedding`.
        preprocessing: raw inputs to network inputs.
        samples: raw ones.
        device: where features are made.

    Returns:
        An array or a sparse matrix `[n, numbers]`.
    """
    if len(samples) == 0:
        return np.zeros((0, 1))
    if preprocessing.kind == "image":
        return pretrained_features("embedding", embedding, preprocessing, device)(samples).cpu().numpy()
    if preprocessing.kind == "text":
        return _counts(samples.inputs[0])
    [columns] = preprocessing(samples.inputs)
    return columns.numpy()


def kept_numbers(
    embedding: str, preprocessing: Preprocessing, samples: Samples, device: torch.device, data: str
) -> Any:
    """Return what `numbers_of` does of samples of the data with this digest; features of images are made once for all.

    They are kept in the process, for all seeds.
    """
    if preprocessing.kind != "image" or samples.ids is None:
        return numbers_of(embedding, preprocessing, samples, device)
    rows = hashlib.blake2b(samples.ids.numpy().tobytes(), digest_size=16).hexdigest()
    kept = _kept(embedding, preprocessing, str(device), data, rows)
    if not kept:
        kept.append(numbers_of(embedding, preprocessing, samples, device))
    return kept[0]


@lru_cache(maxsize=2)  # of training and test samples
def _kept(*what: object) -> list[Any]:  # noqa: ARG001
    """Return the list that is for the features of these samples, empty at first."""
    return []


def _counts(ids: Tensor) -> Any:
    """Return how often each word occurs in each text, a sparse matrix `[n, vocabulary]`."""
    from scipy.sparse import csr_matrix

    rows, places = ids.nonzero(as_tuple=True)  # 0 is padding
    ones = np.ones(len(rows), dtype=np.float64)
    return csr_matrix((ones, (rows.numpy(), ids[rows, places].numpy())), shape=(len(ids), VOCABULARY))
