"""The page itself: all sections, the numbers to take away, and the template that shows them in one file."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metaux.evidence import table
from metaux.files import to_json, write_text_atomic
from metaux.labels.sources import baselines
from metaux.report.html import invented as inventions
from metaux.report.html.calibration import calibration
from metaux.report.html.confusions import confusions
from metaux.report.html.features import Features, features, mapped
from metaux.report.html.helped import helped
from metaux.report.html.invented import Invented, invented
from metaux.report.html.learning import learning
from metaux.report.html.methods import Recorded
from metaux.report.html.parts import Chart, Table
from metaux.report.html.provenance import provenance
from metaux.report.html.samples import Samples, picture, sprite
from metaux.report.html.where import where

if TYPE_CHECKING:
    from jinja2 import Environment

REPORT = "report.html"
HERE = Path(__file__).parent
LIBRARY = HERE / "vendor" / "plotly-cartesian.min.js"


@dataclass(frozen=True)
class Report:
    """What the page says, before it is laid out.

    Args:
        recorded: the runs.
        samples: what the samples look like.
        subclasses: by method of `mapped`, the sub-class that its network gives each mapped test sample.
    """

    recorded: Recorded
    samples: Samples
    subclasses: Mapping[str, Sequence[int]]

    @cached_property
    def invented(self) -> list[Invented]:
        """What the methods invented."""
        return invented(self.recorded)

    def html(self) -> str:
        """Return the page."""
        recorded = self.recorded
        place = where(recorded) if recorded.comparison.test_size else None
        first, confused = helped(recorded), confusions(recorded) if place else None
        calibrated = calibration(recorded) if place else None
        learned, found = learning(recorded), features(recorded, self.subclasses)
        charts: list[Chart] = [
            *([first.chart] if first.chart else []),
            *([place.chart] if place else []),
            *([chart for _, chart in confused.charts] if confused else []),
            *([calibrated.chart] if calibrated and calibrated.chart else []),
            *(chart for _, chart in learned.charts),
            *([found.chart] if found else []),
        ]
        tables = [
            *([place.table()] if place else []),
            *([confused.table()] if confused else []),
            *(calibrated.tables() if calibrated else []),
            *([inventions.table(self.invented)] if self.invented else []),
            *([inventions.human_table(self.invented)] if any(each.agreement for each in self.invented) else []),
            learned.table(),
            *([found.table()] if found else []),
        ]
        return (
            _environment()
            .get_template("page.html.jinja")
            .render(
                recorded=recorded,
                comparison=recorded.comparison,
                ranked=recorded.ranked(),
                helped=first,
                where=place,
                confusions=confused,
                calibration=calibrated,
                invented=self.invented,
                pictures={id_: picture(self.samples.train[id_]) for id_ in self._shown()},
                samples=self.samples,
                learning=learned,
                features=found,
                provenance=provenance(recorded),
                baselines=baselines(recorded.runs[0].method),
                tables=[each.name for each in tables],
                page_data=_script(self._data(charts, tables, found)),
                library=LIBRARY.read_text(encoding="utf-8"),
                style=(HERE / "page.css").read_text(encoding="utf-8"),
                script=(HERE / "page.js").read_text(encoding="utf-8"),
            )
        )

    def _shown(self) -> Sequence[int]:
        if self.samples.kind != "image":
            return ()
        return sorted({id_ for each in self.invented for id_ in each.ids()} & set(self.samples.train))

    def _data(self, charts: Sequence[Chart], tables: Sequence[Table], found: Features | None) -> dict[str, Any]:
        """Return what the page's script works with."""
        data: dict[str, Any] = {
            "charts": {chart.name: {"group": chart.group, "figures": chart.figures} for chart in charts},
            "numbers": {
                "comparison": table.to_json(self.recorded.comparison),
                "tables": {each.name: {"columns": each.columns, "rows": each.rows} for each in tables},
            },
            "comparison_csv": table.to_csv(self.recorded.comparison),
        }
        if found:
            image = self.samples.kind == "image"
            thumbnails = sprite(self.samples.test) if image else None
            data["features"] = {
                "keys": found.keys,
                "rows": {method: each.rows for method, each in found.maps.items()},
                "sprite": asdict(thumbnails) if thumbnails else None,
                "cells": {} if image else self.samples.test,
                "columns": self.samples.columns,
            }
        return data


def wanted(recorded: Recorded) -> tuple[set[int], set[int]]:
    """Return which samples a page about these runs would show: ids of training samples, rows of test samples."""
    train = {id_ for each in invented(recorded) for id_ in each.ids()}
    return train, {int(row) for run in mapped(recorded) for row in run.output("test_feature_rows")}


def write_report(
    folder: Path, recorded: Recorded, samples: Samples, subclasses: Mapping[str, Sequence[int]] | None = None
) -> Path:
    """Write `report.html`, one file that needs no other.

    Args:
        folder: where to.
        recorded: the runs.
        samples: those that `wanted` asks for, or a word on why there are none.
        subclasses: see `Report`.

    Returns:
        The file.
    """
    path = folder / REPORT
    write_text_atomic(path, Report(recorded, samples, subclasses or {}).html())
    return path


def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    from metaux.evidence.intervals import interval_of_accuracy
    from metaux.words import counted, listed, percent

    made.filters |= {"counted": counted, "interval": interval_of_accuracy, "listed": listed, "percent": percent}
    return made


def _script(data: object) -> Any:
    """Return JSON that no name in it can end the script with."""
    from jinja2.utils import htmlsafe_json_dumps

    return htmlsafe_json_dumps(data, dumps=to_json)
