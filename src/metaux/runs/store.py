"""Output folders: which one a command gets by default, and whether what lies in it is its own."""

import hashlib
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from metaux.errors import InputError
from metaux.runs.record import SETTINGS
from metaux.settings import Settings, changed, from_mapping, to_mapping

OF_A_RUN: Mapping[str, Any] = {"method": str, "seed": int}
OF_A_COMPARISON: Mapping[str, Any] = {"methods": tuple[str, ...], "seeds": int}

# Where a run is computed and where its data lies do not make it another run.
_PLACES = ("root", "device", "processes", "threads")
_PATHS = ("labels",)


def default_folder(settings: Settings, name: str = "") -> Path:
    """Return `metaux-runs/<data>-...-<digest>`: the same settings find their folder again, others get their own.

    Settings at their defaults leave no trace in the name, so that new ones do not hide old folders.
    """
    digest = hashlib.blake2b(json.dumps(changed(settings), sort_keys=True).encode(), digest_size=3).hexdigest()
    return Path("metaux-runs") / "-".join(filter(None, [Path(settings.data).stem, name, digest]))


def folder_by_content(settings: Settings, method: str, seed: int, out: Path) -> Path:
    """Return where a run lies: the same content has the same folder, in whatever experiment.

    Settings at their defaults leave no trace in the name, so that new ones do not hide old runs. Of data and of other
    runs that it builds on, the name counts, not the place.
    """
    content = changed(settings, _PLACES)
    content |= {name: Path(content[name]).name for name in _PATHS if content.get(name)}
    data = content["data"] = Path(settings.data).name
    digest = hashlib.blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=4).hexdigest()
    return out / "runs" / f"{data}-{digest}-{method}-{seed}"


def read_settings(path: Path) -> tuple[Settings, dict[str, Any]]:
    """Read a YAML file of settings: one written by hand, a run's, or a comparison's.

    Returns:
        The settings, and what else the file says: a run's method and seed, a comparison's methods and seeds.

    Raises:
        InputError: if the file can't be read, or has an unknown key or a value of another type.
    """
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"expected a YAML file of settings, found nothing at '{path}'; check the path") from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"expected a YAML file of settings, found '{path}' that isn't one ({reason}); correct it"
        ) from None
    if not isinstance(found, dict):
        raise InputError(
            f"expected settings such as 'epochs: 30' in '{path}', found {type(found).__name__}; correct it"
        )
    try:
        return from_mapping(found, {**OF_A_RUN, **OF_A_COMPARISON})
    except InputError as error:
        raise InputError(f"{error} (in '{path}')") from None


def claim(out: Path, settings: Settings, run: Mapping[str, Any] | None = None) -> None:
    """Check that the folder is new or holds what these settings made, and can be written to; it is left as it is.

    Args:
        out: the folder.
        settings: what is to be done in it.
        run: method and seed of a single run; None for a comparison.

    Raises:
        InputError: if it holds something else, or something made with other settings.
    """
    check_writable(out)
    if not (out / SETTINGS).is_file():
        if out.is_dir() and any(out.iterdir()):
            raise InputError(
                f"expected a new folder or one of earlier runs at '{out}', found something else in it; "
                "give another --out"
            )
        return
    try:
        earlier, rest = read_settings(out / SETTINGS)
    except InputError as error:
        raise InputError(f"{error}; or give another --out") from None
    before = {**to_mapping(earlier), **{name: rest[name] for name in OF_A_RUN if name in rest}}
    now = {**to_mapping(settings), **(run or {})}
    if ("method" in before) != ("method" in now):
        kinds = ("a single run", "a comparison")
        wanted, found = kinds if "method" in now else kinds[::-1]
        raise InputError(f"expected the folder of {wanted} at '{out}', found that of {found}; give another --out")
    for name in now:
        if before[name] != now[name]:
            option = name.replace("_", "-")
            raise InputError(
                f"expected {option} {_shown(before[name])} as of the earlier runs in '{out}', found "
                f"{_shown(now[name])}; give the same, or another --out"
            )


def check_writable(path: Path, remedy: str = "give another --out") -> None:
    """Check that a file or folder of that name can be made, or written into if it is a folder; nothing is left.

    Args:
        path: of the file or folder.
        remedy: what the user can do if not.

    Raises:
        InputError: if not.
    """
    place = path.absolute()
    while not place.exists():
        place = place.parent
    try:
        with tempfile.TemporaryDirectory(prefix=".metaux-", dir=place):
            return
    except OSError as error:
        raise InputError(
            f"expected a folder that can be written to at '{place}', found that it can't be ({error.strerror}); "
            f"{remedy}"
        ) from None


def _shown(value: object) -> str:
    return "its default" if value is None else str(value)
