"""What one start of a command after another does in a folder, as `moments.py` logs it: what is done again, or lost."""

import json
import zipfile
from pathlib import Path
from typing import Any

CHECKPOINTS = ("checkpoint.pt", "checkpoint.before.pt")
# What a command decides once, and what may only become more: by the file that records it.
DECIDED = {
    "recommend.json": ("classical", "augment", "epochs", "plan", "begun", "times", "untested"),
    "plan.json": ("seeds", "needed", "deviation", "why", "rows", "longer"),
    ".metaux-epochs.json": ("epochs", "reached"),
}
GROWING = ("tried", "rungs")


class Starts:
    """The starts of one command in one folder.

    Args:
        out: its output folder.
        log: the file that a start's process logs to.

    Attributes:
        wrong: what was found wrong so far, in words.
    """

    def __init__(self, out: Path, log: Path):
        self.out, self.log, self.wrong = out, log, list[str]()
        # By run, each epoch that began in a start that was killed, and may have to be done again: whether a checkpoint
        # was due.
        self._begun: dict[str, dict[int, bool]] = {}
        self._decided: dict[str, Any] = {}

    def begin(self) -> None:
        """Empty the log for the next start."""
        self.log.write_bytes(b"")

    def epochs(self) -> dict[str, dict[int, bool]]:
        """Return the epochs that began in the last start, by the folder of their run; whether a checkpoint was due."""
        found = dict[str, dict[int, bool]]()
        for line in self.log.read_text().splitlines():
            kind, _, folder, *epoch = line.split("\t")
            if kind == "epoch":
                found.setdefault(folder, {})[int(epoch[0])] = epoch[1] == "1"
        return found

    def again(self) -> dict[str, int]:
        """Return what the last start did again of what the ones before had begun: the most of any run."""
        found = {"epochs_again": 0, "due_again": 0}
        for folder, epochs in self.epochs().items():
            before = self._begun.pop(folder, {})
            again = [due for epoch, due in before.items() if epoch >= min(epochs)]
            values = {"epochs_again": len(again), "due_again": sum(again)}
            found = {name: max(value, found[name]) for name, value in values.items()}
            self._begun[folder] = epochs
        if found["due_again"] > 1:
            self.wrong.append(f"{found['due_again']} epochs again, after each of which a checkpoint was due")
        return found

    def check(self) -> None:
        """Check that what is there is whole, and that nothing was decided twice."""
        for path in sorted(self.out.rglob("*")):
            if path.name in DECIDED:
                self._check_decided(path)
            elif path.suffix in (".json", ".jsonl") and path.name != ".metaux-writer.json":
                for text in [path.read_text()] if path.suffix == ".json" else path.read_text().splitlines():
                    json.loads(text)
            elif path.name in CHECKPOINTS and not any(is_whole(path.with_name(name)) for name in CHECKPOINTS):
                self.wrong.append(f"no checkpoint of {path.parent.name} is whole")

    def _check_decided(self, path: Path) -> None:
        content = json.loads(path.read_text())
        for name in (name for name in (*DECIDED[path.name], *GROWING) if name in content):
            now, key = content[name], f"{path.name}: {name}"
            before = self._decided.setdefault(key, now)
            grows = name in GROWING and (set(before) <= set(now) if isinstance(now, list) else before <= now)
            if now != before and not grows:
                self.wrong.append(f"{key} was {before}, and became {now}")
            self._decided[key] = now
        missed = [own["what"] for own in content.get("missed", [])]
        if len(set(missed)) < len(missed):
            self.wrong.append(f"{path.name} says twice what there was no time for: {missed}")


def is_whole(path: Path) -> bool:
    """Return whether a checkpoint is there, and all of it."""
    try:
        with zipfile.ZipFile(path) as file:
            return file.testzip() is None
    except (OSError, zipfile.BadZipFile):
        return False
