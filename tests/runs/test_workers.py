"""Runs side by side: in processes, and on a cluster of Ray or Dask that is started for the tests where there is one."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

from metaux.errors import InputError, TrainingError
from metaux.runs.cluster import opened
from metaux.runs.trial import Trial
from metaux.runs.workers import Processes, Todo, Work, Workers
from metaux.settings import Backend, Settings
from metaux.words import counted
from shell import PATIENCE, Result, assert_refused, metaux, start, wait_for_records, wait_for_the_end, write_table

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


class Scripted(Workers):
    """Workers that return what is written down for each attempt of a run, None where they die."""

    def __init__(self, **attempts: list[str | None]):
        super().__init__(1)
        self.left = attempts

    def fitting(self, settings: Settings) -> int:
        return 1

    def attempts(self, work: Work, waiting: Todo, count: int) -> Iterator[tuple[Path, str | None]]:
        for folder in [*waiting]:
            yield folder, self.left[str(folder)].pop(0)

    def all_of(self, told: list[str]) -> list[str]:
        todo = {Path(method): Trial(Settings(), method, 7) for method in self.left}
        return [*self.outcomes(lambda *_: "", todo, 1, told.append)]


def test_what_is_not_worth_the_way_to_a_cluster_is_done_here() -> None:
    """Its workers have to be started as well, which a search would take for slowness of the runs."""
    assert Scripted().one_by_one().are_here(1)


class TestDispatchedOnceMore:
    """A run whose worker died is tried again and told, in the same words whoever did it."""

    def test_is_told_at_once_and_at_the_end(self) -> None:
        workers, told = Scripted(single=[""], maxl=[None, "diverged"], frozen=[None, ""]), list[str]()
        assert sorted(workers.all_of(told)) == ["", "", "diverged"]
        why = "killed from outside (too little memory?)"
        assert told == [
            f"{name} with seed 7: its worker was {why}; the run is dispatched once more, and goes on"
            for name in ("maxl", "frozen")
        ]
        names = "maxl with seed 7, frozen with seed 7"
        assert workers.told_at_the_end() == [f"2 runs were dispatched once more, after a worker was {why}: {names}"]

    def test_is_not_told_where_no_worker_died(self) -> None:
        workers = Scripted(single=[""])
        assert (workers.all_of([]), workers.told_at_the_end()) == ([""], [])

    def test_is_once(self) -> None:
        """The others go on; the run is no evidence of what its method can do, so that all ends there."""
        workers, told = Scripted(maxl=[None, None], single=[""]), list[str]()
        with pytest.raises(TrainingError, match=r"^the worker of maxl with seed 7 was twice killed"):
            workers.all_of(told)
        assert (len(told), workers.left) == (1, {"maxl": [], "single": []})


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

    def workers(self, parent: int) -> Iterator[psutil.Process]:
        marks = ("popen_loky", "ray::_called", "multiprocessing.spawn")
        for child in psutil.Process(parent).children(recursive=True):
            with suppress(psutil.NoSuchProcess):  # it may just have ended
                if any(mark in " ".join(child.cmdline()) for mark in marks):
                    yield child

    def kill(self, parent: int, gone: Collection[int] = ()) -> int:
        """Kill a worker below a process once it works, but none of those that are gone."""
        deadline = time.monotonic() + PATIENCE
        while not (found := [own for own in self.workers(parent) if own.pid not in gone and is_busy(own)]):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.kill(found[0].pid, signal.SIGKILL)
        return found[0].pid

    def assert_told(self, process: subprocess.Popen[str], most: int) -> None:
        """Assert that a command succeeds, and tells of each run that it dispatched once more, and at the end of all."""
        out, err = process.communicate(timeout=PATIENCE)
        assert (process.returncode, err) == (0, "")
        told = " ".join(out.split())  # a narrow terminal breaks lines
        count = told.count("its worker was killed from outside (too little memory?); the run is dispatched once more")
        assert 1 <= count <= most, out
        runs = counted(count, "run was", "runs were")
        assert f"{runs} dispatched once more, after a worker was killed from outside (too little memory?)" in told

    @pytest.mark.parametrize("backend", ["processes", *CLUSTERS])
    def test_ends_in_the_same_bits(self, backend: str, whole: Path, tmp_path: Path) -> None:
        if find_spec(CLUSTERS.get(backend, "joblib")) is None:
            pytest.skip(f"{backend} isn't installed")
        process = start("compare", whole / "t.npz", *RUNS, "--backend", backend, "--out", tmp_path / "out")
        wait_for_records(process, tmp_path / "out", 1)
        self.kill(process.pid)
        self.assert_told(process, 2 if backend == "processes" else 1)  # the others of a pool end with it
        assert_same_weights(whole / "out", tmp_path / "out")

    def test_is_told_of_a_scheduler_that_would_try_again_by_itself(self, whole: Path, tmp_path: Path) -> None:
        distributed = pytest.importorskip("distributed")
        own = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None, "silence_logs": 50}
        with distributed.LocalCluster(**own) as cluster:
            there = ("--backend", "dask", "--address", cluster.scheduler_address)
            process = start("compare", whole / "t.npz", *RUNS, *there, "--out", tmp_path / "out")
            wait_for_records(process, tmp_path / "out", 1)
            self.kill(os.getpid())
            self.assert_told(process, 1)
        assert_same_weights(whole / "out", tmp_path / "out")

    def test_again_is_told_in_a_line(self, whole: Path, tmp_path: Path) -> None:
        process = start("compare", whole / "t.npz", *RUNS, "--epochs", 4000, "--out", tmp_path / "out")
        wait_for_records(process, tmp_path / "out", 1)
        before = {own.pid for own in self.workers(process.pid)}
        self.kill(process.pid)
        self.kill(process.pid, before)
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

    def test_that_is_interrupted_is_told_in_a_line(self, backend: str, whole: Path, tmp_path: Path) -> None:
        pytest.importorskip(CLUSTERS[backend])
        words = ("compare", whole / "t.npz", *RUNS, "--epochs", 4000, "--backend", backend, "--out", tmp_path / "out")
        process = start(*words)
        wait_for_records(process, tmp_path / "out", 1)
        process.terminate()
        _, err = process.communicate(timeout=PATIENCE)
        assert (err.count("\n"), err.startswith("metaux: interrupted; to go on")) == (1, True), err
        wait_for_the_end(process.pid)
