"""Loading a Hugging Face data set: quietly, and with an answer within seconds where there is none."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from metaux.data.folder import PARTS
from metaux.errors import InputError

HUB = "hf:"
PATIENCE = 10.0  # seconds, for the hub's first answer


def load_parts(name: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Load a data set of the hub or of a folder.

    Args:
        name: a folder, or NAME or NAME:CONFIGURATION on the hub.

    Returns:
        The rows of each part (train, val, test), and notices about what was left out.

    Raises:
        InputError: if `datasets` isn't installed, the hub can't be reached, or there is no such data set.
    """
    try:
        import datasets
    except ImportError:
        raise InputError(
            f"expected the package datasets to read '{HUB}{name}', found none; pip install 'metaux[hub]'"
        ) from None
    if not name:
        raise InputError(f"expected a name or a folder after {HUB}, found nothing; give one")
    path = Path(name).expanduser()
    local = path.is_dir()
    if not local:
        _ask(name)
    title, _, configuration = (name, "", "") if local else name.partition(":")
    with _quiet(datasets):
        try:
            if local and any((path / file).is_file() for file in ("dataset_dict.json", "state.json")):
                loaded = datasets.load_from_disk(str(path))
            else:
                loaded = datasets.load_dataset(str(path) if local else title, configuration or None)
        except (OSError, ValueError, RuntimeError, KeyError, TypeError, datasets.exceptions.DatasetsError) as error:
            raise InputError(
                f"expected a data set at '{HUB}{name}', found none that can be loaded ({_reason(error)}); check it"
            ) from None
    if not isinstance(loaded, datasets.DatasetDict):
        return {"train": loaded}, ()
    if len(loaded) == 1:
        return {"train": next(iter(loaded.values()))}, ()
    parts, others = dict[str, Any](), list[str]()
    for split, rows in loaded.items():
        if len(rows) and split in PARTS and PARTS[split] not in parts:
            parts[PARTS[split]] = rows
        else:
            others.append(split)
    if "train" not in parts:
        raise InputError(f"expected a part train in '{HUB}{name}', found {', '.join(loaded)}; choose another data set")
    notices = (f"the parts {', '.join(others)} are not used",) if others else ()
    return parts, notices


def _ask(name: str) -> None:
    """Find out within seconds whether the hub knows a name; `load_dataset` itself tries for half a minute."""
    import huggingface_hub

    if huggingface_hub.constants.HF_HUB_OFFLINE:  # what is in the cache is loaded from there
        return
    try:
        huggingface_hub.HfApi().dataset_info(name.partition(":")[0], timeout=PATIENCE)
    except Exception as error:  # the client's errors have no base in common, and change with its version
        raise InputError(
            f"expected a data set '{name}' on the Hugging Face hub or a folder of that name, found neither "
            f"({_reason(error)}); check the name and the network (HF_HUB_OFFLINE=1 takes an earlier download)"
        ) from None


@contextmanager
def _quiet(datasets: Any) -> Iterator[None]:
    """Keep the package's bars and remarks off the terminal, within the block."""
    bars, level = datasets.are_progress_bars_disabled(), datasets.logging.get_verbosity()
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity_error()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        datasets.logging.set_verbosity(level)
        if not bars:
            datasets.enable_progress_bars()


def _reason(error: Exception) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:300]
