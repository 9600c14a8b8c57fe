"""The comparison as a table on the terminal, and as plain numbers."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from metaux import files
from metaux.evidence.comparison import OWN, Comparison, Difference, Row
from metaux.evidence.intervals import (
    columns,
    decimals_for,
    difference_in_points,
    interval_of_accuracy,
    interval_of_points,
)
from metaux.evidence.verdict import Verdict
from metaux.labels.sources import REFERENCES
from metaux.words import counted, percent, points

# From so many columns on there is room for whole names, and for a space within intervals.
WIDE = 100
# The letters of a word that a narrow column holds.
_LONGEST = 12
_SECONDS = "s per\nepoch"


def table(comparison: Comparison, width: int) -> Table:
    """Return the comparison as a table that reads well from 80 columns on.

    Accuracies in per cent, differences in percentage points. Green: above zero in both intervals; red: below.

    Args:
        comparison: the rows.
        width: the columns of the terminal.
    """
    spaced = not 80 <= width < WIDE  # on a narrower one, an interval is broken at its space
    title = (
        f"{comparison.data}: {counted(comparison.train_size, 'training sample')}, "
        f"{counted(comparison.test_size, f'{comparison.measured_on} sample')}, {counted(comparison.epochs, 'epoch')}"
    )
    caption = (
        "Test accuracy in %, differences in percentage points, paired by seed. In brackets, 95 % intervals: "
        f"over seeds (Student t); under them, over {comparison.drawn} (bootstrap). "
        "×: a whole training, preparation and all, over single's."
    )
    remarks = [*([comparison.remark] if comparison.remark else []), *map(_own_controls, comparison.rows)]
    caption = " ".join([caption, *filter(None, remarks)])
    made = Table(
        title=Text(title),
        caption=Text(caption),
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1 if width >= WIDE else 0),
    )
    for header in ("method", "accuracy", "balanced\naccuracy", *(f"minus\n{name}" for name in REFERENCES), _SECONDS):
        made.add_column(Text(header), justify="right" if header == _SECONDS else "left", overflow="fold")
    rows = list(comparison.rows)
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        accuracies = [
            _cell(percent(each.mean), [interval_of_accuracy(each)], spaced)
            for each in (row.accuracy, row.balanced_accuracy)
        ]
        made.add_row(
            Text.assemble(
                (row.name if width >= WIDE else _broken(row.name), "bold"), f"\n{counted(len(row.seeds), 'seed')}"
            ),
            *accuracies,
            *(_difference_cell(row.differences.get(name), spaced) for name in REFERENCES),
            Text(_seconds(row)),
            end_section=following is not None and following.role != row.role,
        )
    return made


def to_json(comparison: Comparison, verdict: Verdict) -> dict[str, Any]:
    """Return every number of the comparison, and the verdict, as plain values; accuracies are fractions."""
    plain = asdict(comparison)
    both = zip(plain.pop("rows"), comparison.rows, strict=True)
    rows = [{"method": own.pop("name"), **own, "gain": row.gain} for own, row in both]
    return {"row": verdict.row, "plain": verdict.plain, "verdict": verdict.says, **plain, "rows": rows}


def to_csv(comparison: Comparison, whole: bool = False) -> str:
    """Return the comparison as CSV, one line per row; accuracies are fractions, the unknown is empty.

    Args:
        comparison: the table.
        whole: a column for every baseline of any row, in place of one for the closest own control of each.
    """
    named = dict.fromkeys(name for row in comparison.rows for name in row.differences)
    lines = []
    for row in comparison.rows:
        line: dict[str, object] = {"method": row.name, "role": row.role, "gain": row.gain, "n": len(row.seeds)}
        line |= columns("accuracy", row.accuracy) | columns("balanced_accuracy", row.balanced_accuracy)
        for column in named if whole else (*REFERENCES, OWN):
            difference, minus = row.difference(column), f"minus_{column.replace(' ', '_')}"
            line[f"{minus}_n"] = len(difference.by_seed) if difference else 0
            line |= columns(minus, difference.seeds if difference else None, f"{minus}_seeds")
            line |= columns(minus, difference.test if difference else None, f"{minus}_test")
        line |= {"seconds_per_epoch": row.seconds_per_epoch, "cost": row.cost}
        lines.append(line)
    return files.to_csv(lines)


def _own_controls(row: Row) -> str:
    """Return the difference to each of the row's own controls in words; nothing where it has none."""
    found = [(name, row.differences[name]) for name in row.controls if name in row.differences]
    return " ".join(
        f"{row.name} minus its own control, {name}: {difference_in_points(difference.seeds)}, over {difference.drawn} "
        f"{interval_of_points(difference.test) or 'none, of so few'}."
        for name, difference in found
    )


def _broken(name: str) -> str:
    """Return a name broken at hyphens and within words longer than a column holds; spaces are the terminal's to break.

    >>> _broken("transformation apart"), _broken("self-distilled")
    ('transfor-\\nmation apart', 'self-\\ndistilled')
    """
    parts = []
    for part in name.split("-"):
        words = part.split(" ")
        halves = [f"{w[: len(w) // 2 + 1]}-\n{w[len(w) // 2 + 1 :]}" if len(w) > _LONGEST else w for w in words]
        parts.append(" ".join(halves))
    return "-\n".join(parts)


def _cell(value: str, intervals: Sequence[str], spaced: bool, style: str = "") -> Text:
    """Return a value above its intervals."""
    shown = [interval if spaced else interval.replace(", ", ",") for interval in intervals if interval]
    return Text.assemble((value, style), *((f"\n{interval}", "dim") for interval in shown))


def _difference_cell(difference: Difference | None, spaced: bool) -> Text | str:
    if difference is None:
        return "–"
    style = "bold green" if difference.above else "bold red" if difference.below else ""
    each = (difference.seeds, "one seed"), (difference.test, "few samples")
    intervals = [interval_of_points(own).replace("+", "") or f"[{missing}]" for own, missing in each]
    return _cell(points(difference.seeds.mean, decimals_for(difference.seeds)), intervals, spaced, style)


def _seconds(row: Row) -> str:
    seconds = row.seconds_per_epoch
    cost = f"\n×{row.cost:.1f}" if row.cost is not None else ""
    return (f"{seconds:.2g}" if seconds < 10 else f"{seconds:.0f}") + cost
