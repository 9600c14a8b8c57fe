"""What importing metaux doesn't import."""

import subprocess
import sys

HEAVY = ("matplotlib", "plotly", "jinja2.nativetypes", "wandb", "onnx", "torchmetrics", "transformers")


def test_no_plotting_and_nothing_that_only_lightning_asks_for() -> None:
    code = "import sys, metaux\nfor name in metaux.__all__: getattr(metaux, name)\n"
    code += f"print(*sorted({set(HEAVY)} & set(sys.modules)))\n"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (found.returncode, found.stdout.strip()) == (0, ""), found.stderr
