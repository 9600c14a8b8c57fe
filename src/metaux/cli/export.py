"""`metaux export`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

from metaux.cli.options import Command, RunFolder


@dataclass(frozen=True)
class Export(Command):
    """Write a run's network for other programs, with a model card that says how to load it.

    Only the primary network is written. A description of its input, its preprocessing and its classes lies beside it.

    For example:
        metaux export photos-maxl --to onnx
        metaux export results/runs/maxl-0 --to torch-export --out shared/photos
        metaux export photos-maxl --to safetensors

    Args:
        folder: the folder of a finished run.
        to: onnx (extra metaux[onnx]) and torch-export hold the whole network, from raw inputs to probabilities.
            safetensors holds its weights, by the names of timm or torchvision if the backbone is theirs.
        out: a new folder, or that of an earlier export.
    """

    folder: RunFolder
    to: Annotated[Literal["safetensors", "torch-export", "onnx"], arg(help_behavior_hint="(required)")]
    out: Annotated[Path | None, arg(metavar="DIR", help_behavior_hint="(default: RUN/FORM)")] = None

    def run(self) -> None:
        """Export."""
        from metaux.export.export import CARD, export
        from metaux.terminal import make_console

        written = export(self.folder, self.to, self.out)
        make_console().print(f"Exported: {written} ({CARD} says how to load it)", soft_wrap=True)
