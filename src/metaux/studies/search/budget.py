"""The minutes that a search is given, and what it has to remember from one call to the next."""

import math
import time
from pathlib import Path
from typing import Any

from metaux.files import write_json
from metaux.runs.reading import read_kept


class Budget:
    """The seconds that there are, and what earlier calls of the same command have spent of them."""

    def __init__(self, minutes: float, path: Path):
        self.path, self.total = path, 60 * minutes
        self.state = read_kept(path, costs=dict, seconds=float)
        self.concluded = self.state.get("minutes") == self.total / 60
        self.before, self.start = float(self.state.get("seconds", 0.0)), time.perf_counter()

    def missed(self, what: str, seconds: float) -> None:
        """Record what there is no time for, with the minutes that would be enough, so many seconds from now."""
        minutes = math.ceil((self.spent + seconds) / 60)
        if not self.concluded:
            self.state.setdefault("missed", []).append({"what": what, "minutes": minutes})

    @property
    def said(self) -> list[str]:
        """What there was no time for, in words."""
        missed = self.state.get("missed", [])
        return [f"no time for {own['what']}: give --minutes {own['minutes']}, and another --out" for own in missed]

    @property
    def spent(self) -> float:
        """The seconds that were spent; to look at a result once more costs none."""
        return self.before if self.concluded else self.before + time.perf_counter() - self.start

    @property
    def left(self) -> float:
        """The seconds that are left; none once the same minutes have come to their end."""
        return 0 if self.concluded else self.total - self.spent

    def of_search(self, share: float) -> float:
        """Return the seconds that are left of a share of what there was when the search began.

        None once its test has begun: more minutes are then for more seeds.
        """
        if "search" in self.state:
            return 0.0
        begun = float(self.state["begun"])
        return share * (self.total - begun) - (self.spent - begun)

    def note(self, **values: Any) -> None:
        """Record what is known, with the time that it took."""
        self.state |= {**values, "seconds": self.spent}
        write_json(self.path, self.state)
