"""Commands that were not asked to download use no network, and write nowhere but into their output.

They may write temporary files, and matplotlib's cache of the fonts that are installed.
"""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import matplotlib
import pytest

from shell import write_images, write_table

# Runs in every Python process, those that a command starts as well: what it is told of, Python or a library asked for.
WATCH = """
import os
import sys

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
PLACES = tuple(os.environ["ALLOWED"].split(os.pathsep))
NETWORK = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.sendmsg")


def told(event, arguments):
    if event in NETWORK:
        said(event, arguments[-1] if event == "socket.connect" else arguments)
    elif event == "open":
        path, mode, flags = arguments
        if isinstance(path, (str, bytes)) and (set(mode or "") & set("wax+") or flags & WRITING):
            written(event, path)
    elif event in ("os.mkdir", "os.remove", "os.rmdir"):
        written(event, arguments[0], arguments[-1])
    elif event in ("os.symlink", "os.link", "os.rename"):
        written(event, arguments[1], arguments[-1])


def written(event, path, folder=-1):
    place = os.getcwd() if folder < 0 else os.readlink(f"/proc/self/fd/{folder}")
    path = os.path.normpath(os.path.join(place, os.fsdecode(path)))
    if not path.startswith((*PLACES, "/dev/")):  # shared memory is there
        said(event, path)


def said(*what):
    line = " ".join(map(str, (*what, sys.argv))) + chr(10)
    os.write(LOG, line.encode())


LOG = os.open(os.environ["TOLD"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
sys.addaudithook(told)
"""
RUN_ALL = """
import shlex
import sys
from functools import partial

from metaux.cli.main import main
from metaux.studies.benchmark import rules

rules.Rules = partial(rules.Rules, (0.05,), (5e-4,))  # one configuration of each method is enough here

for line in sys.stdin:
    try:
        main(shlex.split(line))
    except SystemExit as stop:
        if stop.code:
            sys.exit(f"{line} ended in {stop.code}")
"""
FAST = "--epochs 1 --backbone mlp --device cpu"
COMMANDS = f"""
train table.npz {FAST} --method maxl --subclasses 2 --out out/run
train images --epochs 1 --device cpu --method uniform --out out/images
compare table.npz {FAST} --methods single uniform --seeds 1 --jobs 1 --out out/compare
recommend digits --train-size 100 --epochs 4 --backbone mlp --device cpu --jobs 1 --minutes 0.25 --out out/recommend
benchmark wine --methods kmeans --stage tune --jobs 1 --device cpu --out out/benchmark
predict out/run table.npz --out out/classes.csv
evaluate out/run
evaluate out/images images
labels out/run --out out/labels.csv
report out/run
report out/compare
export out/run --to safetensors --out out/safetensors
export out/run --to torch-export --out out/torch-export
"""
ONNX = "export out/run --to onnx --out out/onnx\n"


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the commands ran, with a home, and a folder for temporary files, of their own."""
    path = tmp_path_factory.mktemp("private")
    write_table(path / "table.npz")
    write_images(path / "images")
    fonts = matplotlib.get_cachedir()
    for name in ("home", "tmp", "out", "watch"):
        (path / name).mkdir()
    (path / "watch" / "sitecustomize.py").write_text(WATCH)
    (path / "told.txt").touch()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "TORCHINDUCTOR_"))}
    environment |= {
        "HOME": str(path / "home"),
        "TMPDIR": str(path / "tmp"),
        "TOLD": str(path / "told.txt"),
        "ALLOWED": os.pathsep.join([str(path / "out"), str(path / "tmp"), fonts]),
        "MPLCONFIGDIR": fonts,
        "PYTHONPATH": os.pathsep.join([str(path / "watch"), *filter(None, sys.path)]),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    commands = COMMANDS.strip() + "\n" + (ONNX if find_spec("onnxscript") and find_spec("onnxruntime") else "")
    found = subprocess.run(
        [sys.executable, "-c", RUN_ALL], input=commands, env=environment, cwd=path, capture_output=True, text=True
    )
    assert found.returncode == 0, found.stderr
    return path


def test_no_network_and_no_file_but_the_output(done: Path) -> None:
    assert (done / "told.txt").read_text() == ""


def test_nothing_stays_at_home(done: Path) -> None:
    """Code of a library that is no Python is not watched, but what it writes is seen here."""
    assert [str(path.relative_to(done)) for path in (done / "home").rglob("*")] == []
