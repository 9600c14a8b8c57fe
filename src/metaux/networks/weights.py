"""Published weights: the file on this machine, or downloaded where there is a network; never a long wait for none.

The libraries retry for most of a minute without a network; here one short request says whether it is worth starting.
"""

import contextlib
import os
import sys
import threading
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlparse
from urllib.request import Request, urlopen

from metaux.errors import InputError

PATIENCE = 5.0  # seconds for an answer


def state_from_url(url: str) -> Any:
    """Return the state dict of a checkpoint at an address, from torch's folder of checkpoints if it is there.

    Raises:
        InputError: if it is neither there nor to be had, or isn't one.
    """
    from torch.hub import get_dir, load_state_dict_from_url

    file = Path(get_dir()) / "checkpoints" / Path(urlparse(url).path).name
    if not file.is_file() and not reachable(url):
        raise _out_of_reach(url, f"{file}")
    try:
        with contextlib.redirect_stdout(sys.stderr):  # it announces downloads, and ours is for results
            return load_state_dict_from_url(url, map_location="cpu", progress=False, check_hash=True, weights_only=True)
    except Exception as error:  # pickle, zip, HTTP and system errors alike: the file is of no use
        raise _useless(str(file), error) from error


def file_of_hub(repository: str, name: str = "model.safetensors") -> Path:
    """Return a file of a Hugging Face repository, from its cache if it is there.

    Raises:
        InputError: if it is neither there nor to be had.
    """
    from huggingface_hub import constants, hf_hub_download, hf_hub_url, try_to_load_from_cache

    cached = try_to_load_from_cache(repository, name)
    if isinstance(cached, str):
        return Path(cached)
    url = hf_hub_url(repository, name)
    place = Path(constants.HF_HUB_CACHE) / f"models--{repository.replace('/', '--')}" / "snapshots" / "main" / name
    if constants.HF_HUB_OFFLINE or not reachable(url):
        raise _out_of_reach(url, f"{place}")
    try:
        return Path(hf_hub_download(repository, name))
    except Exception as error:  # its errors have no common class: HTTP, system, its own
        raise _useless(str(place), error) from error


def reachable(url: str) -> bool:
    """Return whether an address answers within a few seconds; an answer that it has no such file is one.

    >>> reachable("http://127.0.0.1:9/")
    False
    """
    answered: list[bool] = []

    def ask() -> None:
        with contextlib.suppress(OSError, ValueError):
            try:
                urlopen(Request(url, method="HEAD"), timeout=PATIENCE).close()
            except HTTPError as error:  # a gateway's refusal is not the host's answer
                if error.code in (403, 407, 502, 503, 504):
                    return
            answered.append(True)

    # In a thread of its own: looking up a name knows no time-out.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    return bool(answered)


def _out_of_reach(url: str, place: str) -> InputError:
    return InputError(
        f"expected pretrained weights at '{place}' or a network to fetch them from, found neither; "
        f"put {url} there, or leave --pretrained out"
    )


def _useless(place: str, error: Exception) -> InputError:
    reason = " ".join(str(error).split())[:120] or type(error).__name__
    found = "delete it" if os.path.exists(place) else "put the file there by hand"  # noqa: PTH110
    return InputError(f"expected pretrained weights at '{place}', found that they can't be used ({reason}); {found}")
