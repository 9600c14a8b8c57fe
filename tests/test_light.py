"""What importing metaux doesn't import."""

import subprocess
import sys


def test_no_plotting() -> None:
    # Where the whole of Lightning is installed, its Fabric loads torchmetrics, which plots.
    code = "import sys; sys.modules['torchmetrics'] = None\n"
    code += "import metaux\nfor name in metaux.__all__: getattr(metaux, name)\n"
    code += "print(*sorted({'matplotlib', 'plotly', 'jinja2.nativetypes', 'wandb', 'onnx'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (found.returncode, found.stdout.strip()) == (0, ""), found.stderr
