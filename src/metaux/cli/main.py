"""The program `metaux`: runs a command, and says in one line what went wrong."""

import io
import os
import sys
import warnings
from collections.abc import Sequence
from importlib.metadata import version
from typing import NoReturn

from metaux.cli.parsing import parse
from metaux.errors import InputError, TrainingError
from metaux.terminal import visible


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; exits with 2 for bad input, 1 for a run that failed, 130 when interrupted.

    Args:
        arguments: those of the process by default.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    continues = False
    if isinstance(sys.stdout, io.TextIOWrapper):  # a name may have characters that the terminal doesn't
        sys.stdout.reconfigure(errors="backslashreplace")
    if arguments[:1] == ["contest"]:
        print("metaux: contest is now called benchmark; the next release has the new name alone", file=sys.stderr)
        arguments[0] = "benchmark"
    try:
        if arguments == ["--version"]:
            print(f"metaux {version('metaux')}")
            return
        command = parse(arguments)
        continues = command.continues
        with warnings.catch_warnings():
            if not sys.warnoptions:  # they speak to programmers; `python -W default -m metaux` shows them
                warnings.simplefilter("ignore")
            command.run()
        sys.stdout.flush()
    except InputError as error:
        _exit(f"metaux: {error}", 2)
    except TrainingError as error:
        _exit(f"metaux: {error}", 1)
    except KeyboardInterrupt:
        more = "; the same command goes on from the last finished epoch of each run" if continues else ""
        _exit(f"metaux: interrupted{more}", 130)
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        name = f" '{error.filename}'" if error.filename else ""
        reason = error.strerror or str(error)
        _exit(f"metaux: expected to read and write files, found that{name} can't be ({reason}); correct that", 1)


def _exit(message: str, status: int) -> NoReturn:
    print(visible(" ".join(line.strip() for line in message.split("\n"))), file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":
    main()
