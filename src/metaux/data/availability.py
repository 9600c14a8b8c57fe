"""Whether a published data set is there, and what to do if not."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from metaux.data.catalogue import PUBLISHED, File, Published


def availability(name: str, root: Path, catalogue: Mapping[str, Published] = PUBLISHED) -> str | None:
    """Say in one line what is missing of a data set that is known by name, without opening a file.

    Args:
        name: of the data set.
        root: the folder of the known data sets.
        catalogue: what the data sets are made of.

    Returns:
        None if everything is there in its published size, or if it ships with scikit-learn.

    >>> availability("iris", Path("nowhere")) is None
    True
    >>> availability("svhn", Path("nowhere"))
    "found nothing at 'nowhere/train_32x32.mat', nor 1 more of its files"
    """
    if name not in catalogue:
        return None
    needed = catalogue[name].needs
    return missing_files(name, root, catalogue) or (availability(needed, root, catalogue) if needed else None)


def missing_files(name: str, root: Path, catalogue: Mapping[str, Published] = PUBLISHED) -> str | None:
    """Say what is missing of a published data set itself, not of one that it builds on; None if nothing is."""
    known = catalogue[name]
    wrong = _problems(known.files or known.archives, root)
    # Of any size: the same content in another compression is read as well.
    if known.packed and all((root / file.path).is_file() for file in known.archives):
        wrong = []
    if not wrong:
        return None
    return wrong[0] + (f", nor {len(wrong) - 1} more of its files" if len(wrong) > 1 else "")


def how_to_get(name: str, root: Path, catalogue: Mapping[str, Published] = PUBLISHED) -> str:
    """Say what to download, how much it is, from where, and where to put it; the end of an error.

    >>> how_to_get("cinic10", Path("data")).partition(", or")[0]
    "put CINIC-10.tar.gz (roughly 0.7 GB) from https://datashare.ed.ac.uk/bitstream/handle/10283/3192/CINIC-10.tar.gz\
, unpacked into a folder CINIC-10, into 'data'"
    """
    known = catalogue[name]
    folder = (root / known.archives[0].path).parent
    names = ", ".join(Path(file.path).name for file in known.archives)
    return (
        f"put {names} ({known.download}) from {known.source}, {known.how}, into '{folder}', or give --root where "
        "that is (docs/data.md)"
    )


def _problems(files: Iterable[File], root: Path) -> list[str]:
    found = []
    for file in files:
        path = root / file.path
        if not path.exists():
            found.append(f"found nothing at '{path}'")
        elif file.size is not None and path.is_file() and path.stat().st_size != file.size:
            found.append(f"found '{path}' of {path.stat().st_size:,} bytes, not {file.size:,}")
    return found
