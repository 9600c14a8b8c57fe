import sys
import xml.etree.ElementTree as xml
from pathlib import Path

import matplotlib
import numpy as np
import pytest

from making import first_right, make_run, make_runs, noisy_curve
from metaux.evidence.comparison import compare_runs
from metaux.report.chart import looks
from metaux.report.features import in_two_dimensions
from metaux.report.figures import differences, learning_curves
from metaux.runs.record import Run
from metaux.settings import Settings

METHODS = ("single", "uniform", "random", "frozen", "kmeans", "maxl", "human")


@pytest.fixture
def runs(tmp_path: Path) -> list[Run]:
    return [
        make_run(
            tmp_path / "out",
            method,
            seed,
            first_right(0.9 + 0.01 * place + 0.002 * seed, 500),
            epochs=12,
            curve=noisy_curve(0.9 + 0.01 * place, 12, 10 * place + seed),
        )
        for place, method in enumerate(METHODS)
        for seed in range(3)
    ]


def size(png: Path) -> tuple[int, int]:
    content = png.read_bytes()
    assert content.startswith(b"\x89PNG")
    return int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")


def check(files: tuple[Path, ...]) -> None:
    png, svg = files
    assert min(size(png)) > 300
    assert xml.parse(svg).getroot().tag.endswith("svg")
    # Matplotlib writes each text beside its outlines, as a comment.
    assert "training samples" in svg.read_text()


def test_both_figures_of_a_comparison(runs: list[Run], tmp_path: Path) -> None:
    curves = learning_curves(runs, tmp_path / "figures")
    check(curves)
    text = curves[1].read_text()
    for said in (
        "toy, 6 training samples, 500 test samples, 12 epochs, 3 seeds",
        "lowest to highest seed",
        "maxl",
    ):
        assert said in text
    forest = differences(compare_runs(runs), tmp_path / "figures")
    check(forest)
    text = forest[1].read_text()
    for said in (
        "minus single",
        "minus uniform",
        "minus frozen",
        "95 % over seeds (t)",
        "percentage points",
        "toy, 6 training",
    ):
        assert said in text


def test_the_same_numbers_give_the_same_bytes(runs: list[Run], tmp_path: Path) -> None:
    comparison = compare_runs(runs)
    first = [*learning_curves(runs, tmp_path / "a"), *differences(comparison, tmp_path / "a")]
    with matplotlib.rc_context({"font.size": 30, "lines.linewidth": 9}):
        again = [*learning_curves(runs[::-1], tmp_path / "b"), *differences(comparison, tmp_path / "b")]
    assert len(first) == 4
    # Methods in another order have other looks, save for the references.
    assert [path.read_bytes() for path in first[2:]] == [path.read_bytes() for path in again[2:]]
    same = learning_curves(runs, tmp_path / "c")
    assert [path.read_bytes() for path in first[:2]] == [path.read_bytes() for path in same]


def test_one_run(tmp_path: Path) -> None:
    run = make_run(tmp_path, "maxl", 0, [1.0, 0.0])
    check(learning_curves([run], tmp_path))
    assert "one run per line" in (tmp_path / "learning-curves.svg").read_text()
    assert differences(compare_runs([run]), tmp_path) == ()


def test_one_epoch_and_one_seed_of_two_methods(tmp_path: Path) -> None:
    runs = [make_run(tmp_path, name, 0, [1.0, 0.0, 1.0], epochs=1) for name in ("single", "maxl")]
    check(learning_curves(runs, tmp_path))
    check(differences(compare_runs(runs), tmp_path))


def test_methods_with_other_seeds(tmp_path: Path) -> None:
    runs = make_runs(tmp_path, {"single": [0.0, 0.0, 0.0], "frozen": [0.0], "maxl": [0.1, 0.1, 0.2]})
    runs = [run for run in runs if (run.method, run.seed) != ("maxl", 0)]
    check(learning_curves(runs, tmp_path))
    (_, svg) = differences(compare_runs(runs), tmp_path)
    assert "no seed in common" in svg.read_text()
    assert "1 to 2 seeds" in svg.read_text()


def test_a_name_with_a_dollar_is_no_formula(tmp_path: Path) -> None:
    run = make_run(tmp_path, "maxl", 0, [1.0], settings=Settings(data="cash$flow$_x"))
    check(learning_curves([run], tmp_path))


def test_many_methods_look_different() -> None:
    made = looks([str(place) for place in range(50)])
    assert len(set(map(str, made.values()))) == 50


def test_values_that_are_not_there(tmp_path: Path) -> None:
    runs = [make_run(tmp_path, name, 0, [1.0], epochs=8, curve=[np.nan] * 4 + [0.9] * 4) for name in ("single", "maxl")]
    check(learning_curves(runs, tmp_path))


def test_no_global_plotting_state(runs: list[Run], tmp_path: Path) -> None:
    before = dict(matplotlib.rcParams)
    loaded = "matplotlib.pyplot" in sys.modules
    learning_curves(runs, tmp_path)
    assert dict(matplotlib.rcParams) == before
    assert ("matplotlib.pyplot" in sys.modules) is loaded


def test_samples_that_are_all_alike_have_places_too() -> None:
    found = in_two_dimensions(np.tile([0.1, 2.0, 3.0], (30, 1)))
    assert found.shape == (30, 2)
    assert np.isfinite(found).all()
