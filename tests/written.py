"""Small CSV files of texts and of tables, for the tests of their readers and of the commands."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

PRAISE = ("lovely", "great", "warm", "bright", "kind")
COMPLAINT = ("awful", "cold", "rude", "dull", "broken")
THINGS = ("room", "meal", "staff", "view", "bed", "garden", "breakfast")


def sentence(random: np.random.Generator, good: bool) -> str:
    """Return a sentence of a small grammar: the thing was (degree) quality, and so was the thing."""
    first, second = random.choice(THINGS, 2, replace=False)
    quality = random.choice(PRAISE if good else COMPLAINT)
    degree = random.choice(["", "very ", "quite ", "so "])
    return f"The {first} was {degree}{quality}; the {second} too!"


def write_texts(path: Path, count: int = 240, finer: bool = False) -> Path:
    random = np.random.default_rng(0)
    rows = ["text,label" + (",thing" if finer else "")]
    for row in range(count):
        text, label = sentence(random, row % 2 == 0), ("praise", "complaint")[row % 2]
        rows.append(f'"{text}",{label}' + (f",{label} {text.split()[1]}" if finer else ""))
    path.write_text("\n".join(rows) + "\n")
    return path


def write_rows(path: Path, header: str, rows: Sequence[str]) -> Path:
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def write_animals(path: Path, count: int = 120, labelled: bool = True) -> Path:
    """Write a table of a number and a colour, which tell the class together."""
    random = np.random.default_rng(0)
    rows = []
    for row in range(count):
        kind = row % 2
        breed = ("tabby", "siamese", "pug", "boxer")[2 * kind + int(random.integers(2))]
        colour = random.choice(("grey", "white") if kind else ("grey", "brown"))
        cells = [f"{random.normal(30 * (kind + 1), 10):.2f}", str(colour)]
        rows.append(",".join([*cells, ("cat", "dog")[kind], breed] if labelled else cells))
    return write_rows(path, "height,colour" + (",label,breed_label" if labelled else ""), rows)
