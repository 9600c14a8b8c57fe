from pathlib import Path

import pytest

from making import first_right, make_run, make_runs
from metaux.errors import InputError
from metaux.evidence.comparison import OWN, compare_runs
from metaux.settings import Settings


def test_rows_by_hand(tmp_path: Path) -> None:
    runs = make_runs(tmp_path, {"maxl": [0.03, 0.05], "single": [0.0, 0.01], "uniform": [0.01]})
    comparison = compare_runs(runs)
    assert [row.name for row in comparison.rows] == ["single", "uniform", "maxl"]
    assert comparison.rows[-1].lacking == ("frozen",)
    assert (comparison.data, comparison.train_size, comparison.test_size) == ("toy", 6, 1000)
    assert (comparison.epochs, comparison.protocol) == (3, "tuned")
    row = comparison.row("maxl")
    assert row is not None
    assert row.seeds == (0, 1)
    assert row.accuracies == pytest.approx((0.73, 0.75))
    assert row.accuracy.mean == pytest.approx(0.74)
    single = row.differences["single"]
    assert single.by_seed == pytest.approx((0.03, 0.04))
    # Half width t(1) * deviation / sqrt(2) = 12.7062 * 0.00707107 / 1.41421 = 0.0635310.
    assert (single.seeds.mean, single.seeds.low) == pytest.approx((0.035, -0.028531), abs=1e-6)
    assert single.test.mean == pytest.approx(0.035)
    # 30 samples count for 1 and 10 for 1/2: deviation sqrt(0.0325 - 0.035 ** 2), over sqrt(1000).
    assert single.test.low == pytest.approx(0.035 - 1.96 * 0.00559, abs=1e-3)
    assert len(row.differences["uniform"].by_seed) == 1  # of the seed they share
    assert row.differences["uniform"].seeds.low is None
    assert "frozen" not in row.differences


def test_cost_is_relative_to_single(tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path, "single", 0, [1.0], seconds=0.5),
        make_run(tmp_path, "maxl", 0, [1.0], seconds=2),
    ]
    comparison = compare_runs(runs)
    assert [row.cost for row in comparison.rows] == [1.0, 4.0]
    assert [row.cost for row in compare_runs(runs[1:]).rows] == [None]


@pytest.mark.parametrize(
    ("frozen", "gain"),
    [([0.0, 0.0, 0.0], True), ([0.04, 0.04, 0.04], False), ([0.0, 0.01, 0.05], False)],
)
def test_a_gain_is_one_over_every_reference(tmp_path: Path, frozen: list[float], gain: bool) -> None:
    runs = make_runs(
        tmp_path,
        {"single": [0.0] * 3, "uniform": [0.01] * 3, "frozen": frozen, "maxl": [0.04, 0.041, 0.042]},
    )
    comparison = compare_runs(runs)
    row = comparison.row("maxl")
    assert row is not None
    assert row.gain is gain


def test_a_gain_is_one_over_a_methods_own_controls_too(tmp_path: Path) -> None:
    references = {"single": [0.0] * 3, "uniform": [0.0] * 3, "frozen": [0.0] * 3}
    method = {"distilled": [0.04, 0.041, 0.042]}
    found = {
        name: compare_runs(make_runs(tmp_path / name, {**references, **method, **own}))
        for name, own in {
            "without": {},
            "above": {"self-distilled": [0.01] * 3},
            "alike": {"self-distilled": [0.04] * 3},
        }.items()
    }
    rows = {name: comparison.row("distilled") for name, comparison in found.items()}
    gains = {name: row is not None and row.gain for name, row in rows.items()}
    assert gains == {"without": False, "above": True, "alike": False}
    assert rows["without"] is not None
    assert rows["without"].lacking == ("self-distilled",)
    assert found["without"].columns == ("single", "uniform", "frozen")
    assert found["above"].columns == ("single", "uniform", "frozen", OWN)
    own = {row.name: row.difference(OWN) for row in found["above"].rows}
    assert [method for method, difference in own.items() if difference] == ["distilled"]
    assert own["distilled"] is not None


def test_a_gain_needs_both_intervals(tmp_path: Path) -> None:
    # The seeds agree on one more sample of 1,000, but one sample is no evidence.
    gains = {"single": [0.0] * 3, "uniform": [0.0] * 3, "frozen": [0.0] * 3, "maxl": [0.001] * 3}
    comparison = compare_runs(make_runs(tmp_path, gains))
    row = comparison.row("maxl")
    assert row is not None
    assert row.differences["single"].seeds.above
    assert not row.differences["single"].test.above
    assert not row.gain


def test_runs_that_do_not_belong_together(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", "single", 0, [1.0, 0.0])
    with pytest.raises(InputError, match="found none"):
        compare_runs([])
    with pytest.raises(InputError, match=r"expected one run of single with seed 0, found"):
        compare_runs([run, make_run(tmp_path / "b", "single", 0, [1.0, 0.0])])
    other = make_run(tmp_path / "c", "maxl", 0, [1.0, 0.0], settings=Settings(data="toy", epochs=9))
    with pytest.raises(InputError, match=r"differ in method and seed only, found 'epochs' 3 and 9"):
        compare_runs([run, other])
    with pytest.raises(InputError, match=r"of equal length on one test set, .*2 test samples.*3 test samples"):
        compare_runs([run, make_run(tmp_path / "d", "maxl", 0, [1.0, 0.0, 1.0])])


def test_data_of_a_path_is_named_by_its_last_part(tmp_path: Path) -> None:
    run = make_run(tmp_path, "single", 0, first_right(0.5, 4), settings=Settings(data="/some/where/leaves.csv"))
    assert compare_runs([run]).data == "leaves"
