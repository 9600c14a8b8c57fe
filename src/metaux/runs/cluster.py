"""Runs on a cluster of Ray or Dask, whose machines share a folder; without an address, on one of this machine."""

import os
import signal
from abc import abstractmethod
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from socket import create_connection
from threading import current_thread, main_thread
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from metaux.errors import InputError, TrainingError, reason
from metaux.runs.trial import Trial
from metaux.runs.workers import Processes, Todo, Work, Workers
from metaux.settings import Backend, Settings

Call = Callable[[], str | TrainingError]
_PATIENCE = 10  # seconds, for an answer of a cluster


class Cluster(Workers):
    """Workers on any number of machines, which see one folder under the same path; so they need no other connection.

    A subclass says how to `submit` a call, to wait until some of these are `done`, and to `fetch` what one returned;
    and which errors of these say that the whole cluster is `lost`.
    """

    package: str
    lost: tuple[type[Exception], ...]

    def __init__(self, jobs: int, backend: Backend, address: str | None):
        super().__init__(jobs)
        if find_spec(self.package) is None:
            raise InputError(
                f"expected the package {self.package} for --backend {backend}, found that it isn't installed; "
                f"pip install 'metaux[{backend}]'"
            )
        try:
            place = urlsplit(address if address and "://" in address else f"//{address or ''}")
            if place.hostname and place.port:
                create_connection((place.hostname, place.port), _PATIENCE).close()
        except (OSError, ValueError) as error:  # ValueError: a port that is none
            raise _unreachable(backend, address, error) from None

    @abstractmethod
    def submit(self, settings: Settings, call: Call) -> Any:
        """Begin a call with such settings on a worker."""

    @abstractmethod
    def done(self, calls: list[Any]) -> Collection[Any]:
        """Wait until at least one of these calls has come to its end, and return those that have."""

    @abstractmethod
    def fetch(self, call: Any) -> str | TrainingError | None:
        """Return what a call returned; None if its worker died."""

    def attempts(self, work: Work, waiting: Todo, count: int) -> Iterator[tuple[Path, str | None]]:
        """Do them on the cluster, where no more than `count` wait or are done at a time."""
        running = dict[Any, Path]()
        while waiting:
            for folder in [folder for folder in waiting if folder not in running.values()][: count - len(running)]:
                trial = waiting[folder]
                call = partial(_there, work, Path.cwd(), folder.absolute(), trial)
                running[self.submit(trial.settings, call)] = folder
            try:
                ended = [(running.pop(call), self.fetch(call)) for call in self.done([*running])]
            except self.lost as error:
                raise TrainingError(
                    f"the cluster is lost ({reason(error, 80)}); the same command goes on, once there is one"
                ) from None
            for folder, found in ended:
                if isinstance(found, TrainingError):
                    raise found
                yield folder, found


def _there(work: Work, place: Path, folder: Path, trial: Trial) -> str | TrainingError:
    """Do a run from the same place as here; an error for the user is returned, since it would arrive as another one."""
    try:
        os.chdir(place)
        folder.parent.stat()
    except OSError as error:
        return TrainingError(
            f"a worker of the cluster has no folder '{error.filename}'; give all machines the same folders, such as "
            "those of a network file system"
        )
    try:
        return work(folder, trial)
    except TrainingError as error:
        return error


class Ray(Cluster):
    """A cluster of Ray; without its address one of this machine, for as long as this lasts."""

    package = "ray"

    def __init__(self, jobs: int = 0, address: str | None = None):
        super().__init__(jobs, "ray", address)
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # else it tells its makers that it is used
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else it warns of its next default
        import ray

        self.ray, known = ray, ray.exceptions
        self.died = (known.WorkerCrashedError, known.NodeDiedError, known.OutOfMemoryError)
        self.lost = (known.LocalRayletDiedError, known.RaySystemError)
        options: dict[str, Any] = {} if address else {"include_dashboard": False}
        try:
            # All that a worker has to say is in what it returns, and in the folder of its run.
            with _signals_kept():
                ray.init(address=address, log_to_driver=False, logging_level="critical", **options)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise _unreachable("ray", address, error) from None

    def fitting(self, settings: Settings) -> int:
        """Return as many as the cluster has cores for; or GPUs, for runs on one.

        Raises:
            InputError: if that is none, for which a run would wait for ever.
        """
        there, needed = self.ray.cluster_resources(), _needed(settings)
        found = min(int(there.get(kind, 0) // amount) for kind, amount in needed.items())
        if not found:
            has = ", ".join(f"{there.get(kind, 0):.0f} {kind}" for kind in needed)
            wants = ", ".join(f"{amount:.0f} {kind}" for kind, amount in needed.items())
            raise InputError(f"expected a cluster with {wants} for a run, found {has}; add a machine to it")
        return found

    def submit(self, settings: Settings, call: Call) -> Any:
        """Begin a task that Ray does not try again, which would be without a word."""
        needed = _needed(settings)
        options = {"num_cpus": needed["CPU"], "num_gpus": needed.get("GPU", 0), "max_retries": 0}
        return self.ray.remote(**options)(_called).remote(call)

    def done(self, calls: list[Any]) -> Collection[Any]:
        """Wait for the first."""
        found: list[Any] = self.ray.wait(calls)[0]
        return found

    def fetch(self, call: Any) -> str | TrainingError | None:
        """Return what it returned."""
        try:
            found: str | TrainingError = self.ray.get(call)
        except self.died:
            return None
        return found

    def close(self) -> None:
        """Leave the cluster, and stop it if it was started here."""
        self.ray.shutdown()


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Keep what SIGTERM does here; Ray would print where the program was, and end it without a word on how to go on."""
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if current_thread() is main_thread():
            signal.signal(signal.SIGTERM, handler)


def _needed(settings: Settings) -> dict[str, float]:
    """Return what Ray has to keep free for a run."""
    of_gpu = {"GPU": 1.0} if settings.device.startswith("cuda") else {}
    return {"CPU": float(settings.threads * settings.processes), **of_gpu}


def _called(call: Call) -> str | TrainingError:
    return call()


class Dask(Cluster):
    """A cluster of Dask; without its scheduler's address one of this machine, for as long as this lasts."""

    package = "distributed"

    def __init__(self, jobs: int = 0, address: str | None = None):
        super().__init__(jobs, "dask", address)
        import distributed

        self.lost = (CancelledError, distributed.core.CommClosedError)
        # One thread per process, since runs take turns within one.
        own = {"n_workers": jobs or None, "threads_per_worker": 1, "dashboard_address": None, "silence_logs": 50}
        try:
            self.client = distributed.Client(address, timeout=_PATIENCE, **({} if address else own))
        except (OSError, ValueError) as error:
            raise _unreachable("dask", address, error) from None

    def fitting(self, settings: Settings) -> int:
        """Return as many as the cluster has workers for, each of one thread."""
        threads = sum(self.client.nthreads().values())
        return int(threads) // (settings.threads * settings.processes)

    def submit(self, settings: Settings, call: Call) -> Any:  # noqa: ARG002
        """Begin a task."""
        return self.client.submit(_begun_once, uuid4().hex, call, pure=False)

    def done(self, calls: list[Any]) -> Collection[Any]:
        """Wait for the first."""
        import distributed

        found: Collection[Any] = distributed.wait(calls, return_when="FIRST_COMPLETED").done
        return found

    def fetch(self, call: Any) -> str | TrainingError | None:
        """Return what it returned."""
        import distributed

        try:
            found: str | TrainingError | None = call.result()
        except distributed.KilledWorker:
            return None
        return found

    def close(self) -> None:
        """Leave the cluster, and stop it if it was started here."""
        with suppress(TimeoutError):
            self.client.close()
            if self.client.cluster is not None:
                self.client.cluster.close()


def _begun_once(name: str, call: Call) -> str | TrainingError | None:
    """Do a call of that name; not again, if a worker died of it and Dask gave it to this one, without a word."""
    import distributed

    begun = distributed.Event(name)
    if begun.is_set():
        begun.clear()
        return None
    begun.set()
    found = call()
    begun.clear()
    return found


def _unreachable(backend: str, address: str | None, error: Exception) -> InputError:
    if address is None:
        return InputError(f"could not start {backend} on this machine: {reason(error, 200)}; leave --backend out")
    found = f"found none ({reason(error, 100)})"
    return InputError(f"expected a cluster of {backend} at '{address}', {found}; start one, or correct --address")


def opened(jobs: int = 0, backend: Backend = "processes", address: str | None = None) -> Workers:
    """Return workers that are ready; close them after use.

    Args:
        jobs: runs at a time; 0 for as many as suit.
        backend: processes of this machine, or a kind of cluster.
        address: of the cluster; without one it is started on this machine, and stopped again.

    Raises:
        InputError: for jobs below 0, a package that is missing, an address without a cluster, or one for processes.
    """
    if backend == "ray":
        return Ray(jobs, address)
    if backend == "dask":
        return Dask(jobs, address)
    if address is not None:
        raise InputError(
            f"expected no address for processes of this machine, found '{address}'; add --backend ray or dask, or "
            "leave --address out"
        )
    return Processes(jobs)
