"""Signals that end a command: one line, whatever it was about to do, with the command that goes on."""

import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from metaux.cli.interruption import interruptible
from metaux.cli.parsing import COMMANDS
from metaux.training import loop
from metaux.words import shell_command
from shell import done, metaux, write_table

pytestmark = pytest.mark.skipif(os.name == "nt", reason="other signals")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
GO_ON = "metaux: interrupted; to go on from the last epoch that each run kept: "
IN_AN_IMPORT = """
import os, sys

class Finder:
    def find_spec(self, name, *_):
        if name == sys.argv[1]:
            os.kill(os.getpid(), int(sys.argv[2]))

sys.meta_path.insert(0, Finder())
from metaux.cli.main import main
main(["train", "digits"])
"""


@pytest.fixture(autouse=True)
def as_at_a_terminal() -> Iterator[None]:
    """Signals end a process, also where what started the tests ignores them, as nohup does."""
    before = [signal.signal(number, signal.SIG_DFL) for number in SIGNALS]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in zip(SIGNALS, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("module", "said", "sent"),
    [
        ("tyro", "metaux: interrupted\n", signal.SIGINT),
        ("torch", GO_ON, signal.SIGTERM),
        ("torch", GO_ON, signal.SIGHUP),
    ],
)
def test_during_an_import(module: str, said: str, sent: signal.Signals) -> None:
    found = subprocess.run([sys.executable, "-c", IN_AN_IMPORT, module, str(int(sent))], capture_output=True, text=True)
    first = "training on digits\n" if module == "torch" else ""  # it is said before anything is loaded
    assert (found.returncode, found.stdout, found.stderr.count("\n")) == (128 + sent, first, 1)
    assert found.stderr.startswith(said)


@pytest.mark.parametrize("sent", SIGNALS)
def test_the_command_that_goes_on_does(sent: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handlers = [signal.getsignal(number) for number in SIGNALS]
    words = ("train", write_table(tmp_path / "my table.npz"), "--epochs", 3, "--backbone", "mlp")

    def train_epoch(*arguments: Any, whole: Any = loop.train_epoch) -> Any:
        record = whole(*arguments)
        if record["epoch"] == 2:
            monkeypatch.undo()
            signal.raise_signal(sent)
        return record

    monkeypatch.setattr(loop, "train_epoch", train_epoch)
    said = metaux(*words, "--out", tmp_path / "out")
    assert (said.code, said.err.count("\n"), said.err.startswith(GO_ON)) == (128 + sent, 1, True), said
    assert len((tmp_path / "out" / "records.jsonl").read_text().splitlines()) == 1
    name, *again = shlex.split(said.err.removeprefix(GO_ON))
    assert name == "metaux"
    done(*again)
    assert len((tmp_path / "out" / "records.jsonl").read_text().splitlines()) == 3
    assert [signal.getsignal(number) for number in SIGNALS] == handlers


@pytest.mark.parametrize("name", [name for name, kind in COMMANDS.items() if kind.continues])
def test_of_every_command_that_trains(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(COMMANDS[name], "run", lambda _: signal.raise_signal(signal.SIGINT))
    assert metaux(name) == (130, "", f"{GO_ON}metaux {name}\n")


def test_they_are_these() -> None:
    training = {"train", "compare", "recommend", "benchmark", "reproduce"}
    assert {name for name, kind in COMMANDS.items() if kind.continues} == training


def test_what_is_ignored_stays_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nohup does so with what is sent when a terminal closes."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interruptible(lambda: None):
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_in_a_thread_there_is_nothing_to_catch() -> None:
    thread = threading.Thread(target=lambda: done("--version"))
    thread.start()
    thread.join()


def test_a_shell_reads_the_words_back() -> None:
    words = ["a b", "it's", "", "caf\udce9 'x'", "ü", "two\nlines", "$HOME\\"]
    command = shell_command(["printf", "%s\\0", *words])
    assert "\n" not in command
    shown = subprocess.run(["bash", "-c", os.fsencode(command)], capture_output=True).stdout
    assert shown == b"".join(os.fsencode(word) + b"\0" for word in words)
