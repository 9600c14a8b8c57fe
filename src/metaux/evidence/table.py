"""The comparison as a table on the terminal, and as plain numbers."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from metaux import files
from metaux.evidence.comparison import OWN, Comparison, Difference, Row
from metaux.evidence.intervals import decimals_for, difference_in_points, interval_of_accuracy, interval_of_points
from metaux.evidence.statistics import Estimate
from metaux.evidence.verdict import Verdict
from metaux.labels.sources import REFERENCES
from metaux.words import bound_in_points, counted, percent, points

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions
    from rich.measure import Measurement
    from rich.table import Table
    from rich.text import Text
_SECONDS = "s per\nepoch"
# What a wide column has between it and the next, beyond the one space of a narrow one.
_AIR = 1
# The letters of a word that is not broken.
_LONGEST = 12


def table(comparison: Comparison) -> "Table":
    """Return the comparison as a table that reads well from 80 columns on.

    Accuracies in per cent, differences in percentage points. Green: above zero in both intervals; red: below.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    title = f"{comparison.data}: {counted(comparison.train_size, 'training sample')}, "
    title += (
        f"{counted(comparison.test_size, f'{comparison.measured_on} sample')}, {counted(comparison.epochs, 'epoch')}"
    )
    caption = (
        "Test accuracy in %, differences in percentage points, paired by seed. In brackets, 95 % intervals: "
        f"over seeds (Student t); under them, over {comparison.drawn} (bootstrap). "
        "×: a whole training, preparation and all, over single's."
    )
    caption += f" {comparison.remark}" if comparison.remark else ""
    caption += "".join(f" {told}" for row in comparison.rows for told in _own_controls(row))
    made = Table(
        title=Text(title),
        caption=Text(caption),
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=0,
    )
    headers = (
        "method",
        "accuracy",
        "balanced\naccuracy",
        *(f"minus\n{name}" for name in REFERENCES),
        _SECONDS,
    )
    for header in headers:
        made.add_column(Text(header), justify="right" if header == _SECONDS else "left")
    rows = list(comparison.rows)
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        made.add_row(
            _Name(row),
            _Cell([Text(percent(row.accuracy.mean)), _accuracy_interval(row.accuracy)]),
            _Cell([Text(percent(row.balanced_accuracy.mean)), _accuracy_interval(row.balanced_accuracy)]),
            *(_difference_cell(row.differences.get(name)) for name in REFERENCES),
            Text(_seconds(row)),
            end_section=following is not None and following.role != row.role,
        )
    return made


def to_json(comparison: Comparison, verdict: Verdict) -> dict[str, Any]:
    """Return every number of the comparison, and the verdict, as plain values; accuracies are fractions."""
    plain = asdict(comparison)
    both = zip(plain.pop("rows"), comparison.rows, strict=True)
    rows = [{"method": own.pop("name"), **own, "gain": row.gain} for own, row in both]
    return {"verdict": verdict.says, **plain, "rows": rows}


def to_csv(comparison: Comparison, whole: bool = False) -> str:
    """Return the comparison as CSV, one line per row; accuracies are fractions, the unknown is empty.

    Args:
        comparison: the table.
        whole: a column for every baseline of any row, in place of one for the closest own control of each.
    """
    named = dict.fromkeys(name for row in comparison.rows for name in row.differences)
    columns = named if whole else (*REFERENCES, OWN)
    lines = []
    for row in comparison.rows:
        line: dict[str, object] = {
            "method": row.name,
            "role": row.role,
            "gain": row.gain,
            "n": len(row.seeds),
        }
        line |= bounds("accuracy", row.accuracy) | bounds("balanced_accuracy", row.balanced_accuracy)
        for column in columns:
            difference, name = row.difference(column), column.replace(" ", "_")
            seeds = difference.seeds if difference else None
            test = difference.test if difference else None
            line[f"minus_{name}_n"] = len(difference.by_seed) if difference else 0
            line |= bounds(f"minus_{name}", seeds, "seeds_") | bounds(f"minus_{name}", test, "test_")
        line |= {"seconds_per_epoch": row.seconds_per_epoch, "cost": row.cost}
        lines.append(line)
    return files.to_csv(lines)


def _own_controls(row: Row) -> list[str]:
    """Return the difference to each of the row's own controls in words."""
    found = [(name, row.differences[name]) for name in row.controls if name in row.differences]
    return [
        f"{row.name} minus its own control, {name}: {difference_in_points(difference.seeds)}, over {difference.drawn} "
        f"{interval_of_points(difference.test) or 'none, of so few'}."
        for name, difference in found
    ]


class _Name:
    """A method's name above its number of seeds; in a narrow column broken at hyphens and within long words."""

    def __init__(self, row: Row) -> None:
        self.name, self.seeds = row.name, counted(len(row.seeds), "seed")
        words = re.split(r"(?<=-)", row.name)
        self.parts = [part for word in words for part in _halves(word)]

    def __rich_measure__(self, console: "Console", options: "ConsoleOptions") -> "Measurement":
        from rich.measure import Measurement

        least = max(map(len, [*self.parts, self.seeds]))
        return Measurement(min(least, options.max_width), min(max(least, len(self.name)), options.max_width))

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "Iterator[Text]":
        from rich.text import Text

        for part in [self.name] if len(self.name) <= options.max_width else self.parts:
            yield Text(part, "bold")
        yield Text(self.seeds, "dim")


def _halves(word: str) -> list[str]:
    """Return a word in two parts if it is longer than any other that a column has to hold.

    >>> _halves("transformation"), _halves("distilled-")
    (['transfor-', 'mation'], ['distilled-'])
    """
    middle = len(word) // 2 + 1
    return [f"{word[:middle]}-", word[middle:]] if len(word) > _LONGEST else [word]


class _Cell:
    """A value and its intervals: side by side where the column is wide enough, else one below the other."""

    def __init__(self, parts: "Sequence[Text]") -> None:
        self.value = parts[0]
        self.intervals = [part for part in parts[1:] if part.plain]

    def __rich_measure__(self, console: "Console", options: "ConsoleOptions") -> "Measurement":
        from rich.measure import Measurement

        widest = max((_compact(part).cell_len for part in self.intervals), default=0)
        least = max(self.value.cell_len, widest)
        return Measurement(min(least, options.max_width), min(self._wide() + _AIR, options.max_width))

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "Iterator[Text]":
        from rich.text import Text

        if not self.intervals or options.max_width < self._wide():
            yield self.value
            for interval in self.intervals:
                compact = _compact(interval)
                # One that fits in neither way is broken at its space.
                yield compact if compact.cell_len <= options.max_width < interval.cell_len else interval
            return
        yield Text.assemble(self.value, " ", self.intervals[0])
        for interval in self.intervals[1:]:
            yield Text.assemble(" " * (self.value.cell_len + 1), interval)

    def _wide(self) -> int:
        return self.value.cell_len + 1 + max((part.cell_len for part in self.intervals), default=-1)


def _compact(interval: "Text") -> "Text":
    from rich.text import Text

    return Text(interval.plain.replace(", ", ","), interval.style)


def _accuracy_interval(estimate: Estimate) -> "Text":
    from rich.text import Text

    return Text(interval_of_accuracy(estimate), "dim")


def _difference_cell(difference: Difference | None) -> "_Cell | str":
    from rich.text import Text

    if difference is None:
        return "–"
    style = "bold green" if difference.above else "bold red" if difference.below else ""
    value = Text(points(difference.seeds.mean, decimals_for(difference.seeds)), style)
    test = _signed_interval(difference.test, "few samples")
    return _Cell([value, _signed_interval(difference.seeds, "one seed"), test])


def _signed_interval(estimate: Estimate, missing: str) -> "Text":
    from rich.text import Text

    if estimate.low is None or estimate.high is None:
        return Text(f"[{missing}]", "dim")
    decimals = decimals_for(estimate)
    low, high = (bound_in_points(bound, decimals).replace("+", "") for bound in (estimate.low, estimate.high))
    return Text(f"[{low}, {high}]", "dim")


def _seconds(row: Row) -> str:
    seconds = row.seconds_per_epoch
    cost = f"\n×{row.cost:.1f}" if row.cost is not None else ""
    return (f"{seconds:.2g}" if seconds < 10 else f"{seconds:.0f}") + cost


def bounds(name: str, estimate: Estimate | None, of: str = "") -> dict[str, float | None]:
    """Return a mean once, and the bounds of one of its intervals."""
    return {
        name: estimate.mean if estimate else None,
        f"{name}_{of}low": estimate.low if estimate else None,
        f"{name}_{of}high": estimate.high if estimate else None,
    }
