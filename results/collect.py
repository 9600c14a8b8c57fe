"""Copies what `metaux reproduce` recorded into this folder: `python results/collect.py OUT/small`."""

import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent / "reproduce"


def collect(out: Path) -> None:
    """Copy figure (PNG), numbers and summary of every item that has been drawn."""
    for summary in sorted(out.glob("*/summary.json")):
        folder = HERE / summary.parent.name
        folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(summary.parent.iterdir()):
            if path.suffix in (".png", ".csv", ".json"):
                shutil.copyfile(path, folder / path.name)


if __name__ == "__main__":
    collect(Path(sys.argv[1]))
