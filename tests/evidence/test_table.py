import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from making import make_runs
from metaux.evidence.comparison import Comparison, compare_runs
from metaux.evidence.table import table, to_csv, to_json
from metaux.evidence.verdict import judge

GAINS = {
    "single": [0.0, 0.004, -0.002],
    "uniform": [0.001, 0.002, 0.004],
    "frozen-split": [0.001, 0.002, 0.004],
    "frozen": [0.0, 0.001, 0.002],
    "kmeans": [-0.05, -0.052, -0.051],
    "maxl": [0.02, 0.021, 0.024],
}


@pytest.fixture
def comparison(tmp_path: Path) -> Comparison:
    return compare_runs(make_runs(tmp_path, GAINS))


def shown(comparison: Comparison, width: int) -> list[str]:
    console = Console(width=width, file=io.StringIO(), color_system=None)
    with console.capture() as capture:
        console.print(table(comparison, width))
    return [line.rstrip() for line in capture.get().splitlines()]


def test_a_value_stands_above_its_intervals(comparison: Comparison) -> None:
    lines = shown(comparison, 120)
    maxl = next(number for number, line in enumerate(lines) if line.startswith("maxl"))
    assert lines[maxl].split()[:4] == ["maxl", "72.2", "72.2", "+2.1"]
    # Mean 72.1667, t(2) = 4.3027, standard deviation 0.20817: half width 0.517.
    # Differences of 2, 1.7 and 2.6 points: mean 2.1, standard deviation 0.45826, half width 1.138.
    assert lines[maxl + 1].startswith("3 seeds")
    assert "[71.6, 72.7]" in lines[maxl + 1]
    assert "[1.0, 3.2]" in lines[maxl + 1]
    assert "×1.0" in lines[maxl + 1]


@pytest.mark.parametrize("width", [80, 100, 120])
def test_no_number_is_broken(comparison: Comparison, width: int) -> None:
    lines = shown(comparison, width)
    text = "\n".join(lines).replace(", ", ",")
    assert max(map(len, lines)) <= width
    for method in GAINS:
        assert method.split("-")[0] in text
    for number in ("[71.6,72.7]", "[-6.1,-4.2]", "-0.37", "-0.03]"):
        assert number in text
    assert "…" not in text


def test_what_fits_nowhere_is_broken_between_numbers(tmp_path: Path) -> None:
    gains = {"single": [0.0, 0.01], "uniform": [0.0, 0.0], "frozen": [0.0, 0.0], "prototypical": [-0.2, -0.3]}
    lines = shown(compare_runs(make_runs(tmp_path, gains)), 60)
    assert max(map(len, lines)) <= 60
    numbers = " ".join(lines).replace("[", " ").replace("]", " ").replace(",", " ").split()
    # Difference to single -25.5, deviation 7.7782: half width 12.7062 * 5.5 = 69.9.
    assert "44.4" in numbers
    assert "-95.4" in numbers


def test_one_seed(tmp_path: Path) -> None:
    text = "\n".join(shown(compare_runs(make_runs(tmp_path, {"single": [0.0], "maxl": [0.01]})), 80))
    assert "+1.0" in text
    assert "[one seed]" in text
    assert "1 seed" in text
    assert "1 seeds" not in text


def test_csv_and_json_hold_every_number(comparison: Comparison) -> None:
    plain = to_json(comparison, judge(comparison))
    assert json.loads(json.dumps(plain))["verdict"].startswith("maxl beats")
    by_name = {row["method"]: row for row in plain["rows"]}
    assert by_name["maxl"]["gain"] is True
    assert by_name["kmeans"]["role"] == "method"
    maxl = comparison.row("maxl")
    assert maxl is not None
    assert by_name["maxl"]["differences"]["frozen"]["test"]["low"] == maxl.differences["frozen"].test.low
    lines = {line["method"]: line for line in csv.DictReader(io.StringIO(to_csv(comparison)))}
    assert list(lines) == [row.name for row in comparison.rows]
    assert float(lines["maxl"]["minus_frozen_test_low"]) == maxl.differences["frozen"].test.low
    assert float(lines["maxl"]["accuracy_high"]) == maxl.accuracy.high
    assert lines["single"]["minus_single"] == ""
    assert lines["single"]["minus_single_n"] == "0"


def test_names_are_text_and_not_markup(tmp_path: Path) -> None:
    text = "\n".join(shown(compare_runs(make_runs(tmp_path, {"[bold]x": [0.0]})), 80))
    assert "[bold]x" in text


def test_every_method_s_name_is_whole_or_broken_with_a_hyphen(tmp_path: Path) -> None:
    more = {"transformation": [0.1, 0.12, 0.11], "self-distilled-cross": [0.02, 0.0, 0.01]}
    lines = shown(compare_runs(make_runs(tmp_path, GAINS | more)), 80)
    names = [line.split("  ")[0].split(" ")[0] for line in lines]
    assert "…" not in "".join(lines)
    assert names[(place := names.index("transfor-")) : place + 2] == ["transfor-", "mation"]
    assert names[(place := names.index("self-")) : place + 3] == ["self-", "distilled-", "cross"]


def test_it_says_when_validation_samples_were_measured(comparison: Comparison) -> None:
    assert not comparison.remark
    said = " ".join(" ".join(shown(replace(comparison, measured_on="validation"), 80)).split())
    assert f"{comparison.test_size:,} validation samples" in said
    assert "It is the validation part that is called test here (--evaluate-on validation)." in said
