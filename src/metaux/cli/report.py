"""`metaux report`."""

from dataclasses import dataclass

from metaux.cli.options import Command, RunFolder


@dataclass(frozen=True)
class Report(Command):
    """Write report.html: did it help, where, and which labels did it invent?

    One file that opens in any browser, without a network. metaux compare and metaux recommend write it by themselves.

    For example:
        metaux report metaux-runs/digits-4f1c2a
        metaux report photos-maxl

    Args:
        folder: the output folder of a comparison, or of a single run.
    """

    folder: RunFolder

    def run(self) -> None:
        """Write the report."""
        from metaux.data.sources import load
        from metaux.report.reporting import read_recorded, write_report
        from metaux.runs.store import check_writable
        from metaux.terminal import make_console, reading

        (recorded, settings), console = read_recorded(self.folder), make_console()
        check_writable(self.folder, "copy it to where you can write")
        with reading(console) as progress:
            path = write_report(recorded, self.folder, lambda: load(settings, progress))
        console.print(f"Report: {path}", soft_wrap=True)
