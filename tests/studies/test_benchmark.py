"""A benchmark from nothing to table, on a task of seconds: what is decided on which data, and when."""

import csv
import json
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from making import make_runs
from metaux.errors import InputError, TrainingError
from metaux.evidence.comparison import compare_runs
from metaux.evidence.statistics import seeds_needed
from metaux.evidence.verdict import judge
from metaux.labels.sources import Role
from metaux.protocols import resolve
from metaux.runs.loading import _read_once
from metaux.runs.pool import train
from metaux.runs.record import Run, read_runs
from metaux.runs.store import Store, by_method
from metaux.runs.trial import Trial
from metaux.runs.workers import Processes
from metaux.settings import Settings
from metaux.studies.benchmark.alternatives import alternatives, alternatives_table
from metaux.studies.benchmark.benchmark import benchmark
from metaux.studies.benchmark.datasets import DATASETS, found
from metaux.studies.benchmark.measured import FIRST_SEED, SECOND_NETWORK, measured
from metaux.studies.benchmark.plan import decide, pilot
from metaux.studies.benchmark.rules import ENTRANTS, Entrant, Rules, entered
from shell import below, metaux, write_table

BED = {"few-digits": Settings(data="digits", train_size=100, backbone="mlp", epochs=3, device="cpu")}
RULES = Rules((0.05, 0.1), (5e-4,), pilot_seeds=3, least_seeds=2, most_seeds=3, finalists=1)
ROWS = entered(("maxl",))
QUIET = Console(quiet=True)


def compete(out: Path, stage: Any = "test", rows: tuple[Entrant, ...] = ROWS, rules: Rules = RULES) -> None:
    benchmark(BED, rows, rules, out, Processes(1), stage, QUIET)


def evaluated(out: Path) -> list[str]:
    return [run.settings["evaluate_on"] for run in read_runs(out)]


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("contest")
    compete(out, "plan")
    return out


@pytest.fixture(scope="module")
def plan(planned: Path) -> bytes:
    """The plan as it was before any run on test data; asked for first, by the fixture below."""
    assert set(evaluated(planned)) == {"validation"}
    return (planned / "few-digits" / "plan.json").read_bytes()


@pytest.fixture(scope="module")
def done(planned: Path, plan: bytes) -> Path:
    compete(planned)
    return planned


def result(out: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((out / "few-digits" / "benchmark.json").read_text())
    return content


def test_the_plan_is_there_before_test_data_is_measured(done: Path, plan: bytes) -> None:
    assert (done / "few-digits" / "plan.json").read_bytes() == plan
    assert "test" in evaluated(done)
    decided = json.loads(plan)
    assert decided["seeds"] == min(max(seeds_needed(decided["deviation"], RULES.effect), 2), 3)
    assert "power 0.8" in decided["why"]


def test_tuning_never_sees_a_test_sample(done: Path) -> None:
    runs = read_runs(done)
    sizes = {run.settings["evaluate_on"]: run.result["test_size"] for run in runs}
    assert sizes == {"validation": 288, "test": 359}
    assert {run.seed >= FIRST_SEED for run in runs if run.settings["evaluate_on"] == "validation"} == {False}
    assert {run.seed >= FIRST_SEED for run in runs if run.settings["evaluate_on"] == "test"} == {True}


def test_every_row_has_the_same_tuning(done: Path) -> None:
    tuning = result(done)["tuning"]
    assert list(tuning)[:4] == [row.name for row in ROWS]
    for row, tried in tuning.items():
        assert [(own["learning_rate"], own["weight_decay"]) for own in tried] == [(0.05, 5e-4), (0.1, 5e-4)]
        best = max(tried, key=lambda own: (own["accuracy"], -own["loss"]))
        assert result(done)["plan"]["rows"][row]["learning_rate"] == best["learning_rate"]


def test_the_table_has_paired_differences_and_intervals(done: Path) -> None:
    rows = {row["method"]: row for row in result(done)["table"]}
    longer = next(name for name in rows if name.startswith("single, compute of"))
    assert {"single", "ensemble of two", longer, "uniform", "frozen", "maxl"} <= set(rows)
    maxl, single = rows["maxl"], rows["single"]
    assert maxl["seeds"] == single["seeds"] == list(range(FIRST_SEED, FIRST_SEED + result(done)["plan"]["seeds"]))
    assert maxl["differences"]["single"]["by_seed"] == pytest.approx(
        np.subtract(maxl["accuracies"], single["accuracies"])
    )
    for other in ("single", "uniform", "frozen"):
        for difference in (maxl["differences"][other]["seeds"], maxl["differences"][other]["test"]):
            assert difference["low"] <= difference["mean"] <= difference["high"]
            assert difference["mean"] == pytest.approx(np.mean(maxl["differences"][other]["by_seed"]))
    assert maxl["cost"] > single["cost"] == 1
    with (done / "few-digits" / "benchmark.csv").open(newline="") as file:
        written = {row["method"]: row for row in csv.DictReader(file)}
    assert list(written) == list(rows)
    assert float(written["maxl"]["minus_single"]) == pytest.approx(maxl["differences"]["single"]["seeds"]["mean"])
    assert float(written["maxl"]["minus_single_test_low"]) == maxl["differences"]["single"]["test"]["low"]


def test_single_task_gets_the_epochs_that_a_method_costs(done: Path) -> None:
    epochs = result(done)["plan"]["rows"]["maxl"]["epochs_of_equal_compute"]
    assert epochs > 3
    assert {len(run.epochs) for run in read_runs(done)} == {3, epochs}


def test_an_ensemble_is_of_two_networks_on_the_same_samples(done: Path) -> None:
    runs = {run.seed: run for run in read_runs(done) if run.method == "single" and len(run.epochs) == 3}
    first, second = runs[FIRST_SEED], runs[FIRST_SEED + SECOND_NETWORK]
    assert np.array_equal(first.output("train_ids"), second.output("train_ids"))
    assert first.weights()["network.primary_head.weight"].ne(second.weights()["network.primary_head.weight"]).any()
    mean = first.output("test_probabilities") + second.output("test_probabilities")
    row = next(row for row in result(done)["table"] if row["method"] == "ensemble of two")
    assert row["accuracies"][0] == pytest.approx((mean.argmax(-1) == first.output("test_primary")).mean())


def test_a_method_is_compared_with_its_own_labels_shuffled(done: Path) -> None:
    rows = {row["method"]: row for row in result(done)["table"]}
    assert rows["maxl, shuffled"]["seeds"] == rows["maxl"]["seeds"]
    assert "maxl, shuffled" in rows["maxl"]["differences"]
    for run in read_runs(done):
        if run.method == "shuffled":
            assert np.array_equal(run.output("train_ids"), Run.read(run.settings["labels"]).output("train_ids"))


def test_goes_on_where_it_was_interrupted(done: Path) -> None:
    lost = next(run for run in read_runs(done) if run.method == "maxl" and run.seed >= FIRST_SEED)
    table = {row["method"]: row["accuracies"] for row in result(done)["table"]}
    before = below(done / "runs")
    (lost.folder / "result.json").unlink()
    compete(done)
    after = below(done / "runs")
    assert before.keys() == after.keys()
    assert {Path(name).parts[0] for name in before if before[name] != after[name]} == {lost.folder.name}
    assert {row["method"]: row["accuracies"] for row in result(done)["table"]} == table


def test_more_rows_extend_it_and_change_no_decision(done: Path) -> None:
    before = result(done)["plan"]
    rules = replace(RULES, most_seeds=2 if before["seeds"] == 3 else 3)
    compete(done, rows=entered(("kmeans",)), rules=rules)
    after = result(done)["plan"]
    assert {key: after[key] for key in ("seeds", "why")} == {key: before[key] for key in ("seeds", "why")}
    assert after["rows"] == {**before["rows"], "kmeans": after["rows"]["kmeans"]}
    assert before["longer"] == ["maxl"]
    assert after["longer"][:1] == ["maxl"]
    assert "single, compute of maxl" in {row["method"] for row in result(done)["table"]}
    assert "the number of seeds stays as plan.json has it: --most-seeds comes too late" in result(done)["notes"]
    assert {"maxl", "maxl, shuffled", "kmeans", "kmeans, shuffled"} <= {row["method"] for row in result(done)["table"]}
    assert result(done)["rules"]["most_seeds"] == 3
    assert result(done)["command"].startswith("metaux benchmark few-digits --methods maxl kmeans")
    assert set(result(done)["tuning"]) >= {"maxl", "kmeans"}


def test_a_plan_alone_is_enough_to_go_on(plan: bytes, tmp_path: Path) -> None:
    (tmp_path / "few-digits").mkdir()
    (tmp_path / "few-digits" / "plan.json").write_bytes(plan)
    compete(tmp_path, rows=ROWS[:1])
    assert set(evaluated(tmp_path)) == {"test"}
    assert (tmp_path / "few-digits" / "plan.json").read_bytes() == plan
    assert result(tmp_path)["plan"] == json.loads(plan)
    assert result(tmp_path)["table"][0]["seeds"] == list(range(FIRST_SEED, FIRST_SEED + json.loads(plan)["seeds"]))


DAMAGED = {"cut off": '{"seeds": 3, "wh', "a list": "[]"}
NO_PLAN = {**DAMAGED, "empty": "{}", "rows that are none": '{"seeds": 3, "why": "", "rows": []}'}


@pytest.mark.parametrize(
    ("file", "content"),
    [*(("plan.json", content) for content in NO_PLAN.values()), *(("benchmark.json", own) for own in DAMAGED.values())],
)
def test_a_damaged_file_is_told_and_nothing_is_decided_anew(file: str, content: str, tmp_path: Path) -> None:
    (tmp_path / "few-digits").mkdir()
    (tmp_path / "few-digits" / file).write_text(content)
    with pytest.raises(InputError, match=f"expected a whole .*{file}, found it .*; delete .*few-digits and repeat"):
        compete(tmp_path, rows=ROWS[:1])
    assert list(tmp_path.iterdir()) == [tmp_path / "few-digits"]


def test_a_plan_is_of_its_data_set(plan: bytes, tmp_path: Path) -> None:
    (tmp_path / "few-digits").mkdir()
    (tmp_path / "few-digits" / "plan.json").write_bytes(plan)
    (tmp_path / "few-digits" / "benchmark.json").write_text('{"settings": {"data": "digits", "batch_size": 250}}')
    with pytest.raises(InputError, match=r"as it was when its plan was made, found another .*batch_size"):
        compete(tmp_path, rows=ROWS[:1])


def test_runs_on_data_that_has_changed_since_are_refused(tmp_path: Path) -> None:
    table = write_table(tmp_path / "t.npz")
    trial = Trial(Settings(data=str(table), backbone="mlp", epochs=1, device="cpu"), "single", 0)
    assert train([trial], Store(tmp_path), Processes(1), QUIET) == []
    with np.load(table) as good:
        arrays = dict(good)
    np.savez(table, **{**arrays, "x": arrays["x"] + 1})
    _read_once.cache_clear()  # as in another process
    with pytest.raises(InputError, match="found that it has changed; give another --out"):
        train([trial], Store(tmp_path), Processes(1), QUIET)


def test_a_configuration_that_diverges_is_not_chosen(tmp_path: Path) -> None:
    rules = replace(RULES, learning_rates=(1e30, 0.05))
    compete(tmp_path, "tune", ROWS[:1], rules)
    assert [own["accuracy"] is None for own in result(tmp_path)["tuning"]["single"]] == [True, False]
    compete(tmp_path, "plan", ROWS[:2], rules)
    assert result(tmp_path)["rules"]["learning_rates"] == [1e30, 0.05]
    assert json.loads((tmp_path / "few-digits" / "plan.json").read_text())["rows"]["single"]["learning_rate"] == 0.05
    with pytest.raises(TrainingError, match="single task could not be trained on few-digits"):
        compete(tmp_path / "other", "tune", ROWS[:1], replace(RULES, learning_rates=(1e30,)))


def test_without_a_spread_the_most_seeds_are_planned(tmp_path: Path) -> None:
    compete(tmp_path, "plan", ROWS[:2], replace(RULES, pilot_seeds=1))
    planned = json.loads((tmp_path / "few-digits" / "plan.json").read_text())
    assert (planned["seeds"], planned["deviation"]) == (3, None)


def test_what_cannot_run_is_said(tmp_path: Path) -> None:
    others = (
        Entrant("cells", "uniform", kinds=("table",)),
        Entrant("refused", "single-split"),
    )
    compete(tmp_path, "tune", (*ROWS[:1], *others))
    notes = result(tmp_path)["notes"]
    assert "cells: not run: for table data, this is image" in notes
    assert "refused could not be trained" in notes
    assert list(result(tmp_path)["tuning"]) == ["single"]


def test_outside_data_take_part_only_where_they_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stripes along and across: a pretrained network tells them apart without being trained."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    generator = np.random.default_rng(0)
    y = np.arange(100) % 2
    stripes = np.zeros((100, 8, 8), np.uint8)
    stripes[y == 0, ::2], stripes[y == 1, :, ::2] = 200, 200
    np.savez(tmp_path / "stripes.npz", x=stripes + generator.integers(0, 50, stripes.shape, np.uint8), y=y)
    bed = Settings(data=str(tmp_path / "stripes.npz"), subclasses=(2,), epochs=1, device="cpu")
    rows = entered(("linear-probe", "fine-tuned"))
    benchmark({"stripes": bed}, rows, replace(RULES, learning_rates=(0.05,)), tmp_path, Processes(1), "test", QUIET)
    found = json.loads((tmp_path / "stripes" / "benchmark.json").read_text())
    table = {row["method"]: row for row in found["table"]}
    assert table["linear-probe"]["accuracies"] == [1.0] * len(table["single"]["seeds"])
    assert table["linear-probe"]["differences"].keys() == {"single"}
    assert [note for note in found["notes"] if note.startswith("fine-tuned: not run: expected")]
    assert table["linear-probe"]["seeds"] == table["single"]["seeds"]


def test_a_row_that_came_through_with_some_seeds_only_is_above_nothing(tmp_path: Path) -> None:
    gains = {"single": (0.0, 0.01, 0.0, -0.01), "uniform": (0.0,) * 4, "frozen": (0.0,) * 4, "maxl": (0.1, 0.11)}
    make_runs(tmp_path, gains)
    made = {name: [Trial(BED["few-digits"], name, seed) for seed in range(4)] for name in gains}
    comparison = measured(ROWS, {**made, "ensemble of two": []}, Store(tmp_path, by_method))
    maxl = comparison.rows[-1]
    assert maxl.differences["single"].above
    assert not maxl.gain
    assert {row.name: row.absent for row in comparison.rows if row.absent} == {"maxl": (2, 3)}
    assert "maxl has no run with seeds 2 and 3" in judge(comparison).says


def test_what_else_could_be_had_in_place_of_a_method(tmp_path: Path) -> None:
    accuracies = {"single": 0.5, "ensemble of two": 0.6, "single, compute of maxl": 0.7, "human": 0.75, "maxl": 0.8}
    runs = make_runs(tmp_path, {name: (own, own + 0.01) for name, own in accuracies.items()}, base=0.0)
    comparison = compare_runs(runs)
    roles: dict[str, Role] = {"human": "outside", "maxl": "method"}
    comparison = replace(comparison, rows=[replace(r, role=roles.get(r.name, "control")) for r in comparison.rows])
    found = alternatives(comparison)
    assert {name: list(own) for name, own in found.items()} == {
        "maxl": ["single, same time", "ensemble of two", "human"]
    }
    assert [estimate.mean for estimate in found["maxl"].values()] == pytest.approx([0.1, 0.2, 0.05])
    said = Console(width=200, record=True, file=StringIO())
    said.print(alternatives_table("digits", found))
    assert "+10.0" in said.export_text()
    # An ensemble alone is in the table of all rows.
    few = [row for row in comparison.rows if row.name not in ("human", "single, compute of maxl")]
    assert alternatives(replace(comparison, rows=few)) == {}


class TestRules:
    def test_data_sets_are_as_fixed(self) -> None:
        sizes = {name: (bed.primary, bed.auxiliary, bed.train_size, bed.epochs) for name, bed in DATASETS.items()}
        assert sizes == {
            "cifar100-3-10k": ("3", "100", 10_000, 40),
            "cifar100-3-50k": ("3", "100", None, 20),
            "cifar100-20-10k": ("20", "100", 10_000, 40),
            "fashion-500": (None, None, 500, 50),
            "cifar100-3-10k-short": ("3", "100", 10_000, 40),
            "cifar100-20-400-pretrained": ("20", "100", 400, 5),
            "wine": (None, None, None, 60),
            "breast-cancer": (None, None, None, 60),
        }
        assert {resolve(bed).name for bed in DATASETS.values()} == {"tuned"}

    def test_what_is_there(self, tmp_path: Path) -> None:
        there, notes = found(DATASETS, str(tmp_path), "cpu")
        assert list(there) == ["wine", "breast-cancer"]
        assert len(notes) == 6
        with pytest.raises(InputError, match="expected what fashion-500 needs, found no data"):
            found({"fashion-500": DATASETS["fashion-500"]}, str(tmp_path), "cpu")

    def test_every_entrant_has_its_controls(self) -> None:
        names = [row.name for row in ENTRANTS]
        assert len(set(names)) == len(names)
        assert {control for row in ENTRANTS for control in row.controls} <= set(names)
        # On a table of one's own, other levels would be other features.
        assert not ENTRANTS[0].changes
        assert entered(()) == tuple(row for row in ENTRANTS if not row.pretrained)
        rules = Rules((0.1, 0.2, 0.3), (0.0, 1.0))
        assert len(rules.grid_of(Settings())) == 6
        assert rules.grid_of(DATASETS["cifar100-20-400-pretrained"])[0]["learning_rate"] == pytest.approx(0.0002)

    def test_what_learns_its_views_apart_has_controls_that_are_trained_the_same_way(self) -> None:
        by_name = {row.name: row for row in ENTRANTS}
        apart = by_name["transformation apart"]
        assert apart.changes == {"views": "apart", "auxiliary_weight": 2.0}
        controls = {name: by_name[name] for name in apart.controls}
        assert {row.method for row in controls.values()} == {
            *("transformed", "transformation-shuffled", "uniform", "frozen"),
        }
        assert {row.changes["auxiliary_weight"] for row in controls.values()} == {2.0}
        assert [row.changes["views"] for row in controls.values() if "views" in row.changes] == ["apart"] * 2
        assert set(apart.controls) < {row.name for row in entered(("transformation apart",))}

    def test_pilots_start_from_the_tuning_run(self, done: Path) -> None:
        bed, row = BED["few-digits"], ROWS[0]
        chosen = {"learning_rate": 0.05, "weight_decay": 5e-4}
        assert Store(done).find(pilot(bed, row, chosen, RULES)[0]) is not None
        kept = decide(bed, ROWS[:1], {"single": chosen}, RULES, Store(done), {"seeds": 9, "rows": {"single": {}}})
        assert kept == {"seeds": 9, "rows": {"single": {}}}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["wines"], "did you mean 'wine'"),
        (["wine", "--methods", "rotatoin"], "rotation"),
        (["fashion-500", "--root", "nowhere"], "docs/published-data.md"),
        (["wine", "--most-seeds", 1], "--most-seeds"),
        (["wine", "--jobs", -1], "--jobs"),
    ],
)
def test_bad_input_is_told_in_one_line(
    words: list[object], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = metaux("benchmark", *words)
    assert said.code == 2
    assert told in said.err
    assert said.err.count("\n") == 1
    assert not any(tmp_path.iterdir())
