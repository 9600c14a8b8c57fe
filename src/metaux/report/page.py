"""The page itself: all sections, the numbers to take away, and the template that shows them in one file."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metaux.evidence import intervals, table
from metaux.files import to_json
from metaux.labels.sources import baselines
from metaux.report import invented
from metaux.report.answer import Answer, answer
from metaux.report.calibration import calibration
from metaux.report.confusions import confusions
from metaux.report.differences import differences
from metaux.report.features import Features, features, mapped
from metaux.report.glossary import glossary
from metaux.report.invented import Invented
from metaux.report.learning import learning
from metaux.report.parts import Rows, Section, rounded
from metaux.report.provenance import provenance
from metaux.report.recorded import Recorded
from metaux.report.samples import Samples, picture, sprite
from metaux.report.to_plotly import figure
from metaux.report.where import where
from metaux.runs.record import Run
from metaux.words import counted, listed, percent, points

if TYPE_CHECKING:
    from jinja2 import Environment

HERE = Path(__file__).parent
LIBRARY = HERE / "vendor" / "plotly-cartesian.min.js"


@dataclass(frozen=True)
class Report:
    """The page on recorded runs: which samples of their data it shows, and what it says."""

    recorded: Recorded

    @cached_property
    def invented(self) -> list[Invented]:
        """What the methods invented."""
        return invented.invented(self.recorded)

    @cached_property
    def mapped(self) -> list[Run]:
        """The runs whose features are drawn."""
        return mapped(self.recorded)

    @cached_property
    def answer(self) -> Answer:
        """What to use, how good it is, and where it fails."""
        return answer(self.recorded)

    @property
    def train_ids(self) -> list[int]:
        """The ids of the training samples that it shows."""
        return sorted({id_ for each in self.invented for id_ in each.ids()})

    @property
    def test_rows(self) -> list[int]:
        """The rows of the test samples that it shows."""
        mapped = {int(row) for run in self.mapped for row in run.output("test_feature_rows")}
        return sorted(mapped | {mistake.row for mistake in self.answer.mistakes})

    def html(self, samples: Samples, subclasses: Mapping[str, Sequence[int]] | None = None) -> str:
        """Return the page.

        Args:
            samples: what those of `train_ids` and `test_rows` look like, or a word on why there are none.
            subclasses: by method of `mapped`, the sub-class that its network gives each mapped test sample.
        """
        recorded = self.recorded
        classes, confused, calibrated = where(recorded), confusions(recorded), calibration(recorded)
        learned, found = learning(recorded), features(recorded, self.mapped, subclasses or {})
        gained = differences(recorded.comparison)
        labels = Section([], invented.tables(self.invented))

        def pictures(of: Mapping[int, Any], shown: Sequence[int]) -> dict[int, str]:
            return {key: picture(of[key]) for key in shown if key in of} if samples.kind == "image" else {}

        sections = [self.answer, gained, classes, confused, calibrated, labels, learned, *([found] if found else [])]
        return (
            _environment()
            .get_template("page.html.jinja")
            .render(
                recorded=recorded,
                comparison=recorded.comparison,
                answer=self.answer,
                glossary=glossary(recorded.comparison),
                mistakes=pictures(samples.test, [each.row for each in self.answer.mistakes]),
                differences=gained,
                where=classes,
                confusions=confused,
                calibration=calibrated,
                invented=self.invented,
                pictures=pictures(samples.train, self.train_ids),
                samples=samples,
                learning=learned,
                features=found,
                provenance=provenance(recorded),
                baselines=baselines(recorded.runs[0].method),
                tables=[name for section in sections for name in section.tables],
                page_data=_script(self._data(sections, found, samples)),
                library=LIBRARY.read_text(encoding="utf-8"),
                style=(HERE / "page.css").read_text(encoding="utf-8"),
                script=(HERE / "page.js").read_text(encoding="utf-8"),
            )
        )

    def _data(self, sections: Sequence[Section], found: Features | None, samples: Samples) -> dict[str, Any]:
        """Return what the page's script works with."""
        data: dict[str, Any] = {
            "charts": {
                panel.name: {
                    "group": panel.group,
                    "figures": {option: figure(chart) for option, chart in panel.charts.items()},
                }
                for section in sections
                for panel in section.panels
            },
            "numbers": {
                "comparison": table.to_json(self.recorded.comparison, self.recorded.verdict),
                "tables": {name: _table(rows) for section in sections for name, rows in section.tables.items()},
            },
            "comparison_csv": table.to_csv(self.recorded.comparison),
        }
        if found:
            image, rows = samples.kind == "image", {row for own in found.test_rows.values() for row in own}
            test = {row: own for row, own in samples.test.items() if row in rows}
            thumbnails = sprite(test) if image else None
            data["features"] = {
                "keys": found.keys,
                "rows": found.test_rows,
                "sprite": asdict(thumbnails) if thumbnails else None,
                "cells": {} if image else test,
                "columns": samples.columns,
            }
        return data


@cache
def _environment() -> "Environment":
    """Return what the template is read with; made once, since reading it takes as long as a section of the page."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters |= {
        "counted": counted,
        "interval": intervals.interval_of_accuracy,
        "interval_of_points": intervals.interval_of_points,
        "listed": listed,
        "percent": percent,
        "points": lambda estimate: points(estimate.mean, intervals.decimals_for(estimate)),
    }
    return made


def _table(rows: Rows) -> dict[str, Any]:
    """Return rows with their columns named once."""
    values = [[rounded(value) if isinstance(value, float) else value for value in row.values()] for row in rows]
    return {"columns": list(rows[0]) if rows else [], "rows": values}


def _script(data: object) -> Any:
    """Return JSON that no name in it can end the script with."""
    from jinja2.utils import htmlsafe_json_dumps

    return htmlsafe_json_dumps(data, dumps=to_json)
