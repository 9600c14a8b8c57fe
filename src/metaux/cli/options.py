"""What commands have in common: what a command is, and the options that several of them take."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from tyro.conf import OmitArgPrefixes, Positional, arg

from metaux.settings import Backend, Output, Settings

if TYPE_CHECKING:
    from rich.console import Console

    from metaux.runs.workers import Workers

SharedSettings = OmitArgPrefixes[Settings]
SharedOutput = OmitArgPrefixes[Output]
Config = Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="")]
RunFolder = Annotated[Positional[Path], arg(metavar="RUN")]
OutFile = Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="(default: the terminal)")]
OutFolder = Annotated[
    Path | None,
    arg(metavar="DIR", help_behavior_hint="(default: its own below metaux-runs/ for each configuration)"),
]


@dataclass(frozen=True)
class SideBySide:
    """Who does many runs.

    Args:
        jobs: runs side by side. 0 is one per CPU core (divided by the threads of a run), or one on a GPU; on a cluster,
            as many as it has room for.
        backend: who does the runs: processes of this machine, or a cluster whose machines share the output folder
            (extras metaux[ray], metaux[dask]).
        address: of a cluster that is there. Without it, ray and dask start on this machine, and stop again.
    """

    jobs: int = 0
    backend: Backend = "processes"
    address: Annotated[str | None, arg(metavar="ADDRESS", help_behavior_hint="")] = None

    @contextmanager
    def opened(self, console: "Console") -> Iterator["Workers"]:
        """Have workers within the block, and say at its end what a user should know of them.

        Raises:
            InputError: if there are none.
        """
        from metaux.runs.cluster import opened
        from metaux.terminal import print_notes

        with opened(self.jobs, self.backend, self.address) as workers:
            try:
                yield workers
            finally:
                print_notes(workers.told_at_the_end(), console)


SharedWorkers = OmitArgPrefixes[SideBySide]


class Command(ABC):
    """One command: a dataclass of its options, whose docstring is its help.

    What is slow to import is imported in `run`, so that help is quick.
    """

    continues: ClassVar[bool] = False
    """Whether the same command, given again, continues where it was interrupted."""

    @abstractmethod
    def run(self) -> None:
        """Do what the command is for."""
