"""The command line: parses, and hands over. Torch is imported only once there is something to do."""

import contextlib
import io
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro
from tyro.conf import OmitArgPrefixes, Positional, arg, subcommand

from metaux.errors import InputError, TrainingError
from metaux.settings import Settings, from_mapping

Shared = OmitArgPrefixes[Settings]
OptionalPath = Annotated[Path | None, arg(metavar="PATH")]


@dataclass(frozen=True)
class Compare:
    """Train every method on several seeds, and say whether auxiliary labels helped.

    Prints a table with intervals and one sentence on what it supports, and writes the records, the figures and the
    trained weights. The same command on the same folder goes on where it was interrupted; more seeds or methods
    extend it.

    Args:
        settings: what all runs share.
        methods: label sources to compare; all that suit the data by default.
        seeds: how many seeds; they count from 0.
        jobs: runs side by side; 0 for one per processor.
        out: the folder for everything; a new one below metaux-runs/ for each configuration by default.
        config: a YAML file with settings, such as the one in an output folder; options win over it.
    """

    settings: Shared = field(default_factory=Settings)
    methods: tuple[str, ...] = ()
    seeds: int = 3
    jobs: int = 0
    out: OptionalPath = None
    config: OptionalPath = None

    def run(self) -> None:
        """Compare."""
        from metaux.commands import compare_command

        compare_command(self.settings, self.methods, self.seeds, self.jobs, self.out)


@dataclass(frozen=True)
class Train:
    """Train one network with one method, and keep it.

    Args:
        settings: what the run is made of.
        method: where the auxiliary labels come from: single, uniform, random, frozen, kmeans, human or maxl.
        seed: of everything random.
        out: the run's folder; a new one below metaux-runs/ for each configuration by default.
        config: a YAML file with settings, such as a run's settings.yaml; options win over it.
    """

    settings: Shared = field(default_factory=Settings)
    method: str = "maxl"
    seed: int = 0
    out: OptionalPath = None
    config: OptionalPath = None

    def run(self) -> None:
        """Train."""
        from metaux.commands import train_command

        train_command(self.settings, self.method, self.seed, self.out)


@dataclass(frozen=True)
class Predict:
    """Write the class of images, or of the rows of an .npz or CSV table, as CSV: file, class, probability, subclass.

    Args:
        folder: the folder of a finished run.
        inputs: image files, folders of images, or one .npz with x.
        out: the CSV file; the terminal by default.
        device: auto, cpu, cuda, cuda:1 or mps.
    """

    folder: Annotated[Positional[Path], arg(metavar="RUN")]
    inputs: Annotated[Positional[tuple[Path, ...]], arg(metavar="IMAGES")]
    out: OptionalPath = None
    device: str = "auto"

    def run(self) -> None:
        """Predict."""
        from metaux.commands import predict_command

        predict_command(self.folder, self.inputs, self.out, self.device)


@dataclass(frozen=True)
class Evaluate:
    """Print accuracy, balanced accuracy, log loss, calibration error and the confusion matrix on labelled data.

    Args:
        folder: the folder of a finished run.
        data: labelled data of the run's classes, in any form that train takes; its test part where it has one, else
            all of it. The run's own test set by default.
        device: auto, cpu, cuda, cuda:1 or mps.
    """

    folder: Annotated[Positional[Path], arg(metavar="RUN")]
    data: Annotated[Positional[str | None], arg(metavar="DATA")] = None
    device: str = "auto"

    def run(self) -> None:
        """Evaluate."""
        from metaux.commands import evaluate_command

        evaluate_command(self.folder, self.data, self.device)


@dataclass(frozen=True)
class Labels:
    """Write the auxiliary label of every training sample as CSV: sample, file, class, subclass, probability.

    Args:
        folder: the folder of a finished run.
        out: the CSV file; the terminal by default.
    """

    folder: Annotated[Positional[Path], arg(metavar="RUN")]
    out: OptionalPath = None

    def run(self) -> None:
        """Write the labels."""
        from metaux.commands import labels_command

        labels_command(self.folder, self.out)


_CANNOT = r"expected a number after \1, found"


def parse(arguments: Sequence[str]) -> Compare | Train | Predict | Evaluate | Labels:
    """Return the command that the arguments ask for.

    Raises:
        InputError: if they cannot be understood, in one line.
        SystemExit: with status 0 after `--help`.
    """
    values = _configured(arguments)
    settings, rest = from_mapping(
        values, {"methods": tuple[str, ...], "seeds": int, "jobs": int, "method": str, "seed": int}
    )
    compare = Compare(settings, **{name: rest[name] for name in ("methods", "seeds", "jobs") if name in rest})
    train = Train(settings, **{name: rest[name] for name in ("method", "seed") if name in rest})
    commands: Any = (
        Annotated[Compare, subcommand("compare", default=compare)]
        | Annotated[Train, subcommand("train", default=train)]
        | Annotated[Predict, subcommand("predict")]
        | Annotated[Evaluate, subcommand("evaluate")]
        | Annotated[Labels, subcommand("labels")]
    )
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors):
            parsed: Compare | Train | Predict | Evaluate | Labels = tyro.cli(
                commands,
                prog="metaux",
                description="Meta auxiliary learning: does an invented auxiliary task help on my data?",
                args=list(arguments) or ["--help"],
            )
            return parsed
    except SystemExit as stop:
        if not stop.code:
            raise
        raise InputError(_one_line(errors.getvalue())) from None


def main() -> None:
    """Run the command line; exits with 2 for bad input, 1 for a run that failed, 130 when interrupted."""
    try:
        parse(sys.argv[1:]).run()
    except InputError as error:
        _exit(f"metaux: {error}", 2)
    except TrainingError as error:
        _exit(f"metaux: {error}", 1)
    except KeyboardInterrupt:
        _exit("\nmetaux: interrupted; the same command goes on from the last finished epoch of each run", 130)
    except BrokenPipeError:  # the reader of our output has seen enough
        sys.stderr.close()
        sys.exit(0)


def _exit(message: str, status: int) -> None:
    print(message, file=sys.stderr)
    sys.exit(status)


def _configured(arguments: Sequence[str]) -> dict[str, Any]:
    """Return the values of the file after `--config`, if one is given."""
    for position, word in enumerate(arguments):
        name, _, path = word.partition("=")
        if name == "--config":
            path = path or next(iter(arguments[position + 1 :]), "")
            return _read(Path(path))
    return {}


def _read(path: Path) -> dict[str, Any]:
    import yaml

    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InputError(f"expected a YAML file of settings at {path}, found {type(error).__name__}") from error
    if not isinstance(found, dict):
        raise InputError(f"expected settings (name: value) in {path}, found {type(found).__name__}")
    return found


def _one_line(box: str) -> str:
    """Return the message of a box that the parser draws: its first paragraphs, without frame and help."""
    lines = [line.strip(" │") for line in box.splitlines() if not re.match(r"^\s*[╭╰]", line)]
    told: list[str] = []
    for line in lines:
        if line.startswith(("Argument helptext", "For full helptext", "Got errors")):
            break
        if line and not set(line) <= set("─"):
            told.append(line)
    message = re.sub(r"\s+", " ", " ".join(told))
    message = re.sub(r"Error parsing (\S+): no type matching \S+ could be instantiated from", _CANNOT, message)
    message = re.sub(r" Perhaps you meant: (--[\w-]+).*", r"; did you mean \1?", message)
    return f"{message} (see metaux --help)"


if __name__ == "__main__":
    main()
