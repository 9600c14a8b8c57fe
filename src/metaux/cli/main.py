"""The program `metaux`: runs a command, and says in one line what went wrong.

What takes long to import is imported where an interruption has its line already.
"""

import errno
import io
import os
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from metaux.cli.interruption import Interrupted, interruptible
from metaux.errors import InputError, TrainingError
from metaux.words import shell_command, shortened, visible


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; exits with 2 for bad input, 1 for a run that failed, 128 and a signal's number after one.

    Args:
        arguments: those of the process by default.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    again = ""

    def say_interrupted() -> None:
        _say(f"metaux: interrupted{again}")

    # A service, or pythonw, has neither.
    sys.stdout = sys.stdout or Path(os.devnull).open("w")  # noqa: SIM115
    sys.stderr = sys.stderr or sys.stdout
    if isinstance(sys.stdout, io.TextIOWrapper):  # a name may have characters that the terminal doesn't
        sys.stdout.reconfigure(errors="backslashreplace")
    if arguments[:1] == ["contest"]:
        print("metaux: contest is now called benchmark; the next release has the new name alone", file=sys.stderr)
        arguments[0] = "benchmark"
    try:
        with interruptible(say_interrupted):
            if arguments == ["--version"]:
                from importlib.metadata import version

                print(f"metaux {version('metaux')}", flush=True)
                return
            from metaux.cli.parsing import parse

            try:
                command = parse(arguments)
            except SystemExit:
                sys.stdout.flush()  # of help
                raise
            if command.continues:
                words = shell_command(["metaux", *arguments])
                again = f"; to go on from the last epoch that each run kept: {words}"
            with warnings.catch_warnings():
                if not sys.warnoptions:  # they speak to programmers; `python -W default -m metaux` shows them
                    warnings.simplefilter("ignore")
                command.run()
            sys.stdout.flush()
    except InputError as error:
        _exit(f"metaux: {error}", 2)
    except TrainingError as error:
        _exit(f"metaux: {error}", 1)
    except KeyboardInterrupt as error:
        say_interrupted()
        sys.exit(error.status if isinstance(error, Interrupted) else 130)
    except MemoryError:  # outside of a run, which has its own line
        _exit("metaux: too little memory to read the data; give less of it, or end other programs", 1)
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        name = f" '{error.filename}'" if error.filename else ""
        reason = error.strerror or str(error)
        status = 2 if error.errno == errno.ENAMETOOLONG else 1  # the one is seen of the words, before any run
        _exit(f"metaux: expected to read and write files, found that{name} can't be ({reason}); correct that", status)


def _exit(message: str, status: int) -> NoReturn:
    _say(message)
    sys.exit(status)


def _say(message: str) -> None:
    with suppress(OSError):  # of a terminal that is closed
        print(visible(shortened(" ".join(line.strip() for line in message.split("\n")))), file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
