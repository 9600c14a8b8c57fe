"""`metaux reproduce`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from tyro.conf import Positional, arg

from metaux.cli.options import Command, SharedWorkers, SideBySide


@dataclass(frozen=True)
class Reproduce(Command):
    """Reproduce the papers' experiments, one item each. Without an item, list them.

    Trains the runs that are missing, which items share. Writes a figure, numbers, and a paragraph beside the paper's.

    The same command continues where it was interrupted.

    For example:
        metaux reproduce
        metaux reproduce figure3 --scale small
        metaux reproduce figure3 cosine agreement --scale paper --root /data --device cuda
        metaux reproduce table1 --scale paper --trial

    Args:
        items: names from the list, such as figure3.
        list: print what there is to reproduce, what it costs, and whether its data is there.
        scale: small (about an hour on two CPU cores), narrow (the published protocol in full, but for a narrow network
            and fewer images; hours on two CPU cores) or paper (as published; on a GPU).
        root: where data sets are kept; see docs/published-data.md.
        out: the folder for everything. All items in it share their runs.
        seeds: how many seeds; they count from 0.
        workers: who does the runs, and how many at a time.
        device: auto, cpu, cuda, cuda:1 or mps.
        trial: train each configuration for 20 steps and evaluate it once, to see that it runs and how long all will
            take.
    """

    continues: ClassVar[bool] = True

    items: Annotated[Positional[tuple[str, ...]], arg(metavar="[ITEM ...]", help_behavior_hint="")] = ()
    list: bool = False
    scale: Literal["small", "narrow", "paper"] = "small"
    root: str = "data"
    out: Annotated[Path, arg(metavar="DIR")] = Path("metaux-reproduce")
    seeds: int = 3
    workers: SharedWorkers = field(default_factory=SideBySide)
    device: str = "auto"
    trial: bool = False

    def run(self) -> None:
        """Reproduce, or list."""
        from metaux.runs.writer import sole_writer
        from metaux.studies.papers.reproduce import list_items, reproduce
        from metaux.studies.papers.scales import SCALES, cut_down
        from metaux.terminal import make_console

        console, scale, out, seeds = make_console(), SCALES[self.scale], self.out / self.scale, self.seeds
        if self.list or not self.items:
            list_items(tuple(SCALES.values()), self.root, self.out, seeds, self.device, console)
            return
        if self.trial:
            scale, out, seeds = cut_down(scale), self.out / f"{self.scale}-trial", 1
        with self.workers.opened(console) as workers, sole_writer(out, console):
            reproduce(self.items, scale, self.root, out, seeds, workers, self.device, console)
