"""Studies whose runs a cluster does, of Ray or Dask where there is one: the same bits as in this process."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from metaux.runs.cluster import Cluster, opened
from metaux.runs.workers import Processes, Workers
from metaux.settings import Settings
from metaux.studies.benchmark.benchmark import benchmark
from metaux.studies.benchmark.rules import Rules, entered
from metaux.studies.papers.reproduce import reproduce
from metaux.studies.papers.scales import Scale
from metaux.studies.search import halving
from metaux.studies.search.recommend import recommend
from tiny_cifar import write_cifar100

pytestmark = pytest.mark.slow
QUIET = Console(quiet=True)
FEW_DIGITS = Settings(data="digits", train_size=100, backbone="mlp", epochs=3, device="cpu")
RULES = Rules((0.05, 0.1), (5e-4,), pilot_seeds=2, least_seeds=2, most_seeds=2, finalists=1)
TINY = Scale("tiny", {"backbone": "mlp", "train_size": 300, "epochs": 1, "batch_size": 150}, True, "a test")
Study = Callable[[Workers, Path], object]


@pytest.fixture(scope="module", params=[("ray", "ray"), ("dask", "distributed")], ids=lambda own: own[0])
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    backend, package = request.param
    pytest.importorskip(package)
    with opened(2, backend) as workers:
        assert isinstance(workers, Cluster)
        yield workers


def weights(out: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in out.rglob("weights.safetensors")}


@pytest.fixture
def both(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Study], list[dict[str, bytes]]]:
    """Do a study here and on the cluster, which has to do some of its runs; return the weights of both."""

    def do(study: Study) -> list[dict[str, bytes]]:
        study(Processes(1), tmp_path / "here")
        there = list[Any]()

        def submit(*arguments: Any, whole: Any = cluster.submit) -> Any:
            there.append(arguments)
            return whole(*arguments)

        monkeypatch.setattr(cluster, "submit", submit)
        study(cluster, tmp_path / "there")
        assert there
        return [weights(tmp_path / place) for place in ("here", "there")]

    return do


def test_benchmark(both: Callable[[Study], list[dict[str, bytes]]]) -> None:
    rows = entered(("uniform", "frozen"))
    here, there = both(lambda w, out: benchmark({"few": FEW_DIGITS}, rows, RULES, out, w, "test", QUIET))
    assert here == there
    assert here


def test_reproduce(both: Callable[[Study], list[dict[str, bytes]]], tmp_path: Path) -> None:
    root = write_cifar100(tmp_path / "root")
    here, there = both(lambda w, out: reproduce(["focal"], TINY, str(root), out, 1, w, "cpu", QUIET))
    assert here == there
    assert here


def test_recommend(both: Callable[[Study], list[dict[str, bytes]]], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is searched follows from measured time; a run that both have done is the same."""
    monkeypatch.setattr(halving, "START_OF_A_PROCESS", 0.0)  # else so short runs are not worth the way
    here, there = both(lambda w, out: recommend(Settings(data="iris", device="cpu"), 0.5, w, out, QUIET))
    common = here.keys() & there.keys()
    assert len(common) > 3
    assert all(here[name] == there[name] for name in common)
