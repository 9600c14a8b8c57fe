"""What commands have in common: what a command is, and the options that several of them take."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Annotated, ClassVar

from tyro.conf import OmitArgPrefixes, Positional, arg

from metaux.settings import Output, Settings

SharedSettings = OmitArgPrefixes[Settings]
SharedOutput = OmitArgPrefixes[Output]
Config = Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="")]
RunFolder = Annotated[Positional[Path], arg(metavar="RUN")]
OutFile = Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="(default: the terminal)")]
OutFolder = Annotated[
    Path | None,
    arg(metavar="DIR", help_behavior_hint="(default: its own below metaux-runs/ for each configuration)"),
]


class Command(ABC):
    """One command: a dataclass of its options, whose docstring is its help.

    What is slow to import is imported in `run`, so that help is quick.
    """

    continues: ClassVar[bool] = False
    """Whether the same command, given again, continues where it was interrupted."""

    @abstractmethod
    def run(self) -> None:
        """Do what the command is for."""
