"""The published data sets that are known by name: what they are, which files make them up, and how to get them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from metaux.strict_yaml import parse_yaml


@dataclass(frozen=True)
class Published:
    """A published data set, as `published.yaml` describes it.

    Args:
        title: its name.
        task: what its classes are.
        images: how many of what, training + validation + test.
        download: how much is downloaded.
        source: where from.
        archives: what is downloaded, relative to the root.
        how: how the files come from what was downloaded.
        terms: licence or terms of use, where they are known.
        files: the files or folders that are read, relative to the root; the archives themselves if there are no others.
        packed: the archives are read, or unpacked, as they are.
        sizes: of files in bytes, where they are published and checked.
        sha256: of files, where they are checked by us; torchvision checks its own sets.
        counts: the number of samples per part, checked after reading; not checked if empty.
        needs: another known data set that it builds on.
    """

    title: str
    task: str
    images: str
    download: str
    source: str
    archives: tuple[str, ...]
    how: str
    terms: str
    files: tuple[str, ...] = ()
    packed: bool = False
    sizes: Mapping[str, int] = field(default_factory=dict)
    sha256: Mapping[str, str] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    needs: str = ""

    def missing(self, root: Path) -> str | None:
        """Say what is missing of it below the root, in one line and without opening a file; None if nothing is.

        >>> catalogue()["svhn"].missing(Path("nowhere"))
        "found nothing at 'nowhere/train_32x32.mat', nor 1 more of its files"
        """
        # Of any size: the same content in another compression is read as well.
        if self.packed and all((root / file).is_file() for file in self.archives):
            return None
        wrong = []
        for file in self.files or self.archives:
            path, size = root / file, self.sizes.get(file)
            if not path.exists():
                wrong.append(f"found nothing at '{path}'")
            elif size is not None and path.is_file() and path.stat().st_size != size:
                wrong.append(f"found '{path}' of {path.stat().st_size:,} bytes, not {size:,}")
        if not wrong:
            return None
        return wrong[0] + (f", nor {len(wrong) - 1} more of its files" if len(wrong) > 1 else "")

    def how_to_get(self, root: Path) -> str:
        """Say what to download, how much it is, from where, and where to put it; the end of an error.

        >>> catalogue()["cinic10"].how_to_get(Path("data")).partition(" from")[0]
        'put CINIC-10.tar.gz (roughly 0.7 GB)'
        """
        folder = (root / self.archives[0]).parent
        names = ", ".join(Path(file).name for file in self.archives)
        return (
            f"put {names} ({self.download}) from {self.source}, {self.how}, into '{folder}', or give --root where "
            "that is (docs/published-data.md)"
        )


@cache
def catalogue() -> dict[str, Published]:
    """Return every published data set by its name."""
    entries = parse_yaml(Path(__file__).with_name("published.yaml").read_text(encoding="utf-8"))
    return {name: Published(**{key: _fixed(value) for key, value in entry.items()}) for name, entry in entries.items()}


def _fixed(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def missing(name: str, root: Path) -> str | None:
    """Say in one line what is missing of a published data set, or of one that it builds on; None if nothing is."""
    known = catalogue()[name]
    return known.missing(root) or (missing(known.needs, root) if known.needs else None)
