"""Lightning Fabric, imported without the torchmetrics that it would only ask for a version.

Where the whole of Lightning is installed, so is torchmetrics, which imports transformers and more if they are there: a
command would take twice as long to start.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from types import ModuleType

__all__ = ["Fabric"]


@contextmanager
def _known_by_its_version(name: str) -> Iterator[None]:
    """Within the block, importing the package gives its version and no more, unless it was imported before."""
    if name in sys.modules or find_spec(name) is None:
        yield
        return
    stand_in = ModuleType(name)
    stand_in.__dict__["__version__"] = version(name)
    sys.modules[name] = stand_in
    try:
        yield
    finally:
        del sys.modules[name]


with _known_by_its_version("torchmetrics"):
    from lightning_fabric import Fabric
