"""Logs of other programs: every epoch once, whatever was interrupted, and no part of what defines a run."""

import json
import os
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from metaux.errors import InputError
from metaux.runs.log import LOGGED, catch_up, opened
from metaux.runs.record import Run
from shell import PATIENCE, done, metaux, write_table

FAST = ("--epochs", 2, "--backbone", "mlp")
RECORDS = [{"epoch": n, "test_accuracy": n / 10, "train_loss": float("nan") if n == 2 else 1.0} for n in range(1, 5)]


def of_tensorboard(folder: Path, name: str) -> list[tuple[int, float]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars(name)]


def of_wandb(folder: Path, count: int) -> list[dict[str, Any]]:
    """Read what was logged from wandb's own files, in order of time, once there are so many rows, or it takes too long.

    wandb's own process may still be writing, on a busy machine.
    """
    until = time.monotonic() + PATIENCE
    while len(rows := written_by_wandb(folder)) < count and time.monotonic() < until:
        time.sleep(0.1)
    return rows


def written_by_wandb(folder: Path) -> list[dict[str, Any]]:
    from wandb.proto import wandb_internal_pb2

    rows = []
    for file in sorted((folder / "wandb").glob("offline-run-*/*.wandb")):
        for data in parts(file.read_bytes()):
            record = wandb_internal_pb2.Record()  # type: ignore[attr-defined]
            record.ParseFromString(data)
            if record.history.item:
                rows.append({(i.key or i.nested_key[0]): json.loads(i.value_json) for i in record.history.item})
    return rows


def parts(content: bytes, block: int = 2**15, header: int = 7) -> Iterator[bytes]:
    """Yield the records of a file in LevelDB's log format, behind wandb's header."""
    place, whole = header, b""
    while place < len(content):
        if block - place % block < header:
            place += block - place % block
            continue
        _, length, kind = struct.unpack_from("<IHB", content, place)
        whole += content[place + header : place + header + length]
        place += header + length
        if kind in (1, 4):  # whole, or the last part
            yield whole
            whole = b""


@pytest.mark.filterwarnings("default")  # TensorBoard's own
class TestTensorboard:
    @pytest.fixture(autouse=True)
    def installed(self) -> None:
        pytest.importorskip("tensorboard", reason="tensorboard isn't installed")

    def test_a_run_that_goes_on_goes_on_in_the_same_log(self, tmp_path: Path) -> None:
        for known in ([1, 2], [3, 4]):
            with opened("tensorboard", tmp_path, "maxl-0", {}) as write:
                for count in known:
                    write(RECORDS[:count])
        steps, values = zip(*of_tensorboard(tmp_path, "test_accuracy"), strict=True)
        assert steps == (1, 2, 3, 4)
        assert values == pytest.approx((0.1, 0.2, 0.3, 0.4))
        assert [step for step, _ in of_tensorboard(tmp_path, "train_loss")] == [1, 3, 4]

    def test_every_epoch_of_every_run_of_a_comparison(self, tmp_path: Path) -> None:
        table = write_table(tmp_path / "t.npz")
        words = ("compare", table, *FAST, "--methods", "single", "uniform", "--seeds", 1, "--out", tmp_path / "out")
        done(*words, "--jobs", 2, "--log", "tensorboard")
        for method in ("single", "uniform"):
            run = Run.read(tmp_path / "out" / "runs" / f"{method}-0")
            for name in ("test_accuracy", "train_loss", "seconds"):
                steps, values = zip(*of_tensorboard(run.folder, name), strict=True)
                assert steps == tuple(record["epoch"] for record in run.epochs)
                assert values == pytest.approx([record[name] for record in run.epochs], rel=1e-5)

    def test_a_log_is_no_part_of_what_defines_a_run(self, tmp_path: Path) -> None:
        table = write_table(tmp_path / "t.npz")
        done("train", table, *FAST, "--out", tmp_path / "a")
        done("train", table, *FAST, "--out", tmp_path / "b", "--log", "tensorboard")
        for name in ("settings.yaml", "weights.safetensors"):
            assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
        assert not (tmp_path / "a" / LOGGED).exists()
        before = (tmp_path / "a" / "weights.safetensors").stat().st_mtime_ns
        done("train", table, *FAST, "--out", tmp_path / "a", "--log", "tensorboard")  # trained without, logged now
        assert (tmp_path / "a" / "weights.safetensors").stat().st_mtime_ns == before
        assert of_tensorboard(tmp_path / "a", "test_accuracy") == of_tensorboard(tmp_path / "b", "test_accuracy")


@pytest.mark.filterwarnings("default")
def test_wandb_offline_goes_on_under_the_same_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="wandb isn't installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    table = write_table(tmp_path / "t.npz")
    done("train", table, *FAST, "--out", tmp_path / "run", "--log", "wandb")
    run = Run.read(tmp_path / "run")
    rows = of_wandb(tmp_path / "run", 2)
    assert [row["_step"] for row in rows] == [1, 2]
    assert [row["test_accuracy"] for row in rows] == run.curve("test_accuracy").tolist()
    with opened("wandb", tmp_path / "run", "maxl-0", {}) as write:
        write([*run.epochs, {"epoch": 3, "test_accuracy": 0.5}])
    assert [row["_step"] for row in of_wandb(tmp_path / "run", 3)] == [1, 2, 3]
    files = [file.name for file in (tmp_path / "run" / "wandb").glob("offline-run-*/*.wandb")]
    assert len(files) == 2
    assert len(set(files)) == 1  # run-ID.wandb
    catch_up("wandb", tmp_path / "run")
    assert len(of_wandb(tmp_path / "run", 3)) == 3


@pytest.mark.parametrize("content", ["pipe", "[1]", '{"tensorboard": 1}'])
def test_a_damaged_note_of_what_is_logged_is_named(content: str, tmp_path: Path) -> None:
    if content == "pipe":
        os.mkfifo(tmp_path / LOGGED)
    else:
        (tmp_path / LOGGED).write_text(content)
    with (
        pytest.raises(InputError, match=f"expected a whole .*{LOGGED}, found it damaged; delete it to log anew"),
        opened("tensorboard", tmp_path, "name", {}),
    ):
        pass


@pytest.mark.parametrize("kind", ["tensorboard", "wandb"])
def test_what_isn_t_installed_is_said_in_one_line(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])  # where it would be looked for
    monkeypatch.delitem(sys.modules, kind, raising=False)
    result = metaux("train", write_table(tmp_path / "t.npz"), *FAST, "--out", tmp_path / "run", "--log", kind)
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert "pip install 'metaux[log]'" in result.err
    assert not (tmp_path / "run").exists()
