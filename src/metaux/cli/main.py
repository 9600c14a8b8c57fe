"""The command line: parses, and hands over. Torch is imported only once there is something to do.

It is longer than 300 lines for what users read of it: one class per command, whose docstring is its help.
"""

import contextlib
import io
import os
import re
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, get_args

import tyro
from tyro.conf import OmitArgPrefixes, Positional, arg, subcommand

from metaux.cli.usage_errors import in_one_line
from metaux.errors import InputError, TrainingError
from metaux.settings import Said, Settings

Shared = OmitArgPrefixes[Settings]
Saying = OmitArgPrefixes[Said]
_NEW_FOLDER = "(default: its own below metaux-runs/ for each configuration)"
Out = Annotated[Path | None, arg(metavar="DIR", help_behavior_hint=_NEW_FOLDER)]
OutFile = Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="(default: the terminal)")]
Config = Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="")]
Folder = Annotated[Positional[Path], arg(metavar="RUN")]


@dataclass(frozen=True)
class Compare:
    """Train every method on several seeds, and say whether auxiliary labels helped.

    Prints a table with intervals, and one sentence on what it supports.

    Writes the records, the figures, the trained weights of every run, and report.html with all of it on one page.

    The same command on the same folder goes on where it was interrupted.

    More seeds or methods extend it; fewer show just these.

    For example:
        metaux compare
        metaux compare photos/ --image-size 32 --seeds 5
        metaux compare photos/ --methods single uniform frozen maxl --epochs 60
        metaux compare cifar100 --primary 20 --auxiliary 100 --train-size 10000
        metaux compare --config results/settings.yaml --out again

    Args:
        settings: what all runs share.
        methods: label sources to compare: single, uniform, random, frozen, kmeans, human, maxl, of images also
            transformation and its control transformed; with protocol iclr also single-split, uniform-split,
            frozen-split; on request also transformation-shuffled, rotation, rotation-single and their controls rotated,
            rotated-single and rotation-shuffled (all of images), distilled, distilled-cross and their controls
            self-distilled, self-distilled-cross, recorded and its control shuffled (with --labels), given (with
            --given), balanced, leaves, vector, frozen-vector and, with protocol iclr, prototypical and shuffled-split.
        seeds: how many seeds; they count from 0.
        jobs: runs side by side; 0 is one per processor (divided by the threads of a run), or one on a GPU.
        out: the folder for everything.
        config: a YAML file of settings, such as settings.yaml in an output folder; options win over it.
        report: write report.html; metaux report does so later.
        said: what is printed, and logged, on the way.
    """

    settings: Shared = field(default_factory=Settings)
    methods: Annotated[tuple[str, ...], arg(metavar="NAME ...", help_behavior_hint="(default: all that suit)")] = ()
    seeds: int = 3
    jobs: int = 0
    out: Out = None
    config: Config = None
    report: bool = True
    said: Saying = field(default_factory=Said)

    def run(self) -> None:
        """Compare."""
        from metaux.cli.commands import compare_command

        compare_command(self.settings, self.methods, self.seeds, self.jobs, self.out, self.report, self.said)


@dataclass(frozen=True)
class Train:
    """Train one network with one method, and keep it.

    The same command on the same folder goes on where it was interrupted.

    For example:
        metaux train photos/ --out photos-model
        metaux train photos/ --method maxl --out photos-maxl
        metaux train table.npz --method single --epochs 100
        metaux train photos/ --hierarchy kinds.yaml --primary kind --auxiliary breed

    Args:
        settings: what the run is made of.
        method: where the auxiliary labels come from. auto is transformation for images, where it was shown to help, and
            single (none) for other data, where nothing is shown to help. Also
            uniform, random, frozen, kmeans, balanced, leaves, human, maxl, distilled,
            distilled-cross, recorded or shuffled (with --labels), given (with --given), or prototypical (with protocol
            iclr); transformed and transformation-shuffled learn from transformed images, rotation, rotation-single,
            rotation-shuffled, rotated and rotated-single from turned ones, self-distilled and self-distilled-cross from
            a teacher's classes, vector and frozen-vector from target vectors.
        seed: of everything random.
        out: the run's folder.
        config: a YAML file of settings, such as a run's settings.yaml; options win over it.
        said: what is printed, and logged, on the way.
    """

    settings: Shared = field(default_factory=Settings)
    method: str = "auto"
    seed: int = 0
    out: Out = None
    config: Config = None
    said: Saying = field(default_factory=Said)

    def run(self) -> None:
        """Train."""
        from metaux.cli.commands import train_command

        train_command(self.settings, self.method, self.seed, self.out, self.said)


@dataclass(frozen=True)
class Predict:
    """Write the class of images, or of the rows of an .npz or a CSV file, as CSV.

    Its columns are file (of a table, the row), class, probability and the sub-class that the network assigns.

    For example:
        metaux predict photos-maxl new/ holiday.jpg
        metaux predict results/runs/maxl-0 new.npz --out classes.csv
        metaux predict reviews-maxl new.csv

    Args:
        folder: the folder of a finished run.
        inputs: image files, folders of images, one .npz with x, or one CSV file (of texts or of the run's columns).
        out: the CSV file.
        device: auto, cpu, cuda, cuda:1 or mps.
    """

    folder: Folder
    inputs: Annotated[Positional[tuple[Path, ...]], arg(metavar="IMAGES ...", help_behavior_hint="(required)")]
    out: OutFile = None
    device: str = "auto"

    def run(self) -> None:
        """Predict."""
        from metaux.cli.commands import predict_command

        predict_command(self.folder, self.inputs, self.out, self.device)


@dataclass(frozen=True)
class Evaluate:
    """Print accuracy, balanced accuracy, log loss, calibration error and confusion matrix.

    For example:
        metaux evaluate photos-maxl
        metaux evaluate photos-maxl other-photos/
        metaux evaluate cifar100-maxl cifar100-as-folders/ --hierarchy cifar100

    Args:
        folder: the folder of a finished run.
        data: labelled data of the run's classes or finer ones, in any form that train takes; its test part where it
            has one, else all of it.
        hierarchy: a YAML or CSV file (or: cifar100) that says which of the run's classes the data's labels belong to.
        device: auto, cpu, cuda, cuda:1 or mps.
        json: print one JSON object instead, for scripts.
    """

    folder: Folder
    data: Annotated[
        Positional[str | None], arg(metavar="[DATA]", help_behavior_hint="(default: the run's own test set)")
    ] = None
    hierarchy: Annotated[str | None, arg(metavar="FILE", help_behavior_hint="(default: the run's)")] = None
    device: str = "auto"
    json: bool = False

    def run(self) -> None:
        """Evaluate."""
        from metaux.cli.commands import evaluate_command

        evaluate_command(self.folder, self.data, self.device, self.hierarchy, self.json)


@dataclass(frozen=True)
class Labels:
    """Write the auxiliary label of every training sample as CSV.

    Its columns are sample, file, class, the most probable sub-class, and its probability.

    For example:
        metaux labels photos-maxl --out labels.csv

    Args:
        folder: the folder of a finished run.
        out: the CSV file.
    """

    folder: Folder
    out: OutFile = None

    def run(self) -> None:
        """Write the labels."""
        from metaux.cli.commands import labels_command

        labels_command(self.folder, self.out)


@dataclass(frozen=True)
class Report:
    """Write report.html: did it help, where, and what did it invent?

    One file that opens in any browser and needs no network; metaux compare and recommend write it by themselves.

    For example:
        metaux report metaux-runs/digits-4f1c2a
        metaux report photos-maxl

    Args:
        folder: the output folder of a comparison, or of a single run.
    """

    folder: Folder

    def run(self) -> None:
        """Write the report."""
        from metaux.cli.commands import report_command

        report_command(self.folder)


@dataclass(frozen=True)
class Export:
    """Write a run's network for other programs, with a model card that says how to load it.

    The primary network alone; what is normalised in it, and how, lies with it, as do the names of its classes.

    For example:
        metaux export photos-maxl --to onnx
        metaux export results/runs/maxl-0 --to torch-export --out shared/photos
        metaux export photos-maxl --to safetensors

    Args:
        folder: the folder of a finished run.
        to: onnx (extra metaux[onnx]) and torch-export hold the network whole, from raw inputs to probabilities;
            safetensors holds weights, under the names of timm or torchvision where the backbone is theirs.
        out: a new folder, or that of an earlier export.
    """

    folder: Folder
    to: Annotated[Literal["safetensors", "torch-export", "onnx"], arg(help_behavior_hint="(required)")]
    out: Annotated[Path | None, arg(metavar="DIR", help_behavior_hint="(default: RUN/FORM)")] = None

    def run(self) -> None:
        """Export."""
        from metaux.cli.commands import export_command

        export_command(self.folder, self.to, self.out)


@dataclass(frozen=True)
class Reproduce:
    """Reproduce the papers' experiments, one item each; without an item, list them.

    Trains what is missing (runs are shared between items), writes figure, numbers and a paragraph beside the paper's.

    The same command goes on where it was interrupted.

    For example:
        metaux reproduce
        metaux reproduce figure3 --scale small
        metaux reproduce figure3 cosine agreement --scale paper --root /data --device cuda
        metaux reproduce table1 --scale paper --trial

    Args:
        items: names from the list, such as figure3.
        list: print what there is to reproduce, what it takes, and whether its data is there.
        scale: small (two processor cores, an hour or so) or paper (as published; a GPU).
        root: where data sets are kept; see docs/data.md.
        out: the folder for everything; runs are shared by all items in it.
        seeds: how many seeds; they count from 0.
        jobs: runs side by side; 0 is one per processor, or one on a GPU.
        device: auto, cpu, cuda, cuda:1 or mps.
        trial: only 20 training steps and one evaluation of each configuration: does it run, and how long will it take?
    """

    items: Annotated[Positional[tuple[str, ...]], arg(metavar="[ITEM ...]", help_behavior_hint="")] = ()
    list: bool = False
    scale: Literal["small", "paper"] = "small"
    root: str = "data"
    out: Annotated[Path, arg(metavar="DIR")] = Path("metaux-reproduce")
    seeds: int = 3
    jobs: int = 0
    device: str = "auto"
    trial: bool = False

    def run(self) -> None:
        """Reproduce, or list."""
        from metaux.cli.commands import reproduce_command

        names = () if self.list else self.items
        reproduce_command(names, self.scale, self.trial, self.root, self.out, self.seeds, self.jobs, self.device)


@dataclass(frozen=True)
class Contest:
    """Let every method compete with single task, all tuned alike, on data that was fixed beforehand.

    Each is tuned on validation data with the same few configurations; the number of seeds follows from the spread there
    and is written down; only then is test data measured, on paired seeds.

    Writes for each bed plan.json (before its first test run), contest.json and contest.csv; runs are shared.

    The same command goes on where it was interrupted; more methods extend it.

    For example:
        metaux contest wine breast-cancer
        metaux contest cifar100-3-10k --methods transformation kmeans --root /data --device cuda --jobs 8
        metaux contest --stage tune

    Args:
        beds: cifar100-3-10k, cifar100-3-50k, cifar100-20-10k, fashion-500,
            cifar100-3-10k-short, wine, breast-cancer.
        methods: rows to take part, with the controls that they are compared with.
        stage: how far to go: tune on validation data, plan (fix the number of seeds), or test.
        most_seeds: the most seeds on test data, whatever the spread asks for.
        root: where data sets are kept; see docs/data.md.
        out: the folder for everything.
        jobs: runs side by side; 0 is one per processor, or one on a GPU.
        device: auto, cpu, cuda, cuda:1 or mps.
    """

    beds: Annotated[Positional[tuple[str, ...]], arg(metavar="[BED ...]", help_behavior_hint="(default: all)")] = ()
    methods: Annotated[
        tuple[str, ...], arg(metavar="NAME ...", help_behavior_hint="(default: all without outside data)")
    ] = ()
    stage: Literal["tune", "plan", "test"] = "test"
    most_seeds: int = 8
    root: str = "data"
    out: Annotated[Path, arg(metavar="DIR")] = Path("metaux-contest")
    jobs: int = 0
    device: str = "auto"

    def run(self) -> None:
        """Compete."""
        from metaux.cli.commands import contest_command

        contest_command(
            self.beds, self.methods, self.stage, self.most_seeds, self.root, self.out, self.jobs, self.device
        )


@dataclass(frozen=True)
class Recommend:
    """Find out within some minutes what to train on this data, and train it.

    Times an epoch, says what the minutes pay for, and searches on validation data: short runs of single task and of
    every method that suits, tuned alike, then longer ones of the better half.

    The best method is then measured on test data beside tuned single task and its controls, on as many seeds as there
    is time for. Ends in a verdict, the trained network, the command that trains it again, and report.html.

    Where nothing is shown to help, it says so, and the network is that of single task.

    The same command on the same folder goes on where it was interrupted.

    For example:
        metaux recommend photos/ --minutes 60
        metaux recommend table.csv --minutes 5 --out found
        metaux recommend cifar100 --primary 20 --auxiliary 100 --train-size 10000

    Args:
        settings: what all runs share; learning rate and weight decay are searched; epochs, if given, are the most.
        minutes: the time for all of it.
        jobs: runs side by side; 0 is one per processor (divided by the threads of a run), or one on a GPU.
        out: the folder for everything.
        config: a YAML file of settings; options win over it.
        quiet: print nothing but errors.
        json: print nothing but one JSON object at the end, for scripts.
    """

    settings: Shared = field(default_factory=Settings)
    minutes: float = 30.0
    jobs: int = 0
    out: Out = None
    config: Config = None
    quiet: bool = False
    json: bool = False

    def run(self) -> None:
        """Recommend."""
        from metaux.cli.commands import recommend_command

        recommend_command(self.settings, self.minutes, self.jobs, self.out, self.quiet, self.json)


_DESCRIPTION = """Meta auxiliary learning: does an invented auxiliary task help on my data?

Start with metaux compare, or metaux compare FOLDER with one sub-folder of images per class.

metaux COMMAND --help says what each command does, and gives examples. metaux --version is for bug reports."""
Command = Compare | Train | Predict | Evaluate | Labels | Report | Export | Reproduce | Contest | Recommend


def parse(arguments: Sequence[str]) -> Command:
    """Return the command that the arguments ask for.

    Raises:
        InputError: if they cannot be understood, in one line.
        SystemExit: with status 0 after `--help`.
    """
    settings, rest = _configured(arguments)
    compare = Compare(settings, **{name: rest[name] for name in ("methods", "seeds") if name in rest})
    train = Train(settings, **{name: rest[name] for name in ("method", "seed") if name in rest})
    # The list of commands has a line for each, the help of one all that there is to say.
    listed = not arguments or arguments[0].startswith("-")
    first_line = {kind: str(kind.__doc__).partition("\n")[0] if listed else None for kind in get_args(Command)}
    commands: Any = (
        Annotated[Compare, subcommand("compare", default=compare, description=first_line[Compare])]
        | Annotated[Train, subcommand("train", default=train, description=first_line[Train])]
        | Annotated[Predict, subcommand("predict", description=first_line[Predict])]
        | Annotated[Evaluate, subcommand("evaluate", description=first_line[Evaluate])]
        | Annotated[Labels, subcommand("labels", description=first_line[Labels])]
        | Annotated[Report, subcommand("report", description=first_line[Report])]
        | Annotated[Export, subcommand("export", description=first_line[Export])]
        | Annotated[Reproduce, subcommand("reproduce", description=first_line[Reproduce])]
        | Annotated[Recommend, subcommand("recommend", default=Recommend(settings), description=first_line[Recommend])]
        | Annotated[Contest, subcommand("contest", description=first_line[Contest])]
    )
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors):
            parsed: Command = tyro.cli(
                commands,
                prog="metaux",
                description=_DESCRIPTION,
                args=list(arguments) or ["--help"],
            )
            return parsed
    except SystemExit as stop:
        if not stop.code:
            raise
        raise InputError(in_one_line(errors.getvalue())) from None


def main() -> None:
    """Run the command line; exits with 2 for bad input, 1 for a run that failed, 130 when interrupted."""
    goes_on = False
    if isinstance(sys.stdout, io.TextIOWrapper):  # a name may have characters that the terminal doesn't
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        if sys.argv[1:] == ["--version"]:
            print(f"metaux {version('metaux')}")
            return
        command = parse(sys.argv[1:])
        goes_on = isinstance(command, Compare | Train | Reproduce | Contest | Recommend)
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
        more = "; the same command goes on from the last finished epoch of each run" if goes_on else ""
        _exit(f"metaux: interrupted{more}", 130)
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        name = f" '{error.filename}'" if error.filename else ""
        reason = error.strerror or str(error)
        _exit(f"metaux: expected to read and write files, found that{name} can't be ({reason}); correct that", 1)


def _exit(message: str, status: int) -> NoReturn:
    print(re.sub(r"\s*[\r\n]\s*", " ", message), file=sys.stderr)
    sys.exit(status)


def _configured(arguments: Sequence[str]) -> tuple[Settings, dict[str, Any]]:
    """Return what the file after `--config` says, if one is given."""
    for position, word in enumerate(arguments):
        name, _, path = word.partition("=")
        if name == "--config" and (path or len(arguments) > position + 1):
            from metaux.runs.store import read_settings

            return read_settings(Path(path or arguments[position + 1]))
    return Settings(), {}


if __name__ == "__main__":
    main()
