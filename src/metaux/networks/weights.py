"""Published weights: the file on this machine, or downloaded where there is a network.

Without a network the libraries retry for most of a minute. Here one short request finds out first.
"""

import re
import threading
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.error import HTTPError
from urllib.parse import urlparse
from urllib.request import Request, urlopen

import torch
from safetensors.torch import load_file
from torch import Tensor

from metaux.errors import InputError, explained, nearest, reason
from metaux.files import check_not_packed

PATIENCE = 4.0  # seconds for an answer
_FILE = "model.safetensors"


class Form(NamedTuple):
    """The images that weights were trained on.

    `size` is in pixels a side; `mean` and standard `deviation` are per channel, of values from 0 to 1.
    """

    size: int
    mean: tuple[float, ...]
    deviation: tuple[float, ...]


def check_known(library: str, model: str, known: Sequence[str]) -> None:
    """Raise `InputError` for a model that is not among those of its library."""
    if model not in known:
        raise InputError(
            f"expected a classification model of {library}, found '{model}'{nearest(model, known)}; correct the name"
        )


def place_of_address(url: str) -> Path:
    """Return where a checkpoint's file lies in torch's folder of them, if it is there."""
    from torch.hub import get_dir

    return Path(get_dir()) / "checkpoints" / Path(urlparse(url).path).name


def file_of_address(url: str) -> Path:
    """Return a checkpoint's file in torch's folder of them, downloaded if it is not there yet.

    Raises:
        InputError: if it is neither there nor to be had.
    """
    from torch.hub import download_url_to_file

    file = place_of_address(url)
    if not file.is_file():
        # The libraries' names hold the beginning of the content's hash.
        digest = re.search(r"-([a-f0-9]{8,})\.", file.name)
        with _fetching(url, file):
            file.parent.mkdir(parents=True, exist_ok=True)
            download_url_to_file(url, str(file), digest and digest.group(1), progress=False)
    return file


def cached_of_hub(owner: str) -> dict[str, Path]:
    """Return the files of weights of an owner's Hugging Face repositories that are in the cache, by repository."""
    from huggingface_hub import constants, try_to_load_from_cache

    names = (folder.name.split("--", 2)[2] for folder in Path(constants.HF_HUB_CACHE).glob(f"models--{owner}--*"))
    found = {name: try_to_load_from_cache(f"{owner}/{name}", _FILE) for name in names}
    return {name: Path(file) for name, file in found.items() if isinstance(file, str)}


def file_of_hub(repository: str) -> Path:
    """Return the file of weights of a Hugging Face repository in its cache, downloaded if it is not there yet.

    Raises:
        InputError: if it is neither there nor to be had.
    """
    from huggingface_hub import constants, hf_hub_download, hf_hub_url, try_to_load_from_cache

    cached = try_to_load_from_cache(repository, _FILE)
    if isinstance(cached, str):
        return Path(cached)
    place = Path(constants.HF_HUB_CACHE) / f"models--{repository.replace('/', '--')}" / "snapshots" / "main" / _FILE
    with _fetching(hf_hub_url(repository, _FILE), place, offline=constants.HF_HUB_OFFLINE):
        return Path(hf_hub_download(repository, _FILE))


@contextmanager
def _fetching(url: str, place: Path, offline: bool = False) -> Iterator[None]:
    """Say what to put where, if weights are out of reach or can't be fetched within the block."""
    if offline or not reachable(url):
        raise InputError(
            f"expected pretrained weights at '{place}' or a network to fetch them from, found neither; "
            f"put the file of {url} there, or start without pretrained weights"
        )
    expected = f"expected pretrained weights from {url}, found that they can't be fetched"
    with explained(expected, f"put the file at '{place}'", 120):
        yield


def read_weights(file: Path) -> dict[str, Tensor]:
    """Return the weights in a file, of safetensors or of torch; nothing in it is run."""
    if file.suffix == ".safetensors":
        return load_file(file)
    if zipfile.is_zipfile(file):  # earlier versions of torch wrote none
        check_not_packed(file)
    found: dict[str, Tensor] = torch.load(file, map_location="cpu", weights_only=True)
    return found


def unusable(file: Path, error: Exception) -> InputError:
    """Return the error that says that a file of weights is of no use."""
    return InputError(
        f"expected pretrained weights in '{file}', found a file without ({reason(error, 120)}); delete it"
    )


def reachable(url: str) -> bool:
    """Return whether an address answers within a few seconds.

    >>> reachable("http://127.0.0.1:9/")
    False
    """
    answers: list[bool] = []

    def ask() -> None:
        try:
            urlopen(Request(url, method="HEAD"), timeout=PATIENCE).close()
            answers.append(True)
        except HTTPError as error:  # a gateway's refusal is not the host's answer
            answers.append(error.code not in (403, 407, 502, 503, 504))
        except (OSError, ValueError):
            answers.append(False)

    # In a thread of its own, since looking up a name knows no time-out.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    return any(answers)
