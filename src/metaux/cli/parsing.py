"""From the words of a command line to a command. No torch is imported here, so that help is quick."""

import contextlib
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import partial
from itertools import dropwhile, takewhile
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_type_hints

import tyro
from tyro import MISSING_NONPROP
from tyro.conf import Positional, subcommand
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from metaux.cli.benchmark import Benchmark
from metaux.cli.compare import Compare
from metaux.cli.evaluate import Evaluate
from metaux.cli.export import Export
from metaux.cli.labels import Labels
from metaux.cli.options import Command
from metaux.cli.predict import Predict
from metaux.cli.recommend import Recommend
from metaux.cli.report import Report
from metaux.cli.reproduce import Reproduce
from metaux.cli.train import Train
from metaux.errors import InputError, choose, nearest
from metaux.settings import Epochs, Settings

DESCRIPTION = """Meta auxiliary learning: does an invented auxiliary task help on my data?

Start with metaux compare, or metaux compare FOLDER with one sub-folder of images per class.

metaux COMMAND --help says what each command does, and gives examples. metaux --version is for bug reports."""
COMMANDS: Mapping[str, type[Command]] = {
    "compare": Compare,
    "train": Train,
    "predict": Predict,
    "evaluate": Evaluate,
    "labels": Labels,
    "report": Report,
    "export": Export,
    "reproduce": Reproduce,
    "recommend": Recommend,
    "benchmark": Benchmark,
}
_BEFORE_A_COMMAND = ("-h", "--help", "--tyro-")  # the last are tyro's, for completion in a shell
_NUMBERS = ConstructorRegistry()


def parse(arguments: Sequence[str]) -> Command:
    """Return the command that the arguments ask for.

    Raises:
        InputError: if they cannot be understood.
        SystemExit: with status 0 after `--help`.
    """
    where = "metaux"
    if arguments and not arguments[0].startswith(_BEFORE_A_COMMAND):
        choose("command", arguments[0], COMMANDS)
        where = f"metaux {arguments[0]}"
    screen = io.StringIO()
    try:
        with contextlib.redirect_stderr(screen):
            kind, options = _asked_for(arguments)
            command, unknown = tyro.cli(kind, registry=_NUMBERS, return_unknown_args=True, **options)
    except SystemExit as stop:
        if not stop.code:
            raise
        text = _without_frame(screen.getvalue())
        raise InputError(f"expected other arguments, found: {text}; see {where} --help") from None
    if unknown and unknown[0].startswith("-"):
        close = nearest(unknown[0].partition("=")[0], _options(type(command)))
        raise InputError(f"expected known options, found {unknown[0]}{close}; see {where} --help")
    if unknown:
        raise InputError(f"expected no more words, found '{unknown[0]}'; see {where} --help")
    parsed: Command = command
    return parsed


def _asked_for(arguments: Sequence[str]) -> tuple[Any, dict[str, Any]]:
    """Return what tyro reads, and from which words: one command, or the list of all."""
    if arguments and arguments[0] in COMMANDS:
        name, *words = arguments
        kind = COMMANDS[name]
        return kind, {"prog": f"metaux {name}", "args": words, "default": _default(kind, _given(words))}
    kinds: list[Any] = []
    for name, kind in COMMANDS.items():
        # The list has a line for each; the help of one has all that there is to say.
        summary, default = str(kind.__doc__).partition("\n")[0], _default(kind, _given([]))
        kinds.append(Annotated[kind, subcommand(name, default=default, description=summary)])
    listed = {"prog": "metaux", "description": DESCRIPTION, "args": list(arguments) or ["--help"]}
    return Union[tuple(kinds)], listed  # noqa: UP007


def _given(words: Sequence[str]) -> dict[str, Any]:
    """Return the defaults of the options: those of the file after `--config`, if one is given."""
    known: dict[str, Any] = {"settings": Settings()}
    for position, word in enumerate(words):
        option, _, path = word.partition("=")
        if option == "--config" and (path or len(words) > position + 1):
            from metaux.runs.store import read_settings

            try:
                settings, rest = read_settings(Path(path or words[position + 1]))
            except InputError:
                if {"-h", "--help"} & set(words):
                    continue  # help is there whatever the file holds
                raise
            known = {"settings": settings, **rest}
    return known


def _default(kind: type[Command], known: Mapping[str, Any]) -> Any:
    """Return a command with these values, where it has all that it needs."""
    values = {key: value for key, value in known.items() if key in _fields(kind)}
    return kind(**values) if "settings" in values else MISSING_NONPROP


def _fields(kind: Any) -> dict[str, Any]:
    """Return the annotations of a dataclass's fields by their names."""
    hints = get_type_hints(kind, include_extras=True)
    return {field.name: hints[field.name] for field in fields(kind)}


def _options(kind: Any) -> Iterator[str]:
    for name, hint in _fields(kind).items():
        plain, *markers = get_args(hint) or (hint,)
        if is_dataclass(plain):
            yield from _options(plain)
        elif Positional not in markers:
            yield f"--{name.replace('_', '-')}"


def _without_frame(box: str) -> str:
    """Return the message in a box that tyro draws, in one line: what is below the title and above the first rule."""

    def is_blank(line: str) -> bool:
        return not line.strip("─-╰╯")

    lines = [line.strip(" │") for line in box.splitlines()[1:]]
    return " ".join(takewhile(lambda line: not is_blank(line), dropwhile(is_blank, lines))).rstrip(".")


@_NUMBERS.primitive_rule
def _number(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """Read numbers as tyro does, but with messages for users."""
    for kinds, read, metavar, what in (
        ((int, int | None), int, "INT", "a whole number"),
        ((float, float | None), float, "FLOAT", "a number"),
        ((Epochs,), _epochs, "{INT,auto}", "a whole number, or auto"),
    ):
        if info.type in kinds:
            return PrimitiveConstructorSpec(
                nargs=1,
                metavar=metavar,
                instance_from_str=partial(_read_number, read, what),
                is_instance=lambda value: isinstance(value, int | float | str | None),
                str_from_instance=lambda value: [str(value)],
            )
    return None


def _epochs(word: str) -> int | str:
    return word if word == "auto" else int(word)


def _read_number(read: Callable[[str], Any], what: str, words: list[str]) -> Any:
    try:
        return read(words[0])
    except ValueError:
        raise ValueError(f"expected {what}, found '{words[0]}'") from None
