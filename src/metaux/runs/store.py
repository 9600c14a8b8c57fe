"""Output folders: where each run of one lies, which one a command gets by default, and whose it is."""

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from metaux.errors import InputError, reason
from metaux.files import OURS, UNFINISHED, check_file
from metaux.runs.record import SETTINGS, Run, is_finished
from metaux.runs.trial import Trial
from metaux.settings import Settings, changed, from_mapping, to_mapping
from metaux.strict_yaml import parse_yaml

OF_A_RUN: Mapping[str, Any] = {"method": str, "seed": int}
OF_A_COMPARISON: Mapping[str, Any] = {"methods": tuple[str, ...], "seeds": int}

# While a command writes into a folder: that it does, and which one it is.
LOCK, WRITER = f"{OURS}.lock", f"{OURS}-writer.json"
# Where a run is computed and where its data lies do not make it another run.
PLACES = ("root", "device", "processes", "threads")
_PATHS = ("labels",)


def default_folder(settings: Settings, name: str = "") -> Path:
    """Return `metaux-runs/<data>-...-<digest>`: the same settings find their folder again, others get their own.

    Settings at their defaults leave no trace in the name, so that new ones do not hide old folders.
    """
    digest = hashlib.blake2b(json.dumps(changed(settings), sort_keys=True).encode(), digest_size=3).hexdigest()
    return Path("metaux-runs") / "-".join(filter(None, [Path(settings.data).stem, name, digest]))


def by_method(trial: Trial) -> str:
    """Return what a run's folder is called where all runs share their settings.

    >>> by_method(Trial(Settings(), "maxl", 0))
    'maxl-0'
    """
    return f"{trial.method}-{trial.seed}"


def by_content(trial: Trial) -> str:
    """Return what a run's folder is called where runs differ in anything: the same content has the same name.

    Settings at their defaults leave no trace in it, so that new ones do not hide old runs. Of data and of other runs
    that it builds on, the name counts, not the place.
    """
    content = changed(trial.settings, PLACES)
    content |= {name: Path(content[name]).name for name in _PATHS if content.get(name)}
    if (initialisation := trial.protocol.initialisation) != "pytorch":
        content["initialisation"] = initialisation  # earlier versions had no other
    data = content["data"] = Path(trial.settings.data).name
    digest = hashlib.blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=4).hexdigest()
    return f"{data}-{digest}-{by_method(trial)}"


class Store:
    """The runs of an output folder, each in a folder of its own below `runs`; a finished run is read once.

    Args:
        out: the output folder.
        name: what a run's folder is called, `by_method` or `by_content`.
    """

    def __init__(self, out: Path, name: Callable[[Trial], str] = by_content):
        self.out, self.name = out, name
        self._read: dict[Path, Run] = {}

    def folder(self, trial: Trial) -> Path:
        """Return where a run is recorded."""
        return self.out / "runs" / self.name(trial)

    def find(self, trial: Trial) -> Run | None:
        """Return the finished run; None if there is none.

        Raises:
            InputError: if it is damaged.
        """
        folder = self.folder(trial)
        if folder not in self._read and is_finished(folder):
            self._read[folder] = Run.read(folder)
        return self._read.get(folder)

    def found(self, trials: Iterable[Trial]) -> list[Run]:
        """Return those of the runs that are finished, in the same order."""
        return [run for run in map(self.find, trials) if run is not None]

    def missing(self, trials: Iterable[Trial]) -> dict[Path, Trial]:
        """Return by folder, each once, what is not finished."""
        by_folder = {self.folder(trial): trial for trial in trials}
        return {folder: trial for folder, trial in by_folder.items() if not is_finished(folder)}


def read_settings(path: Path) -> tuple[Settings, dict[str, Any]]:
    """Read a YAML file of settings: one written by hand, a run's, or a comparison's.

    Returns:
        The settings, and what else the file says: a run's method and seed, a comparison's methods and seeds.

    Raises:
        InputError: if the file can't be read, or has an unknown key or a value of another type.
    """
    check_file(path, "a YAML file of settings")
    try:
        found = parse_yaml(path.read_text(encoding="utf-8"))
        if isinstance(found, dict):
            return from_mapping(found, {**OF_A_RUN, **OF_A_COMPARISON})
    except InputError as error:
        raise InputError(f"{error} (in '{path}')") from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InputError(
            f"expected a YAML file of settings, found '{path}' that isn't one ({reason(error)}); correct it"
        ) from None
    raise InputError(f"expected settings such as 'epochs: 30' in '{path}', found {type(found).__name__}; correct it")


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
        if out.is_dir() and not all(path.name.startswith(OURS) for path in out.iterdir()):
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
    try:
        while not _is_there(place):
            place = place.parent
        with tempfile.TemporaryDirectory(prefix=f"{OURS}-", suffix=UNFINISHED, dir=place) as folder:
            file = Path(folder, "file")
            file.write_bytes(b"0")  # a full disk may still have room for a folder
            file.unlink()
            return
    except OSError as error:
        raise InputError(
            f"expected a folder that can be written to at '{place}', found that it can't be ({error.strerror}); "
            f"{remedy}"
        ) from None


def _is_there(path: Path) -> bool:
    """Return whether there is something of that name, a link to nothing too.

    Raises:
        OSError: if there can be nothing.
    """
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _shown(value: object) -> str:
    return "its default" if value is None else str(value)
