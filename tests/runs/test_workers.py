"""Runs side by side: in processes, and on a cluster of Ray or Dask that is started for the tests where there is one."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

from metaux.errors import InputError
from metaux.runs.cluster import opened
from metaux.runs.workers import Processes
from metaux.settings import Backend, Settings
from shell import PATIENCE, Result, assert_refused, metaux, start, wait_for_records, write_table

RUNS = ("--methods", "single", "maxl", "--seeds", 1, "--epochs", 60, "--backbone", "mlp", "--no-report", "--jobs", 2)
CLUSTERS = {"ray": "ray", "dask": "distributed"}
each_cluster = pytest.mark.parametrize("backend", CLUSTERS)
each_command = pytest.mark.parametrize(
    "words",
    [
        ("compare", "wine"),
        ("recommend", "wine"),
        ("benchmark", "wine"),
        ("reproduce", "mask-softmax"),
    ],
    ids=lambda words: str(words[0]),
)


def assert_same_weights(expected: Path, found: Path) -> None:
    runs = sorted(run.name for run in (expected / "runs").iterdir())
    assert runs == sorted(run.name for run in (found / "runs").iterdir())
    for run in runs:
        first, second = (folder / "runs" / run / "weights.safetensors" for folder in (expected, found))
        assert first.read_bytes() == second.read_bytes()


def test_as_many_processes_as_fill_the_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("joblib.cpu_count", lambda: 8)
    settings = [Settings(device="cpu", threads=n, processes=p) for n, p in ((1, 1), (3, 1), (1, 2), (16, 1))]
    assert [Processes().count(own) for own in settings] == [8, 2, 1, 1]
    assert Processes(5).count(settings[0]) == 5


@each_command
def test_jobs_below_0_are_refused(words: tuple[str, ...], tmp_path: Path) -> None:
    assert_refused(metaux(*words, "--jobs", -1, "--out", tmp_path / "out"), "found -1; correct --jobs")
    assert not (tmp_path / "out").exists()


@each_command
def test_an_address_without_a_cluster_is_refused(words: tuple[str, ...], tmp_path: Path) -> None:
    found = metaux(*words, "--address", "10.0.0.1:6379", "--out", tmp_path / "out")
    assert_refused(found, "found '10.0.0.1:6379'; add --backend ray or dask")
    assert not (tmp_path / "out").exists()


@each_cluster
def test_a_missing_package_is_named_with_its_extra(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("metaux.runs.cluster.find_spec", lambda _: None)
    with pytest.raises(InputError, match=rf"--backend {backend}, .*; pip install 'metaux\[{backend}\]'"):
        opened(backend=backend)


@each_cluster
@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.0.0.1:99999", "tcp://127.0.0.1:x"])
def test_nothing_at_an_address_is_told(backend: Backend, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package is not asked, so it need not be there."""
    monkeypatch.setattr("metaux.runs.cluster.find_spec", lambda name: name)
    with pytest.raises(InputError, match=rf"expected a cluster of {backend} at '{address}', found none \("):
        opened(backend=backend, address=address)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a table, and of a comparison on it in this process."""
    place = tmp_path_factory.mktemp("whole")
    words = ("compare", write_table(place / "t.npz", 400), *RUNS[:-1], 1, "--out", place / "out")
    assert metaux(*words).code == 0
    return place


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for the workers in /proc")
class TestDeath:
    """What a worker that dies did goes on; one that dies again is told in a line."""

    def workers(self, process: subprocess.Popen[str]) -> Iterator[psutil.Process]:
        marks = ("popen_loky", "ray::_called", "multiprocessing.spawn")
        for child in psutil.Process(process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):  # it may just have ended
                if any(mark in " ".join(child.cmdline()) for mark in marks):
                    yield child

    def kill(self, process: subprocess.Popen[str], out: Path) -> None:
        wait_for_records(process, out, 1)
        before = time.time()
        while not (found := [own for own in self.workers(process) if is_busy(own)]):
            assert time.time() - before < PATIENCE
            time.sleep(0.05)
        os.kill(found[0].pid, signal.SIGKILL)

    @pytest.mark.parametrize("backend", ["processes", *CLUSTERS])
    def test_ends_in_the_same_bits(self, backend: str, whole: Path, tmp_path: Path) -> None:
        if find_spec(CLUSTERS.get(backend, "joblib")) is None:
            pytest.skip(f"{backend} isn't installed")
        process = start("compare", whole / "t.npz", *RUNS, "--backend", backend, "--out", tmp_path / "out")
        self.kill(process, tmp_path / "out")
        out, err = process.communicate(timeout=PATIENCE)
        assert (process.returncode, err) == (0, "")
        assert ("a process was killed from outside" in out) == (backend == "processes")
        assert_same_weights(whole / "out", tmp_path / "out")

    def test_again_is_told_in_a_line(self, whole: Path, tmp_path: Path) -> None:
        process = start("compare", whole / "t.npz", *RUNS, "--epochs", 4000, "--out", tmp_path / "out")
        self.kill(process, tmp_path / "out")
        gone = {own.pid for own in self.workers(process)}
        deadline = time.monotonic() + PATIENCE
        while not (fresh := [own for own in self.workers(process) if own.pid not in gone and is_busy(own)]):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.kill(fresh[0].pid, signal.SIGKILL)
        _, err = process.communicate(timeout=PATIENCE)
        assert (process.returncode, err.count("\n")) == (1, 1), err
        assert "killed from outside (too little memory?); the same command goes on, with fewer --jobs" in err


def is_busy(process: psutil.Process) -> bool:
    """Return whether a process has worked for longer than an import takes."""
    try:
        return bool(process.cpu_times().user > 1)
    except psutil.NoSuchProcess:
        return False


@pytest.mark.slow
@each_cluster
class TestCluster:
    def test_gives_the_same_bits(self, backend: str, whole: Path, tmp_path: Path) -> None:
        pytest.importorskip(CLUSTERS[backend])
        found = metaux("compare", whole / "t.npz", *RUNS, "--backend", backend, "--out", tmp_path / "out")
        assert (found.code, found.err) == (0, "")
        assert_same_weights(whole / "out", tmp_path / "out")

    def test_that_is_not_there_is_told(self, backend: str, tmp_path: Path) -> None:
        pytest.importorskip(CLUSTERS[backend])
        words = ("compare", "wine", "--backend", backend, "--address", "127.0.0.1:1", "--out", tmp_path / "out")
        command = [sys.executable, "-m", "metaux", *map(str, words)]
        found = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
        assert_refused(Result(found.returncode, found.stdout, found.stderr), "'127.0.0.1:1', found none")
        assert not (tmp_path / "out").exists()
