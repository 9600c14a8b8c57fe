"""The one error that speaks to a user rather than to a programmer."""

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class InputError(ValueError):
    """Bad input: one sentence saying what was expected, what was found and what to do.

    The command line prints it as one line and exits with status 2; in the API it is a `ValueError`.
    """


def reason(error: BaseException, most: int | None = None) -> str:
    """Return what another library's error says, in one line of at most so many characters; its name if it says nothing.

    >>> reason(OSError("no\\n  space")), reason(EOFError())
    ('no space', 'EOFError')
    """
    return " ".join(str(error).split())[:most] or type(error).__name__


@contextmanager
def explained(expected: str, remedy: str, most: int | None = None) -> Iterator[None]:
    """Turn whatever another library raises within the block into an `InputError`, with what it says in brackets.

    It is for libraries whose errors have no base in common. An `InputError` and a lack of memory stay what they are.

    Args:
        expected: what was expected and found, up to the reason.
        remedy: what to do.
        most: characters of the reason.
    """
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception as error:
        raise InputError(f"{expected} ({reason(error, most)}); {remedy}") from None


def nearest(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for the closest known word, and nothing if none is close.

    >>> nearest("maxx", ["maxl", "uniform"])
    "; did you mean 'maxl'?"
    >>> nearest("zebra", ["maxl"])
    ''
    """
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean '{close[0]}'?" if close else ""


def choose(what: str, word: str, known: Iterable[str]) -> None:
    """Raise `InputError` unless `word` is among the `known` ones."""
    names = list(known)
    if word not in names:
        raise InputError(f"unknown {what} '{word}'{nearest(word, names)} (known: {', '.join(names)})")


class TrainingError(RuntimeError):
    """A run that cannot go on: what happened, when, and what is left to continue from."""


class LostFolderError(TrainingError):
    """The folder that a command writes into is no longer in its place, so that no run of it can go on."""


class TooLittleMemoryError(TrainingError):
    """Memory was asked for that is not there."""
