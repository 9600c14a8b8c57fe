"""What an interrupted run goes on from."""

import io
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from metaux.errors import InputError
from metaux.files import check_file, check_in_place, check_not_packed, write_bytes_atomic
from metaux.optimizer_state import take_up
from metaux.training.evaluate import Record
from metaux.training.learner import Learner
from metaux.training.plan import Plan


@dataclass(frozen=True)
class Checkpoint:
    """The file that keeps a run's state after each epoch.

    Args:
        path: of the file, in the run's folder.
        digest: of the data that the run learns from.
        device: where its tensors go.
    """

    path: Path
    digest: str
    device: torch.device | str = "cpu"

    def save(self, learner: Learner, records: list[Record], reported: list[Tensor]) -> None:
        """Keep the state of networks and optimizers, the records, and which test samples were right."""
        average = learner.average_network
        self.keep(
            learner.plan,
            learner.source.state_dict(),
            learner.preparation,
            network=learner.network.state_dict(),
            average=None if average is None else average.state_dict(),
            optimizer=learner.optimizer.state_dict(),
            records=records,
            reported=reported,
        )

    def keep(self, plan: Plan, source: Mapping[str, Tensor], seconds: float, **trained: Any) -> None:
        """Keep a source's state, the seconds that its preparation has taken, and what is trained, if anything yet.

        What was kept before is the state before.
        """
        content, initialisation = io.BytesIO(), plan.protocol.initialisation
        made = {"source": source, "data": self.digest, "preparation": seconds, "initialisation": initialisation}
        torch.save(made | trained, content)
        check_in_place(self.path.parent)
        if self.path.exists():
            self.path.replace(self.before)
        write_bytes_atomic(self.path, content.getvalue())

    @property
    def before(self) -> Path:
        """Where the state after the epoch before is kept."""
        return self.path.with_suffix(".before.pt")

    def delete(self) -> None:
        """Delete what was kept, once the run is finished."""
        self.path.unlink(missing_ok=True)
        self.before.unlink(missing_ok=True)

    @property
    def notice(self) -> str:
        """What a user should know before the run goes on; empty where what was kept last is whole, or nothing was."""
        if _is_whole(self.path) or not _is_whole(self.before):
            return ""
        return f"{self.path} is damaged or missing: the run goes on from the epoch before, which is kept too"

    def read(self) -> dict[str, Any]:
        """Return what was kept last, or after the epoch before if that is damaged; nothing, if there is no file.

        Raises:
            InputError: if both are damaged, or of other data.
        """
        path = next((path for path in (self.path, self.before) if _is_whole(path)), self.path)
        if not path.exists():
            return {}
        check_file(path, "the checkpoint of a run")
        with self._of_this_run():
            check_not_packed(path)
            state: dict[str, Any] = torch.load(path, map_location=self.device, weights_only=True)
            if state["data"] != self.digest:
                raise InputError(
                    f"expected the data that the run in {self.path.parent} began with, found that it has changed; give "
                    "another --out to start anew"
                )
            return state

    def resume(self, learner: Learner) -> tuple[list[Record], list[Tensor]]:
        """Take up the state that was kept, if any; return the records, and which test samples were right.

        Raises:
            InputError: if the file is damaged, of another network, or of other data.
        """
        state = self.read()
        if "network" not in state:  # nothing, or a preparation that was interrupted
            return [], []
        with self._of_this_run():
            now, before = learner.plan.protocol.initialisation, state.get("initialisation", "pytorch")
            if now != before:
                raise InputError(
                    f"expected networks that start as the protocol says ({now}), found that those in {self.path} "
                    f"started otherwise ({before}), in an earlier version; give another --out to start anew"
                )
            learner.network.load_state_dict(state["network"])
            learner.source.load_state_dict(state["source"])
            take_up(learner.optimizer, state["optimizer"])
            if learner.average_network is not None:
                learner.average_network.load_state_dict(state["average"])
            return state["records"], [correct.cpu() for correct in state["reported"]]

    @contextmanager
    def _of_this_run(self) -> Iterator[None]:
        """Say of whatever else fails in the block that the checkpoint is not of this run."""
        try:
            yield
        except InputError:
            raise
        except Exception as error:
            raise InputError(
                f"expected this run's checkpoint in {self.path}, found something else ({type(error).__name__}); delete "
                "the file to start the run anew"
            ) from error


def _is_whole(path: Path) -> bool:
    """Return whether a checkpoint is there and each part of it has the checksum that it was written with."""
    try:
        check_file(path)
        check_not_packed(path)
        with zipfile.ZipFile(path) as file:
            return file.testzip() is None
    except Exception:  # a flipped bit may make anything of a header, such as a password that is asked for
        return False
