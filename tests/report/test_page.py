"""What the report says, without a browser: its numbers are those of the comparison.

Longer than most files, since the page answers five questions.
"""

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from full_runs import HOSTILE, NAMES, SLOTS, TRAIN, full_run, full_runs, pictures
from markupsafe import escape

from making import make_run, make_runs
from metaux.evidence.comparison import compare_runs
from metaux.evidence.intervals import difference_in_points, interval_of_points
from metaux.evidence.quality import calibration_error, confusion
from metaux.evidence.statistics import Estimate
from metaux.evidence.table import to_csv
from metaux.evidence.verdict import judge
from metaux.labels.sources import REFERENCES
from metaux.report.answer import answer
from metaux.report.calibration import calibration
from metaux.report.chart import BETTER, COLOURS, WORSE, Axis, Chart, Look, Point, Points
from metaux.report.confusions import confusions
from metaux.report.differences import differences_chart
from metaux.report.features import Features, features, mapped
from metaux.report.glossary import glossary
from metaux.report.invented import MOST_CLASSES, MOST_SUBCLASSES, invented
from metaux.report.learning import MOST_POINTS, learning
from metaux.report.page import Report
from metaux.report.parts import Section
from metaux.report.provenance import provenance
from metaux.report.recorded import Recorded
from metaux.report.samples import Samples, picture, sprite
from metaux.report.to_plotly import figure, short
from metaux.report.where import MOST_CLASSES as MOST_BARS
from metaux.report.where import where
from metaux.settings import Settings
from metaux.words import percent, points


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    return full_runs(tmp_path_factory.mktemp("full"))


@pytest.fixture(scope="module")
def html(recorded: Recorded) -> str:
    return page(recorded, subclasses={"maxl": [0, 1] * 30})


def page(
    recorded: Recorded, samples: Samples | None = None, subclasses: Mapping[str, Sequence[int]] | None = None
) -> str:
    return Report(recorded).html(samples or pictures(), subclasses)


def drawn(chart: Chart) -> Any:
    """Return what a chart of one kind shows, where that is one thing."""
    [mark] = chart.marks
    return mark


def frame(section: Section, name: str) -> pd.DataFrame:
    """Return the numbers of a section."""
    return pd.DataFrame(list(section.tables[name]))


def mapped_features(recorded: Recorded, subclasses: Mapping[str, Sequence[int]]) -> Features:
    found = features(recorded, mapped(recorded), subclasses)
    assert found is not None
    return found


def data_of(html: str) -> dict[str, object]:
    [found] = re.findall(r'<script type="application/json" id="page-data">(.*?)</script>', html, re.DOTALL)
    data: dict[str, object] = json.loads(found)
    return data


def rows_of(found: object) -> list[dict[str, object]]:
    assert isinstance(found, dict)
    return [dict(zip(found["columns"], row, strict=True)) for row in found["rows"]]


class TestDidItHelp:
    def test_says_the_verdict_and_every_difference_of_the_comparison(self, recorded: Recorded, html: str) -> None:
        assert escape(recorded.verdict.says) in html
        body = html.partition('aria-labelledby="all-methods">')[2].partition("</table>")[0]
        for row, line in zip(recorded.comparison.rows, body.split("<tr")[2:], strict=True):
            name, _, accuracy, *cells, _ = re.findall(r"<t[hd].*?>(.*?)</t[hd]>", line, re.DOTALL)
            assert name == row.name
            assert accuracy.startswith(f"<b>{percent(row.accuracy.mean)}</b>")
            for column, cell in zip(REFERENCES, cells, strict=True):
                found = row.difference(column)
                if found is None:
                    assert cell == '<span class="faint">–</span>'
                else:
                    value, seeds, test = re.findall(r"<b>(.*)</b> <small>(.*)<br>(.*)</small>", cell)[0]
                    assert f"{value} points {seeds}" == difference_in_points(found.seeds)
                    assert test == interval_of_points(found.test)
            sides = [found.above - found.below for name in REFERENCES if (found := row.difference(name))]
            assert (line.count('class="above"'), line.count('class="below"')) == (sides.count(1), sides.count(-1))

    def test_draws_means_and_both_intervals(self, recorded: Recorded) -> None:
        chart = differences_chart(recorded.comparison)
        assert chart is not None
        row = recorded.comparison.rows[1]
        difference = row.differences["single"]
        to_single: Any = chart.marks[0]
        point = next(point for point in to_single.points if chart.y.names[point.row] == row.name)
        assert (point.seeds, point.test, point.by_seed) == (difference.seeds, difference.test, difference.by_seed)
        test, dots, seeds = figure(chart)["data"][:3]
        assert seeds["x"][0] == pytest.approx(100 * difference.seeds.mean, abs=1e-4)
        assert difference.seeds.high is not None
        assert seeds["x"][0] + seeds["error_x"]["array"][0] == pytest.approx(100 * difference.seeds.high, abs=1e-4)
        assert difference.test.low is not None
        assert test["x"][0] - test["error_x"]["arrayminus"][0] == pytest.approx(100 * difference.test.low, abs=1e-4)
        assert dots["x"][:3] == pytest.approx([100 * value for value in difference.by_seed], abs=1e-4)

    def test_what_would_change_a_gain_is_its_closest_interval(self, recorded: Recorded, html: str) -> None:
        row = recorded.comparison.row("maxl")
        assert row is not None
        assert row.gain
        bounds = [bound for each in row.differences.values() for bound in (each.seeds.low, each.test.low)]
        said = recorded.verdict.change
        assert "The closest call is maxl against" in said
        assert f"begins at {points(min(bound for bound in bounds if bound is not None), 2)} points" in said
        assert escape(said) in html

    def test_what_would_change_no_gain_is_said_once(self, tmp_path: Path) -> None:
        gains = {
            "single": [0.0, 0.01, 0.0],
            "uniform": [0.0] * 3,
            "frozen": [0.01, 0.0, 0.0],
            "maxl": [0.01, 0.0, 0.02],
        }
        comparison = compare_runs(make_runs(tmp_path, gains))
        assert "more seed" in judge(comparison).says
        assert judge(comparison).change == ""

    def test_one_seed_has_no_interval(self, tmp_path: Path) -> None:
        found = page(full_runs(tmp_path, ("single", "uniform", "frozen", "maxl"), seeds=1))
        assert '<p class="verdict">No conclusion' in found
        assert "</b> <small>[one seed]</small>" in found
        assert "</b> <small>[one seed]<br>" in found


class TestWhere:
    def test_weighted_by_samples_the_classes_give_the_difference(self, recorded: Recorded) -> None:
        found = where(recorded)
        assert found.paired
        for method in list(recorded.by_method)[1:]:
            row = recorded.comparison.row(method)
            assert row is not None
            rows = frame(found, "classes").query("method == @method")
            mean = np.average(rows["mean"], weights=rows["test_samples"])
            assert mean == pytest.approx(row.differences["single"].seeds.mean)
            assert rows["mean"].is_monotonic_increasing

    def test_the_best_of_the_methods_to_be_judged_comes_first(self, recorded: Recorded) -> None:
        assert recorded.ranked[:3] == ["maxl", "kmeans", "human"]
        assert next(iter(where(recorded).panels[0].charts)) == "maxl"

    def test_without_single_task_there_are_accuracies(self, tmp_path: Path) -> None:
        recorded = full_runs(tmp_path, ("maxl",))
        found = where(recorded)
        assert not found.paired
        rows = frame(found, "classes")
        mean = np.average(rows["mean"], weights=rows["test_samples"])
        assert mean == pytest.approx(recorded.comparison.rows[0].accuracy.mean)

    def test_no_interval_is_drawn_beyond_what_can_be(self, tmp_path: Path) -> None:
        found = where(full_runs(tmp_path, ("single", "maxl"), 2, [f"class {number}" for number in range(60)]))
        assert frame(found, "classes")["seeds_low"].min() < -1  # two seeds say little of a class of four test samples
        shown = drawn(found.panels[0].charts["maxl"]).points
        assert min(point.seeds.low for point in shown if point.seeds.low is not None) == -1

    def test_classes_are_coloured_by_side(self) -> None:
        """Green where both intervals are above zero, red where both are below."""
        above, below, neither = Estimate(0.1, 0.05, 0.2), Estimate(-0.1, -0.2, -0.05), Estimate(0.1, -0.1, 0.3)
        sides = [(above, above), (below, below), (above, neither), (neither, above)]
        found = [Point(row, seeds, test) for row, (seeds, test) in enumerate(sides)]
        chart = Chart([Points("", Look(COLOURS[1]), found)], Axis(zero=True), Axis(names=tuple("abcd")))
        colours = [chart.colour(drawn(chart), point) for point in found]
        assert colours == [BETTER, WORSE, COLOURS[1], COLOURS[1]]
        means = {trace["marker"]["color"]: trace["x"] for trace in figure(chart)["data"] if "text" in trace}
        assert means == {BETTER: [0.1], WORSE: [-0.1], COLOURS[1]: [0.1, 0.1]}

    def test_many_classes_are_cut_in_the_chart_only(self, tmp_path: Path) -> None:
        names = [f"class {number}" for number in range(60)]
        found = where(full_runs(tmp_path, ("single", "maxl"), 2, names))
        assert found.left_out == 60 - MOST_BARS
        assert len(drawn(found.panels[0].charts["maxl"]).points) == MOST_BARS
        assert len(found.tables["classes"]) == 60

    def test_confusions_are_means_over_seeds(self, recorded: Recorded) -> None:
        table = frame(confusions(recorded), "confusion").query("method == 'maxl'")
        assert table["true_class"].tolist() == list(NAMES)
        found = table.filter(like="predicted").to_numpy()
        counted = [
            confusion(
                torch.from_numpy(run.output("test_probabilities").argmax(-1)),
                torch.from_numpy(run.output("test_primary")),
                len(NAMES),
            ).numpy()
            for run in recorded.by_method["maxl"]
        ]
        np.testing.assert_allclose(found, np.mean(counted, axis=0))

    def test_classes_of_the_matrices_are_at_places_not_names(self, tmp_path: Path) -> None:
        """As a category, plotly takes `constructor` for what every object of JavaScript has."""
        found = confusions(full_runs(tmp_path, ("single",), 1, ("constructor", "1", "0"))).panels[0].charts["single"]
        made = figure(found)
        assert not {"x", "y"} & set(made["data"][0])
        for name in ("xaxis", "yaxis"):
            assert made["layout"][name]["tickvals"] == [0, 1, 2]
            assert made["layout"][name]["ticktext"] == ["constructor", "1", "0"]

    def test_cells_have_no_more_digits_than_fit_and_nothing_for_zero(self, tmp_path: Path) -> None:
        for count, pattern in ((3, r"\d+\.\d"), (10, r"\d+")):
            names = [f"class {number}" for number in range(count)]
            [own, _, difference] = confusions(full_runs(tmp_path / str(count), ("single", "maxl"), 2, names)).panels
            cells = [cell for row in figure(own.charts[""])["data"][0]["text"] for cell in row]
            assert cells.count("") == count * (count - 2)  # each class is predicted as itself or the next one
            assert all(re.fullmatch(pattern, cell) for cell in cells if cell)
            changes = [cell for row in figure(difference.charts["maxl"])["data"][0]["text"] for cell in row if cell]
            assert all(re.fullmatch(f"[+-]{pattern}", cell) for cell in changes)

    @pytest.mark.parametrize(("names", "angle"), [(NAMES, 0), ([f"a very long name {n}" for n in range(3)], -45)])
    def test_names_that_do_not_stand_side_by_side_are_turned(
        self, names: Sequence[str], angle: int, tmp_path: Path
    ) -> None:
        [panel] = confusions(full_runs(tmp_path, ("single",), 1, names)).panels
        assert figure(panel.charts["single"])["layout"]["xaxis"]["tickangle"] == angle

    def test_long_names_are_cut_then_escaped_and_no_two_alike(self) -> None:
        names = ["cat", "$x^2$ & <b>" + "bold" * 3, "L" * 99, "L" * 98, f"{'same' * 4} start", f"{'same' * 4} end"]
        found = short(names, 14)
        assert found[1] == "$x^2$ &amp;…ldbold"
        assert len(set(found)) == len(names)
        assert max(len(unescape(name)) for name in found) == 14

    def test_a_class_without_test_samples_is_blank_and_named(self, tmp_path: Path) -> None:
        recorded = Recorded.of([full_run(tmp_path, name, 0, tested=2) for name in ("single", "maxl")])
        for panel in confusions(recorded).panels:
            for chart in panel.charts.values():
                assert [row.count(None) for row in drawn(chart).values] == [0, 0, 3]
        assert where(recorded).untested == ["owl"]
        found = page(recorded)
        assert "Classes without test samples: owl.</p>" in found
        assert "The rows of classes without a test sample are blank." in found

    def test_with_test_samples_of_all_classes_nothing_is_said_of_none(self, html: str) -> None:
        assert "Classes without test samples" not in html
        assert "are blank" not in html

    def test_the_difference_of_the_matrices(self, recorded: Recorded) -> None:
        [single, own, difference] = [panel.charts for panel in confusions(recorded).panels]
        z = [np.array(drawn(chart).values) for chart in (single[""], own["maxl"], difference["maxl"])]
        np.testing.assert_allclose(z[1] - z[0], z[2])
        np.testing.assert_allclose(z[0].sum(1), 100)
        true, predicted, change = confusions(recorded).changes["maxl"][0]
        assert change == pytest.approx((z[1] - z[0])[NAMES.index(true), NAMES.index(predicted)])
        assert abs(change) == pytest.approx(abs(z[2]).max())

    def test_calibration_is_that_of_evaluate(self, recorded: Recorded) -> None:
        found = calibration(recorded)
        errors = [
            calibration_error(
                torch.from_numpy(run.output("test_probabilities")), torch.from_numpy(run.output("test_primary"))
            )
            for run in recorded.by_method["kmeans"]
        ]
        assert found.errors["kmeans"].mean == pytest.approx(np.mean(errors), abs=1e-6)
        bins = frame(found, "reliability").query("method == 'kmeans'")
        assert bins["samples"].sum() == 3 * recorded.comparison.test_size

    def test_the_map_keeps_samples_and_their_labels_together(self, recorded: Recorded) -> None:
        found = mapped_features(recorded, {"maxl": [0, 3] * 30})
        assert list(found.test_rows) == ["maxl", "single"]
        run, own = recorded.by_method["maxl"][0], frame(found, "features").query("method == 'maxl'")
        rows = run.output("test_feature_rows")
        assert found.test_rows["maxl"] == own["test_sample"].tolist() == rows.tolist()
        primary = run.output("test_primary")[rows]
        assert own["class"].tolist() == [NAMES[each] for each in primary]
        x, y = own["x"].to_numpy(), own["y"].to_numpy()
        centres = np.array([[x[primary == each].mean(), y[primary == each].mean()] for each in range(3)])
        nearest = ((x[:, None] - centres[:, 0]) ** 2 + (y[:, None] - centres[:, 1]) ** 2).argmin(-1)
        assert (nearest == primary).mean() > 0.95  # the features are three clouds, far apart
        assert set(found.keys) == {"maxl/class", "maxl/subclass", "single/class"}
        assert [name for name, *_ in found.keys["maxl/subclass"]] == [f"sub-class {slot}" for slot in range(4)]
        assert own["subclass"].tolist()[:3] == ["cat/0", "dog/3", "owl/0"]

    def test_only_sub_classes_of_people_have_their_names(self, tmp_path: Path) -> None:
        found = mapped_features(Recorded.of([full_run(tmp_path, "human", 0)]), {"human": [1, 2] * 30})
        assert frame(found, "features")["subclass"].tolist()[:2] == ["cat kind 1", "dog kind 2"]
        assert drawn(found.panels[0].charts["human/class"]).texts[0].startswith("cat kind 1")

    def test_no_calibration_error_reaches_beyond_what_can_be(self, tmp_path: Path) -> None:
        recorded = Recorded.of([full_run(tmp_path, "single", seed) for seed in (0, 30)])
        high = calibration(recorded).errors["single"].high
        assert high is not None
        assert high > 1
        assert "<small>[0.0, 100]</small>" in page(recorded)

    def test_what_is_empty_says_why(self, tmp_path: Path) -> None:
        recorded = Recorded.of(make_runs(tmp_path, {"single": [0.0], "uniform": [0.0]}, samples=2))
        found = page(recorded, Samples())
        assert "Nothing changed: each class is predicted as the others as often as by single." in found
        assert "<tbody></tbody>" not in found.partition('id="where"')[2].partition('id="invented"')[0]
        assert 'data-chart="reliability"' not in found
        assert "No chart: each of the 15 bins of confidence holds fewer than 10" in found
        assert "<br>[few samples]</small>" in found
        said = str(data_of(found)["charts"])
        assert "too few test samples for an interval" in said
        assert "over test samples" not in said


class TestAnswer:
    def test_what_to_use_how_good_it_is_and_where_it_fails_come_first(self, recorded: Recorded, html: str) -> None:
        found = answer(recorded)
        assert (
            found.use
            == recorded.verdict.use
            == "Use maxl, 5 epochs. The auxiliary labels of maxl helped: +26.0 points."
        )
        assert found.good.startswith("Expect 94 to 98 % on new samples. It was right on 96.8 % of 240 test samples")
        assert found.fails.startswith("Most on dog, 96 % of 80 right; owl, ")
        top = unescape(html.partition("<nav")[0])
        assert all(sentence in top for sentence in (found.use, found.good, found.fails))

    def test_shares_are_those_of_the_recorded_predictions(self, recorded: Recorded) -> None:
        runs = recorded.by_method["maxl"]
        for own in answer(recorded).classes:
            here = runs[0].output("test_primary") == NAMES.index(own.name)
            right = [(run.output("test_probabilities").argmax(-1) == run.output("test_primary"))[here] for run in runs]
            assert own.tested == here.sum()
            assert own.share == pytest.approx(float(np.mean(right)))

    def test_mistakes_are_wrong_and_the_surest_come_first(self, recorded: Recorded, html: str) -> None:
        mistakes = answer(recorded).mistakes
        run = recorded.by_method["maxl"][0]
        for own in mistakes:
            assert NAMES[run.output("test_primary")[own.row]] == own.true != own.predicted
        assert [own.confidence for own in mistakes] == sorted((own.confidence for own in mistakes), reverse=True)
        assert f'alt="Test sample {mistakes[0].row}: {mistakes[0].true}, taken for {mistakes[0].predicted}"' in html

    def test_a_class_with_few_samples_gets_advice(self, tmp_path: Path) -> None:
        run = full_run(tmp_path, "single", 0, [f"class {number}" for number in range(13)])  # 18 or 19 test samples each
        found = answer(Recorded.of([run], single=True))
        assert found.use.startswith("This is one run: single, 5 epochs.")
        assert all("test samples this is a rough figure." in own.advice for own in found.classes)
        assert "Most of its mistakes are taken for class" in found.classes[0].advice

    def test_words_are_explained_where_they_occur(self, recorded: Recorded, tmp_path: Path) -> None:
        assert {"single", "uniform", "frozen"} < set(glossary(recorded.comparison))
        alone = Recorded.of([full_run(tmp_path, "single", 0)])
        assert {"uniform", "frozen", "shuffled"}.isdisjoint(glossary(alone.comparison))


class TestInvented:
    def test_counts_and_typical_samples_are_those_of_the_labels(self, recorded: Recorded) -> None:
        found = {each.method: each for each in invented(recorded)}
        assert set(found) == {"maxl", "kmeans"}  # of the others, none is invented
        labels = recorded.by_method["maxl"][0].output("train_labels").astype(float)
        dogs = [row for row in range(TRAIN) if row % 3 == 1]
        own = found["maxl"].classes[1]
        assert (own.name, own.samples) == ("dog", len(dogs))
        for sub in own.subclasses:
            assert sub.name == f"dog/{sub.slot}"
            inside = [row for row in dogs if labels[row].argmax() == sub.slot]
            assert sub.used == len(inside)
            best = sorted(inside, key=lambda row: -labels[row, sub.slot])[:8]
            assert [id_ for id_, _ in sub.typical] == best
        assert sum(sub.used for sub in own.subclasses) == own.samples

    def test_agreement_with_human_labels(self, recorded: Recorded) -> None:
        found = invented(recorded)[0]
        assert found.agreement is not None
        assert found.agreement.mean == pytest.approx(0.1 + 1 / 50)
        own = found.classes[0]
        assert sorted(own.human) == [f"cat kind {slot}" for slot in range(SLOTS)]
        assert sum(sum(sub.human) for sub in own.subclasses) == own.samples

    def test_what_does_not_fit_is_said(self, tmp_path: Path) -> None:
        names = [f"class {number}" for number in range(MOST_CLASSES + 5)]
        [found] = invented(full_runs(tmp_path, ("single", "maxl"), 1, names))
        assert (len(found.classes), found.left_out) == (MOST_CLASSES, 5)
        assert all(len(each.subclasses) <= MOST_SUBCLASSES for each in found.classes)

    def test_many_sub_classes_show_fewer_samples_each(self, recorded: Recorded) -> None:
        found = invented(recorded, most_pictures=2 * len(NAMES) * SLOTS * 3)
        assert [each.method for each in found] == ["maxl", "kmeans"]
        shown = [len(sub.typical) for each in found for own in each.classes for sub in own.subclasses]
        assert max(shown) == 3
        assert all(sub.typical for each in invented(recorded, 1) for own in each.classes for sub in own.subclasses)

    def test_the_page_asks_for_the_samples_that_it_shows(self, recorded: Recorded) -> None:
        asked = Report(recorded)
        assert asked.train_ids == sorted({id_ for each in invented(recorded) for id_ in each.ids()})
        mistakes = [mistake.row for mistake in asked.answer.mistakes]
        assert asked.test_rows == sorted({*range(0, 240, 4), *mistakes})

    def test_the_page_does_without_samples_and_says_why(self, recorded: Recorded) -> None:
        found = page(recorded, Samples(missing="the folder <gone> is empty."))
        assert "the folder &lt;gone&gt; is empty." in found
        assert "<img " not in found.partition('id="invented"')[2].partition("<dialog")[0]

    def test_rows_of_a_table(self, recorded: Recorded) -> None:
        cells = {id_: (f"{id_}.5", "<red>") for id_ in range(TRAIN)}
        found = page(recorded, Samples("rows", cells, cells, ("height", "colour")))
        assert "<td>&lt;red&gt;</td>" in found
        assert '<th scope="col">height</th>' in found


class TestTraining:
    def test_curves_are_those_of_the_records(self, recorded: Recorded) -> None:
        found = learning(recorded).panels
        lines: dict[str, Any] = {panel.name.removeprefix("training-"): panel.charts[""].marks for panel in found}
        [maxl] = [line for line in lines["test_accuracy"] if line.name == "maxl"]
        assert maxl.y == pytest.approx([0.51, 0.56, 0.61, 0.66, 0.71])
        assert (maxl.low[0], maxl.high[0]) == (0.5, 0.52)
        assert "single" not in {line.name for line in lines["gradient_cosine"]}
        assert "subclasses_used" not in lines

    def test_between_few_epochs_nothing_is_marked(self, recorded: Recorded) -> None:
        panels = learning(recorded).panels
        assert all(figure(panel.charts[""])["layout"]["xaxis"]["dtick"] == 1 for panel in panels)

    def test_long_runs_are_thinned_to_the_last_epoch(self, tmp_path: Path) -> None:
        run = make_run(tmp_path, "maxl", 0, [1.0], epochs=400, curve=list(np.linspace(0, 1, 400)))
        line = drawn(learning(Recorded.of([run])).panels[0].charts[""])
        assert len(line.x) == MOST_POINTS
        assert (line.x[0], line.x[-1], line.y[-1]) == (1, 400, 1.0)


class TestMade:
    def test_the_command_makes_the_same_settings(self, tmp_path: Path) -> None:
        from metaux.cli.compare import Compare
        from metaux.cli.parsing import parse
        from metaux.cli.train import Train

        settings = Settings(data="my photos/", subclasses=(2, 3), epochs=7, pretrained=True, train_size=50, root="x y")
        run = make_run(tmp_path, "maxl", 1, [1.0], settings=settings)
        import shlex

        again = parse(shlex.split(provenance(Recorded.of([run], single=True)).command)[1:])
        assert isinstance(again, Train)
        assert (again.settings, again.method, again.seed) == (settings, "maxl", 1)
        more = parse(shlex.split(provenance(Recorded.of([run])).command)[1:])
        assert isinstance(more, Compare)
        assert (more.settings, more.methods, more.seeds) == (settings, ("maxl",), 2)

    def test_settings_that_differ_are_those_of_their_methods(self, tmp_path: Path) -> None:
        rates = {"single": 0.1, "uniform": 0.02, "frozen": 0.02}
        runs = [
            make_run(tmp_path, name, 0, [1.0], settings=Settings(epochs=3, learning_rate=rate))
            for name, rate in rates.items()
        ]
        comparison = compare_runs(runs, vary=("learning_rate",))
        recorded = Recorded(runs, comparison, judge(comparison))
        changed = {name: value for name, value, differs in provenance(recorded).settings if differs}
        assert changed == {"epochs": "3", "learning_rate": "0.1 (single); 0.02 (uniform, frozen)"}


class TestPage:
    def test_is_one_file_that_asks_for_nothing(self, html: str) -> None:
        assert "default-src 'none'" in html
        own = html.replace(
            (Path(__file__).parents[2] / "src/metaux/report/vendor/plotly-cartesian.min.js").read_text(), ""
        )
        assert not re.search(r"""(src|href)=["']?(https?:)?//""", own)
        assert " onclick" not in own
        assert not re.search(r"@import|url\(\s*['\"]?http", own)

    def test_the_numbers_to_take_away_are_the_comparison(self, html: str, recorded: Recorded) -> None:
        data = data_of(html)
        assert data["comparison_csv"] == to_csv(recorded.comparison)
        assert len(list(csv.DictReader(io.StringIO(to_csv(recorded.comparison))))) == 6
        numbers = data["numbers"]
        assert isinstance(numbers, dict)
        assert numbers["comparison"]["rows"][4]["accuracy"]["mean"] == recorded.comparison.rows[4].accuracy.mean
        tables = numbers["tables"]
        assert set(tables) == {
            "class-advice",
            *("classes", "confusion", "calibration-error", "reliability"),
            *("sub-classes", "human-sub-classes", "training", "features"),
        }
        assert {row["method"] for row in rows_of(tables["training"])} == set(recorded.by_method)
        assert all(f'data-download="{name}"' in html for name in tables)

    def test_names_can_not_leave_their_place(self, tmp_path: Path) -> None:
        found = page(full_runs(tmp_path, ("single", "maxl"), 2, HOSTILE))
        assert HOSTILE[0] not in found
        assert HOSTILE[2] not in found
        assert "&lt;img src=x onerror=alert(1)&gt;" in found
        assert found.count("</script>") == 3

    def test_the_same_runs_make_the_same_page(self, recorded: Recorded, html: str) -> None:
        assert page(recorded, subclasses={"maxl": [0, 1] * 30}) == html

    def test_a_single_run(self, tmp_path: Path) -> None:
        recorded = Recorded.of([full_run(tmp_path, "maxl", 0)], single=True)
        found = page(recorded)
        assert "This is one run of <strong>maxl</strong>" in found
        assert "there is no single task to compare with" in found
        assert "the same data with single, uniform and frozen, on several seeds" in found

    def test_a_single_run_names_all_that_its_method_has_to_beat(self, tmp_path: Path) -> None:
        recorded = Recorded.of([full_run(tmp_path, "transformation", 0)], single=True)
        found = page(recorded)
        assert "the same data with single, uniform, frozen and transformed, on several seeds" in found

    def test_runs_with_the_least_that_a_run_has(self, tmp_path: Path) -> None:
        runs = make_runs(tmp_path, {"single": [0.0], "uniform": [0.1]}, samples=20)
        found = page(Recorded.of(runs), Samples())
        assert "None of these methods invents sub-classes" in found
        assert "As the network sees them" not in found


class TestSamples:
    @pytest.mark.parametrize("channels", [1, 2, 3, 4])
    def test_images_of_any_channels_and_size(self, channels: int) -> None:
        assert picture(np.zeros((channels, 300, 200), dtype=np.uint8)).startswith("data:image/webp;base64,")

    def test_a_sprite_has_every_picture_in_its_place(self) -> None:
        from base64 import b64decode

        from PIL import Image

        shades = {7: 0, 3: 120, 99: 250}
        found = sprite({key: np.full((1, 8, 8), shade, dtype=np.uint8) for key, shade in shades.items()})
        assert found is not None
        image = Image.open(io.BytesIO(b64decode(found.uri.partition(",")[2])))
        for key, shade in shades.items():
            left = found.edge * (found.places[key] % found.across)
            pixel = image.getpixel((left + 4, 4))
            assert isinstance(pixel, tuple)
            assert pixel[0] == pytest.approx(shade, abs=4)
        assert sprite({}) is None
