"""How names, numbers and commands are written, in the table, the verdict, the figures and the messages alike."""

import os
import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import PurePath

# What acts on a terminal, or turns the order of the letters after it; a line's end and a tab do no harm.
ACTING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    """Return text with the characters that act on a terminal, such as those of an escape sequence, as escapes.

    >>> visible("a name \\x1b[2J")
    'a name \\\\x1b[2J'
    """
    return ACTING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def shortened(text: str, most: int = 2000) -> str:
    """Return text of about so many characters at most: what is over is left out of its middle.

    >>> shortened("found " + 90 * "n" + "; rename it", 24)
    'found nnnnnn[83 characters left out]n; rename it'
    """
    over = len(text) - most
    return text if over <= 0 else f"{text[: most // 2]}[{over:,} characters left out]{text[over + most // 2 :]}"


def shell_command(words: Iterable[str]) -> str:
    """Return the line that a shell reads as these words, bytes of a path that are no UTF-8 among them.

    >>> print(shell_command(["metaux", "train", "my photos", "caf\\udce9"]))
    metaux train 'my photos' $'caf\\xe9'
    """
    return " ".join(map(_shell_word, words))


def _shell_word(word: str) -> str:
    if word.isprintable():
        return shlex.quote(word)
    plain = (chr(b) if 32 <= b < 127 and b not in b"'\\" else f"\\x{b:02x}" for b in os.fsencode(word))
    return f"$'{''.join(plain)}'"


def data_name(data: str) -> str:
    """Return what the setting `data` is called: a name as it is; of a path the last part, without the folders above it.

    >>> data_name("cifar10.1"), data_name("/home/ann/pets.csv"), data_name("hf:uoft-cs/cifar100:default")
    ('cifar10.1', 'pets', 'uoft-cs/cifar100')
    """
    if data.startswith("hf:"):
        name = data.partition(":")[2]
        return PurePath(name).name if name.count("/") > 1 or name.startswith((".", "~")) else name.partition(":")[0]
    path = PurePath(data)
    return path.stem if path.suffix.lower() in (".csv", ".tsv", ".parquet", ".xlsx", ".npz") else path.name or data


def percent(fraction: float, decimals: int = 1) -> str:
    """Return an accuracy in per cent.

    >>> percent(0.98123), percent(0.98123, 2)
    ('98.1', '98.12')
    """
    return f"{100 * fraction:.{decimals}f}"


def points(fraction: float, decimals: int = 1) -> str:
    """Return a difference of accuracies in percentage points, with its sign.

    >>> points(0.012), points(-0.0001)
    ('+1.2', '+0.0')
    """
    return f"{round(100 * fraction, decimals) + 0.0:+.{decimals}f}"


def bound_in_points(fraction: float, decimals: int = 1) -> str:
    """Return an interval's bound, in percentage points; its sign is kept where it rounds to zero.

    >>> bound_in_points(-0.0001), bound_in_points(0.0)
    ('-0.0', '+0.0')
    """
    return f"{100 * fraction:+.{decimals}f}"


def named(name: str) -> str:
    """Return a name as it stands in a sentence: in quotes, if it has a comma."""
    return f"'{name}'" if "," in name else name


def listed(names: Sequence[str]) -> str:
    """Return names as an enumeration.

    >>> listed(["single", "uniform", "frozen"]), listed(["frozen", "kmeans, shuffled"])
    ('single, uniform and frozen', "frozen and 'kmeans, shuffled'")
    """
    names = [named(name) for name in names]
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def few(names: Sequence[str], most: int = 5) -> str:
    """Return the first of many names, and how many more there are.

    >>> few(["a", "b", "c"]), few(["a", "b", "c"], 2)
    ('a, b, c', 'a, b and 1 more')
    """
    rest = len(names) - most
    return ", ".join(names) if rest <= 0 else f"{', '.join(names[:most])} and {rest:,} more"


def counted(number: int, what: str, several: str = "") -> str:
    """Return a number of things; `several` is what more than one are called, where an s at the end is not enough.

    >>> counted(1, "seed"), counted(1437, "training sample"), counted(2, "box is", "boxes are")
    ('1 seed', '1,437 training samples', '2 boxes are')
    """
    return f"{number:,} {what if number == 1 else several or what + 's'}"


def duration(seconds: float) -> str:
    """Return a duration for a person.

    >>> duration(1), duration(42), duration(145), duration(600), duration(9000), duration(864_000)
    ('1 second', '42 seconds', '2.5 minutes', '10 minutes', '2.5 hours', '10 days')
    """
    if seconds < 100:
        return counted(max(1, round(seconds)), "second")
    if seconds < 6000:
        return f"{round(seconds / 30) / 2 if seconds < 600 else round(seconds / 60):g} minutes"
    return f"{seconds / 3600:.1f} hours" if seconds < 3600 * 72 else f"{round(seconds / 86400):,} days"
