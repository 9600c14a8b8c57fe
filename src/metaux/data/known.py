"""Data sets by name: one table of names and their readers."""

from collections.abc import Mapping
from pathlib import Path

from metaux.data.catalogue import PUBLISHED, Published
from metaux.data.images import AS_FOUND, ImageFormat
from metaux.data.published import READERS
from metaux.data.raw import RawData
from metaux.data.scikit_sets import TABLES, read_digits, read_table_set
from metaux.data.torchvision_sets import TORCHVISION, read_torchvision
from metaux.files import Progress

NAMES = ("digits", *TABLES, *PUBLISHED)


def read_known(
    name: str,
    root: Path,
    wanted: ImageFormat = AS_FOUND,
    progress: Progress | None = None,
    catalogue: Mapping[str, Published] = PUBLISHED,
) -> RawData:
    """Read a data set by name.

    Args:
        name: one of `NAMES`.
        root: the folder of the published data sets; some are downloaded to it if they aren't there.
        wanted: the format of images.
        progress: is told how many images have been read.
        catalogue: which files a published data set is made of, with sizes and checksums.

    Raises:
        InputError: if files are missing or damaged: which, from where, and where to put them.
    """
    if name == "digits":
        return read_digits(wanted)
    if name in TABLES:
        return read_table_set(name, wanted)
    if name in TORCHVISION:
        return read_torchvision(name, root, wanted)
    return READERS[name](root, wanted, progress, catalogue)
