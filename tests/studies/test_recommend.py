"""From data and minutes to a network: what is searched where, how long it takes, and what is handed over."""

import io
import json
import re
import shlex
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from markupsafe import escape
from rich.console import Console

from making import first_right, make_run, make_runs
from metaux.cli.parsing import parse
from metaux.cli.recommend import Recommend
from metaux.errors import InputError, TrainingError
from metaux.labels.sources import CLASSICAL
from metaux.runs.length import DOUBLINGS, best_length, last_gains
from metaux.runs.loading import load_once
from metaux.runs.pool import train
from metaux.runs.record import Run, read_runs
from metaux.runs.store import Store
from metaux.runs.trial import Trial
from metaux.runs.workers import Processes, Workers
from metaux.settings import Settings
from metaux.studies.benchmark.measured import shuffled_labels
from metaux.studies.benchmark.rules import ENTRANTS, SINGLE
from metaux.studies.search import final, recommend
from metaux.studies.search.affordable import (
    DEFAULT,
    ROWS,
    RUNGS,
    SEARCH,
    Affordable,
    Candidate,
    affordable,
    make_grid,
    suitable,
)
from metaux.studies.search.beforehand import LENGTH, choose_folds, lengthened, with_mirroring
from metaux.studies.search.budget import Budget
from metaux.studies.search.choice import best_first, best_single, confirm, default_run
from metaux.studies.search.conclusion import Conclusion, conclude
from metaux.studies.search.final import Outcome, entrants, measure, on_test
from metaux.studies.search.halving import Halving, _better_half
from metaux.training.timing import Cost
from shell import below, done, metaux, own_time, write_table

MINUTES = 0.2
SMALL = ("--train-size", 100, "--backbone", "mlp", "--epochs", 4, "--jobs", 1, "--device", "cpu")
WORDS = ("recommend", "breast-cancer", *SMALL)
KMEANS = next(row for row in ENTRANTS if row.name == "kmeans")

QUIET = Console(quiet=True)
GRID, SHORT_GRID = make_grid(Settings()), make_grid(Settings(), short=True)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recommended") / "out"


@pytest.fixture(scope="module")
def found(out: Path) -> dict[str, Any]:
    with own_time():
        found: dict[str, Any] = json.loads(done(*WORDS, "--minutes", MINUTES, "--out", out, "--json"))
    return found


def test_ends_in_time(found: dict[str, Any]) -> None:
    assert found["seconds"] < 1.25 * 60 * MINUTES


def test_searches_on_validation_data_and_tests_on_paired_seeds(found: dict[str, Any], out: Path) -> None:
    seeds: dict[tuple[Any, ...], list[int]] = {}
    for run in read_runs(out):
        assert (run.settings["evaluate_on"] == "test") == (run.seed >= 100)
        if run.seed >= 100:
            values = (run.settings[name] for name in ("epochs", "learning_rate", "weight_decay"))
            seeds.setdefault((run.method, *values), []).append(run.seed)
    assert len({tuple(own) for own in seeds.values()}) == 1
    assert {"single", "uniform", "frozen"} < {method for method, *_ in seeds}
    assert found["search"][0]["row"] == DEFAULT
    searched = {"single", *found["plan"]["methods"]}
    assert searched <= {row["row"] for row in found["search"]}
    first = [row for row in found["search"] if row["epochs"] == 1]
    assert {name: sum(row["row"] == name for row in first) for name in searched} == dict.fromkeys(
        searched, len(found["plan"]["grid"])
    )
    # One name for one thing: what the table of the test calls a row, the search does too.
    rows = {row["method"]: row["role"] for row in found["comparison"]["rows"]}
    assert found["row"] in rows
    assert {name for name, role in rows.items() if role != "control"} <= {row["row"] for row in found["search"]}


def test_says_which_network_to_use(found: dict[str, Any]) -> None:
    assert found["method"] == Run.read(found["model"]).method
    assert (found["method"] in ("single", *CLASSICAL)) == (not found["helps"])
    name = {"single": "single task"}.get(found["method"], ROWS[found["row"]].in_words())
    assert found["plain"].startswith(f"Use {name}")
    assert re.search(r"Expect \d+ to \d+ % on new rows\.$", found["plain"])


def test_the_command_trains_the_same_network(found: dict[str, Any], tmp_path: Path) -> None:
    program, *words = shlex.split(found["command"])
    assert program == "metaux"
    done(*words, "--out", tmp_path / "again")
    assert Run.read(tmp_path / "again").accuracy == Run.read(found["network"]).accuracy


def test_the_same_command_goes_on_where_it_was(found: dict[str, Any], out: Path) -> None:
    before = below(out / "runs")
    said = done(*WORDS, "--minutes", MINUTES, "--out", out)
    assert below(out / "runs") == before
    assert found["plain"] in " ".join(said.split())
    assert "as far as it came" in said
    lost = next(run.folder for run in read_runs(out) if run.seed < 100)
    (lost / "result.json").unlink()
    again = json.loads(done(*WORDS, "--minutes", MINUTES, "--out", out, "--json"))
    assert below(out / "runs").keys() == before.keys()
    assert again["verdict"] == found["verdict"]
    accuracies = [[own["validation_accuracy"] for own in which["search"]] for which in (again, found)]
    assert accuracies[0] == accuracies[1]
    assert again["seconds"] == found["seconds"]  # what was found is only shown once more


def test_a_search_that_was_killed_on_the_way_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def killed(*_: object, **__: object) -> None:
        raise Killed

    table = write_table(tmp_path / "t.npz", count=200)
    moments = ("on_test", "confirm", "_plan")  # after the default is trained, classical models, the number of epochs
    for name in moments:  # each is reached only if the one before was gone on from
        monkeypatch.undo()
        monkeypatch.setattr(recommend, name, killed)
        with pytest.raises(Killed):
            metaux("recommend", table, "--epochs", 1, "--minutes", 1, "--jobs", 1, "--out", tmp_path / "out")


def test_the_report_shows_the_test_and_what_was_searched(found: dict[str, Any], out: Path) -> None:
    page = (out / "report.html").read_text()
    assert str(escape(found["verdict"])) in page
    assert "Test of a search" in page
    for row in {own["row"] for own in found["search"]}:
        assert f'<th scope="row">{row}</th><td class="number">' in page.partition("What was searched")[2]
    command = shlex.split(re.findall("<code>(metaux recommend .*)</code>", page)[0])
    again = parse(command[1:])
    assert isinstance(again, Recommend)
    assert (again.minutes, again.settings.epochs, again.settings.train_size) == (MINUTES, 4, 100)


@pytest.mark.parametrize("content", ['{"plan": {"epo', "[]", "{}", '{"costs": [], "seconds": 1.0}'])
def test_a_damaged_file_is_told(content: str, found: dict[str, Any], out: Path, tmp_path: Path) -> None:
    assert found
    shutil.copytree(out, tmp_path / "out")
    (tmp_path / "out" / "recommend.json").write_text(content)
    said = metaux(*WORDS, "--out", tmp_path / "out")
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert f"expected a whole {tmp_path / 'out' / 'recommend.json'}, found it" in said.err


def test_more_minutes_are_not_for_more_search_once_test_data_was_seen(
    found: dict[str, Any], out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert found["verdict"]
    shutil.copytree(out, tmp_path / "out")
    seconds = list[float]()

    def run(self: Halving, plan: Affordable, budget: Budget) -> None:
        seconds.append(budget.of_search(1.0))
        raise InputError("far enough")

    monkeypatch.setattr(Halving, "run", run)
    metaux(*WORDS, "--minutes", 60, "--out", tmp_path / "out")
    assert seconds == [0]


def test_the_search_does_with_the_samples_that_a_validation_part_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beds = list[Settings]()

    def run(self: Halving, *_: object) -> None:
        beds.append(self.data_set)
        raise InputError("far enough")

    monkeypatch.setattr(Halving, "run", run)
    words = ("recommend", "wine", "--epochs", 1, "--minutes", 60, "--device", "cpu", "--out", tmp_path / "out")
    metaux(*words, "--train-size", 142)
    assert [bed.train_size for bed in beds] == [114]  # of 142, a fifth is to choose with
    said = metaux(*words[:-1], tmp_path / "more", "--train-size", 143)
    assert "at most 142 (the training samples), found 143" in said.err
    assert not (tmp_path / "more").exists()


def test_other_settings_need_another_folder(found: dict[str, Any], out: Path) -> None:
    said = metaux("recommend", "digits", "--train-size", 99, "--out", out)
    assert found
    assert said.code == 2
    assert "give the same, or another --out" in said.err


def test_it_is_no_comparison(found: dict[str, Any], out: Path, tmp_path: Path) -> None:
    assert "expected the folder of a comparison or a run" in metaux("report", out).err
    assert "expected a test part" in metaux(*WORDS, "--evaluate-on", "validation", "--out", tmp_path / "new").err
    compared = ("compare", WORDS[1], "--methods", "single", "--seeds", 1, *SMALL, "--no-report")
    assert "found that of a search; give another --out" in metaux(*compared, "--out", out).err
    done(*compared, "--out", tmp_path / "other")
    said = metaux(*WORDS, "--out", tmp_path / "other")
    assert found
    assert "expected a new folder or one of an earlier search" in said.err


class Given(Budget):
    """A budget without a clock: the seconds that are left, of the search or of all, are what the test says.

    Args:
        folder: where its file goes.
        seconds: that are left.
        of_search: likewise of a share of the search; all of `seconds` by default.
    """

    def __init__(self, folder: Path, seconds: float, of_search: Callable[[float], float] | None = None):
        super().__init__(1.0, folder / "recommend.json")
        self.seconds, self.seconds_of_search = seconds, of_search
        self.said_missed: list[tuple[str, float]] = []

    @property
    def left(self) -> float:
        return self.seconds

    def of_search(self, share: float) -> float:
        return self.seconds if self.seconds_of_search is None else self.seconds_of_search(share)

    def missed(self, what: str, seconds: float) -> None:
        assert seconds > 0
        self.said_missed.append((what, seconds))

    def note(self, **values: Any) -> None:
        self.state |= values


class ForSeeds(Given):
    """After so many seeds, the time is over."""

    def __init__(self, folder: Path, seconds: float, seeds: int):
        super().__init__(folder, seconds)
        self.seeds = seeds

    @property
    def left(self) -> float:
        return self.seconds if len(self.state.get("tried", ())) < self.seeds else 0


class TestMeasure:
    BED = Settings(data="digits", train_size=100, backbone="mlp", epochs=1, device="cpu", learning_rate=0.05)

    @pytest.fixture(autouse=True)
    def _state(self) -> None:
        self.trials = {name: Trial(self.BED, name, 0) for name in ("single", "uniform", "frozen")}
        self.state: dict[str, Any] = {}

    def measured(
        self,
        out: Path,
        seconds: float = 0,
        workers: int = 1,
        tried: Sequence[int] = (),
        seeds: int = 1,
        method: str = "single",
        console: Console = QUIET,
        folds: int | None = None,
    ) -> Outcome:
        race = Halving(self.BED, {}, out, Processes(workers), console, folds=folds)
        budget = ForSeeds(out, seconds, seeds)
        budget.state = {**self.state, "tried": list(tried)}
        found = measure(self.trials, method, race, budget)
        self.state, self.missed = budget.state, [what for what, _ in budget.said_missed]
        return found

    def spoil(self, out: Path, name: str, seed: int) -> None:
        folder = Store(out).folder(replace(self.trials[name], seed=seed))
        folder.mkdir(parents=True)
        (folder / "checkpoint.pt").write_text("not one: this run cannot be finished")

    def test_however_many_seeds_there_are_one_line_says_what_is_tested(self, tmp_path: Path) -> None:
        file = io.StringIO()
        self.measured(tmp_path, 1000, seeds=2, console=Console(file=file, width=100))
        assert self.state["tried"] == [100, 101]
        assert file.getvalue().count("\n") == 1

    def test_in_cross_validation_each_seed_measures_another_part(self, tmp_path: Path) -> None:
        found = self.measured(tmp_path, 1000, seeds=2, folds=2)
        for runs in found.runs.values():
            assert [(run.settings["folds"], run.settings["fold"]) for run in runs] == [(2, 0), (2, 1)]
        concluded = conclude(found, None, ["single"])
        assert (concluded.comparison.folds, concluded.comparison.test_size) == (2, 1797)
        row = concluded.comparison.row("single")
        assert row is not None
        assert row.on_new.mean == pytest.approx(row.accuracy.mean, abs=0.001)
        single = self.trials["single"]
        assert Store(tmp_path).find(replace(single, seed=100)) is not None  # the one that is handed over

    def test_a_seed_with_a_run_that_diverges_does_not_count_and_is_told(self, tmp_path: Path) -> None:
        self.spoil(tmp_path, "uniform", 100)
        found = self.measured(tmp_path, 1000, seeds=2)
        assert [[run.seed for run in own] for own in found.runs.values()] == [[101]] * 3
        assert found.failed == {100: ["uniform"]}
        assert self.state["tried"] == [100, 101]
        # Once more, and the time is over: the seed that is whole is still there, behind the one that isn't.
        again = self.measured(tmp_path, tried=[100, 101])
        assert ([run.seed for run in again.runs["single"]], again.failed) == ([101], found.failed)

    def test_without_a_whole_seed_single_task_is_left_and_no_time_is_spent_beyond_the_first(
        self, tmp_path: Path
    ) -> None:
        self.spoil(tmp_path, "uniform", 100)
        for tried, seconds in (([], 1000), ([100], 0)):
            found = self.measured(tmp_path, seconds, tried=tried)
            assert {name: [run.seed for run in own] for name, own in found.runs.items()} == {"single": [100]}
            assert found.failed == {100: ["uniform"]}
            assert self.state["tried"] == [100]
        assert len(read_runs(tmp_path)) == 2

    def test_without_time_for_a_seed_of_all_single_task_is_tested_and_that_is_said(self, tmp_path: Path) -> None:
        self.trials["kmeans"] = Trial(self.BED, "kmeans", 0)
        found = self.measured(tmp_path, method="kmeans")
        assert {name: [run.seed for run in own] for name, own in found.runs.items()} == {"single": [100]}
        assert self.missed == ["a test of kmeans and its controls"]
        assert self.state["untested"] == "kmeans"

    def test_a_method_with_a_meta_split_has_its_shuffled_labels_on_the_same_samples(self, tmp_path: Path) -> None:
        bed = replace(self.BED, protocol="iclr", subclasses=(3,))
        self.trials = {name: Trial(bed, name, 0) for name in ("single", "maxl")}
        found = self.measured(tmp_path, 1000, method="maxl")
        assert (found.failed, list(found.runs)) == ({}, ["single", "maxl", "maxl, shuffled"])
        own, shuffled = found.runs["maxl"][0], found.runs["maxl, shuffled"][0]
        assert own.train_size == shuffled.train_size == 100
        assert (own.output("train_ids") == shuffled.output("train_ids")).all()
        assert (own.output("meta_ids") == shuffled.output("meta_ids")).all()

    def test_without_single_task_there_is_nothing_to_say(self, tmp_path: Path) -> None:
        self.spoil(tmp_path, "single", 100)
        with pytest.raises(TrainingError, match="single with seed 100"):
            self.measured(tmp_path)
        assert list(tmp_path.rglob("result.json")) == []

    def test_workers_do_not_shorten_a_run(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.measured(tmp_path)  # single task's first run is there in any case
        trained = list[Trial]()

        def train(trials: Sequence[Trial], *_: object, **__: object) -> list[str]:
            trained.extend(trials)
            return [f"{trial.method} with seed {trial.seed}: stopped" for trial in trials]

        monkeypatch.setattr(final, "train", train)
        self.trials["uniform"] = replace(self.trials["uniform"], seconds=10.0)
        self.measured(tmp_path, 14.9, 16)  # two take 5 seconds to start processes, and 10 on however many
        assert {trial.seed for trial in trained} == {100}
        self.state.clear()
        self.measured(tmp_path, 18.1, 16)
        assert {trial.seed for trial in trained} == set(range(100, 116))

    @pytest.mark.parametrize(("seconds", "workers", "seeds"), [(15.9, 1, [100]), (13.1, 2, [100, 101])])
    def test_as_many_seeds_at_once_as_there_is_time_for(
        self, tmp_path: Path, seconds: float, workers: int, seeds: list[int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.measured(tmp_path)  # single task's first run is there in any case
        asked = list[int]()

        def alone(trials: Sequence[Trial], store: Store, many: Workers, *more: Any, **options: Any) -> list[str]:
            asked.append(many.jobs)
            return train(trials, store, Processes(1), *more, **options)

        monkeypatch.setattr(final, "train", alone)
        # A seed is three runs and shuffled labels, each expected to take two seconds; processes start in five.
        self.trials = {name: replace(trial, seconds=2.0) for name, trial in self.trials.items()}
        found = self.measured(tmp_path, seconds, workers)
        assert [run.seed for run in found.runs["frozen"]] == seeds
        assert set(asked) == {workers}


def test_labels_that_people_gave_are_tried_first(tmp_path: Path) -> None:
    x, y = np.ones((30, 2)), np.arange(30) % 2
    np.savez(tmp_path / "a.npz", x=x, y=y, y_given=np.arange(30) % 3)
    np.savez(tmp_path / "b.npz", x=x, y=y)

    def tried(data: str | Path) -> list[str]:
        return [row.name for row in suitable(load_once(Settings(data=str(data))))]

    assert tried("digits")[:2] == ["human", "transformation"]
    assert tried(tmp_path / "a.npz")[:2] == ["given", "kmeans"]
    assert tried(tmp_path / "b.npz")[0] == "kmeans"
    assert {tried(data)[-1] for data in ("digits", tmp_path / "b.npz")} == {"unrolled"}


@pytest.mark.parametrize("minutes", [0, -1])
def test_no_time_is_told_before_anything_is_written(minutes: float, tmp_path: Path) -> None:
    said = metaux(*WORDS, "--minutes", minutes, "--out", tmp_path / "out")
    assert said.code == 2
    assert "minutes" in said.err
    assert not (tmp_path / "out").exists()


def test_with_too_few_minutes_the_result_is_the_default_and_what_was_left_out_is_said(tmp_path: Path) -> None:
    said = done("recommend", "iris", "--device", "cpu", "--jobs", 1, "--minutes", 1e-6, "--out", tmp_path)
    assert "Use single task, 20 epochs. Whether auxiliary labels help was not tested." in " ".join(said.split())
    assert "no time for runs of 40 epochs: give --minutes 1, and another --out" in said
    assert [(run.method, run.seed, len(run.epochs)) for run in read_runs(tmp_path)] == [
        ("single", 0, 20),
        ("single", 100, 20),
    ]


@pytest.mark.parametrize(
    ("settings", "folds"),
    [({"data": "wine"}, 5), ({"data": "digits"}, None), ({"data": "wine", "train_size": 50}, None), ({"folds": 3}, 3)],
)
def test_of_few_samples_every_one_is_measured(settings: dict[str, Any], folds: int | None) -> None:
    assert choose_folds(Settings(**settings)) == folds


COSTS = {"single": Cost(0.1, 1.0), "kmeans": Cost(1.0, 1.2), "maxl": Cost(0.1, 5.0)}


class TestAffordable:
    def test_more_time_pays_for_more_methods_and_more_configurations(self) -> None:
        found = [affordable(Settings(), COSTS, 16, 60 * minutes, 1) for minutes in (0.1, 15, 30, 60, 1000)]
        sizes = [(len(plan.methods), len(plan.grid)) for plan in found]
        assert sizes == sorted(sizes)
        assert sizes[0] == (0, 0)
        assert (found[-1].epochs, found[-1].methods, found[-1].grid) == (16, ("kmeans", "maxl"), GRID)
        assert {plan.epochs for plan in found} == {16}  # however little time there is

    def test_a_method_whose_controls_do_not_fit_leaves_room_for_the_next(self) -> None:
        costs = {name: Cost(0.0, 1.0) for name in ("single", "transformation", "transformation apart", "kmeans")}
        costs["transformation apart"] = Cost(0.0, 10.0)
        plan = affordable(Settings(), costs, 16, 3600, 1)
        assert (plan.epochs, plan.methods, plan.grid) == (16, ("transformation", "kmeans"), GRID)

    def test_every_row_has_the_same_configurations(self) -> None:
        candidates = affordable(Settings(), COSTS, 16, 60_000, 1).candidates()
        assert [(c.row.name, c.values) for c in candidates] == [
            (name, values) for name in ("single", "kmeans", "maxl") for values in GRID
        ]

    def test_workers_are_time(self) -> None:
        assert affordable(Settings(), COSTS, 16, 900, 2) == affordable(Settings(), COSTS, 16, 1800, 1)

    def test_however_many_workers_a_run_takes_its_time(self) -> None:
        costs = {"single": Cost(0.0, 5.0), "transformation": Cost(0.0, 20.0), "maxl": Cost(0.0, 30.0)}
        plan = affordable(Settings(), costs, 10, 1800, 64)
        search = [max(costs[name].of(int(plan.epochs * share)) for name in plan.methods) for share in RUNGS]
        assert sum(search) <= SEARCH * 1800
        assert plan == affordable(Settings(), costs, 10, 1800, 1000)

    def test_without_a_method_single_task_is_tuned(self) -> None:
        plan = affordable(Settings(), {"single": Cost(0.1, 0.1)}, 20, 600, 1)
        assert (plan.methods, plan.grid) == ((), GRID)


class TestFloor:
    """The default single task: nothing that is below it on validation data is handed over."""

    BED = Settings(data="iris", device="cpu")

    def search(self, out: Path) -> Halving:
        return Halving(self.BED, dict.fromkeys((DEFAULT, "single"), Cost(0.0, 0.01)), out, Processes(1), QUIET)

    def test_is_what_train_does(self, tmp_path: Path) -> None:
        search, floor = self.search(tmp_path), default_run(self.BED, 20)
        search.train([floor], 1, "")
        [run] = search.runs(floor, 1)
        done(
            "train",
            "iris",
            "--method",
            "single",
            "--evaluate-on",
            "validation",
            "--device",
            "cpu",
            "--out",
            tmp_path / "own",
        )
        own = Run.read(tmp_path / "own").weights()
        assert all((value == own[name]).all() for name, value in run.weights().items())

    def test_is_the_choice_unless_another_is_above_it(self, tmp_path: Path) -> None:
        search, floor = self.search(tmp_path), default_run(self.BED, 8)
        worse, better = (
            Candidate(ROWS[SINGLE], {"learning_rate": rate}, epochs) for rate, epochs in ((1e-5, 1), (0.05, 60))
        )
        unknown = Candidate(ROWS[SINGLE], {"learning_rate": 0.1}, 3)
        confirm(search, [floor, worse, better], 1e9)
        assert best_single(search, floor, [worse, unknown]) == floor
        assert best_single(search, floor, [worse, better]) == better
        choices = {"worse": worse, "better": better, "floor": floor, "unknown": unknown}
        assert best_first(search, floor, choices) == ["better", "floor"]
        assert best_first(search, floor, {"floor": floor, "better": better}) == ["better", "floor"]

    def test_without_time_nothing_is_confirmed(self, tmp_path: Path) -> None:
        search, floor = self.search(tmp_path), default_run(self.BED, 8)
        confirm(search, [floor], 0)
        assert not (tmp_path / "runs").exists()


class TestLengthened:
    """Longer runs than the protocol's: 20 epochs of two batches each are too few here."""

    SINGLE = Candidate(ROWS[SINGLE], GRID[0], 20)

    def race(self, out: Path) -> Halving:
        return Halving(Settings(data="wine", device="cpu"), {"single": Cost(0.0, 0.01)}, out, Processes(1), QUIET)

    def test_as_long_as_single_task_gains(self, tmp_path: Path) -> None:
        race, budget = self.race(tmp_path), Given(tmp_path, 1e9)
        epochs = lengthened(race, self.SINGLE, budget)
        assert budget.said_missed == []
        lengths = sorted({len(run.epochs) for run in read_runs(tmp_path)})
        assert all(run.settings["evaluate_on"] == "validation" for run in read_runs(tmp_path))
        reached = {count: race.reached(replace(self.SINGLE, epochs=count), 3) for count in lengths}
        assert lengths == [20 * 2**place for place in range(len(lengths))]
        for place in range(2, len(lengths)):
            assert last_gains([reached[length] for length in lengths[:place]])
        assert len(lengths) == DOUBLINGS + 1 or not last_gains([*reached.values()])
        assert epochs == best_length(reached) > 20

    def test_as_far_as_there_is_time(self, tmp_path: Path) -> None:
        one = Cost(0.0, 0.01).of(40) / LENGTH
        race, budget = self.race(tmp_path), Given(tmp_path, 0.9 * one)
        assert lengthened(race, self.SINGLE, budget) == 20
        [(what, seconds)] = budget.said_missed
        assert what == "runs of 40 epochs"
        assert seconds == pytest.approx(one)
        assert not (tmp_path / "runs").exists()


def test_images_are_mirrored_only_where_that_helps(tmp_path: Path) -> None:
    """A wedge that points to the left or to the right: mirrored, one class is the other."""
    from PIL import Image

    y, x = np.mgrid[:9, :9] - 4
    for row in range(60):
        sign = 1 if row % 2 else -1
        pixels = np.random.default_rng(row).integers(0, 90, (9, 9)).astype(np.uint8)
        pixels[abs(y) <= (4 - sign * x) / 2] = 255
        folder = tmp_path / "wedges" / ("west", "east")[row % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / f"{row}.png")
    (tmp_path / "out").mkdir()
    settings = Settings(data=str(tmp_path / "wedges"), device="cpu", backbone="mlp", batch_size=8)
    search = Halving(settings, {"single": Cost(0.0, 0.01)}, tmp_path / "out", Processes(1), QUIET)
    single = Candidate(ROWS[SINGLE], GRID[0], 10)
    assert with_mirroring(search, single, 1e9) == "auto"
    assert len(read_runs(tmp_path / "out")) == 6
    assert with_mirroring(search, single, 0.1) == "auto"
    assert search.data_set == settings


class TestRace:
    PLAN = Affordable(4, ("kmeans",), SHORT_GRID)

    def race(self, out: Path) -> Halving:
        costs = {"single": Cost(0.0, 0.01), "kmeans": Cost(0.0, 0.01)}
        return Halving(Settings(data="iris", device="cpu"), costs, out, Processes(1), QUIET)

    def test_whole_runs_are_repeated_where_there_is_time(self, tmp_path: Path) -> None:
        race = self.race(tmp_path)
        ranked = race.run(self.PLAN, Given(tmp_path, 1e9))
        rungs = [(own["epochs"], own["seeds"]) for own in race.records]
        assert rungs == [(1, 1)] * 6 + [(2, 1)] * 4 + [(4, 1)] * 2 + [(4, 2)] * 2 + [(4, 4)] * 2
        for candidate in ranked:
            runs = race.runs(candidate, 4)
            assert [run.seed for run in runs] == [0, 1, 2, 3]
            last = next(own for own in race.records[-2:] if own["row"] == candidate.row.name)
            assert last["validation_accuracy"] == pytest.approx(sum(run.accuracy for run in runs) / 4)
        assert race.table().row_count == 2

    def test_costs_are_what_runs_took(self, tmp_path: Path) -> None:
        race = self.race(tmp_path)
        race.costs["kmeans"] = Cost(100.0, 100.0)
        race.run(self.PLAN, Given(tmp_path, 0))
        assert 0 < race.costs["kmeans"].epoch < 10

    def test_the_shortest_runs_are_trained_in_any_case(self, tmp_path: Path) -> None:
        race = self.race(tmp_path)
        assert len(race.run(self.PLAN, Given(tmp_path, 0))) == len(race.records) == 6

    def test_repetitions_are_for_what_the_search_was_planned_to_take(self, tmp_path: Path) -> None:
        race = self.race(tmp_path)
        race.run(self.PLAN, Given(tmp_path, 0, lambda share: 1e9 if share > SEARCH else 0))
        assert {own["seeds"] for own in race.records} == {1}
        assert race.records[-1]["epochs"] == 4


def test_the_start_of_processes_is_no_slowness(tmp_path: Path) -> None:
    race = Halving(Settings(), {}, tmp_path, Processes(2), QUIET)
    assert (race.workers_for(9.0, 1.0).jobs, race.expected(9.0, 1.0)) == (1, 9.0)  # not worth it
    race.took(9.0, 9.0, 1.0)
    assert (race.workers_for(12.0, 1.0).jobs, race.expected(12.0, 1.0)) == (2, 11.0)
    race.took(11.0, 12.0, 1.0)
    assert race.slower == 1
    assert (race.workers_for(4.0, 1.0).jobs, race.expected(4.0, 1.0)) == (2, 2.0)  # they are there now
    race.took(3.0, 4.0, 1.0)
    assert race.slower == 1.5


def test_the_labels_of_a_method_with_a_meta_split_are_shuffled_on_the_samples_that_have_one(tmp_path: Path) -> None:
    trial = Trial(Settings(), "maxl", 100)
    run = make_run(tmp_path, "maxl", 100, [1.0])
    assert shuffled_labels(trial, run).method == "shuffled"
    assert shuffled_labels(trial, OfMetaSplit(**vars(run))).method == "shuffled-split"


class OfMetaSplit(Run):
    """A run that has given up samples to a meta split."""

    def outputs(self) -> tuple[str, ...]:
        return (*super().outputs(), "meta_ids")


def test_single_task_is_tuned_as_far_as_the_methods() -> None:
    single, kmeans = ([Candidate(row, values, 4) for values in SHORT_GRID] for row in (ROWS[SINGLE], KMEANS))
    assert _better_half([*single, *kmeans]) == [*single[:2], *kmeans[:2]]
    assert _better_half([*kmeans, *single]) == [*kmeans[:2], *single[:2]]
    assert _better_half([single[0], kmeans[0], kmeans[1], single[1]]) == [single[0], kmeans[0]]
    assert _better_half(single) == single[:2]


@pytest.mark.parametrize(("times", "epochs"), [(1.1, None), (3.0, 12)])
def test_single_task_is_tested_for_the_time_that_the_winner_takes(times: float, epochs: int | None) -> None:
    costs = {"single": Cost(0.0, 1.0), "kmeans": Cost(0.0, 2.0)}  # estimated: not what it took
    single = on_test(Settings(), Candidate(ROWS[SINGLE], GRID[0], 4), costs[SINGLE])
    found = entrants(Settings(), costs, single, Candidate(KMEANS, GRID[1], 4), times)
    longer = found.pop("single, compute of kmeans", None)
    assert (longer.settings.epochs if longer else None) == epochs
    assert set(found) == {"single", "uniform", "frozen", "kmeans"}
    assert {trial.settings.epochs for trial in found.values()} == {4}


def test_the_controls_of_views_apart_are_trained_as_the_winner_is() -> None:
    row = next(row for row in ENTRANTS if row.name == "transformation apart")
    costs = {"single": Cost(0.0, 1.0), row.name: Cost(0.0, 1.0)}
    single = on_test(Settings(), Candidate(ROWS[SINGLE], GRID[0], 4), costs[SINGLE])
    found = entrants(Settings(), costs, single, Candidate(row, GRID[1], 4))
    ways = {name: (trial.settings.views, trial.settings.auxiliary_weight) for name, trial in found.items()}
    names = ("transformation apart", "transformed apart", "transformation-shuffled apart")
    weighed = dict.fromkeys(("uniform weight 2", "frozen weight 2"), (None, 2.0))
    plain = dict.fromkeys(("single", "uniform", "frozen"), (None, None))
    assert ways == {**plain, **weighed, **dict.fromkeys(names, ("apart", 2.0))}


class TestConclusion:
    NONE = (0.0, 0.001, -0.001, 0.0)
    MUCH = (0.1, 0.11, 0.1, 0.09)
    SHUFFLED: ClassVar = {"kmeans, shuffled": NONE}

    ALL = ("kmeans", "single, compute of kmeans", "single", "linear-probe")

    def conclude(
        self,
        tmp_path: Path,
        failed: Any = None,
        samples: Any = 1000,
        best_first: Any = ALL,
        **gains: Any,
    ) -> Conclusion:
        gains = {"single": self.NONE, "uniform": self.NONE, "frozen": self.NONE, **gains}
        runs: dict[str, list[Run]] = {}
        for run in make_runs(tmp_path, gains, samples):
            runs.setdefault(run.method, []).append(run)
        winner = Candidate(KMEANS, SHORT_GRID[0], 3)
        return conclude(Outcome(runs, failed or {}), winner, best_first)

    def test_what_helps_is_handed_over(self, tmp_path: Path) -> None:
        found = self.conclude(tmp_path, kmeans=self.MUCH, **self.SHUFFLED)
        assert (found.method, found.helps) == ("kmeans", True)
        assert found.chosen.folder.name == "kmeans-0"
        assert "kmeans minus its own labels, shuffled: +10.0 points" in found.verdict.says

    def test_what_single_task_reaches_in_the_same_time_is_said(self, tmp_path: Path) -> None:
        longer = {"single, compute of kmeans": (0.05, 0.06, 0.05, 0.04)}
        found = self.conclude(tmp_path, kmeans=self.MUCH, **self.SHUFFLED, **longer)
        assert "kmeans minus single task for the same time, 3 epochs: +5.0 points" in found.verdict.says
        assert found.minus["single task for the same time, 3 epochs"].seeds.mean == pytest.approx(0.05)

    def test_what_cannot_always_be_trained_is_not(self, tmp_path: Path) -> None:
        found = self.conclude(tmp_path, {104: ["kmeans"], 105: ["uniform"]}, kmeans=self.MUCH, **self.SHUFFLED)
        assert (found.method, found.helps) == ("single", False)
        assert found.verdict.says.endswith("2 seeds could not be used, since kmeans and uniform failed.")

    def test_without_a_whole_seed_single_task_is_handed_over(self, tmp_path: Path) -> None:
        run = make_run(tmp_path, "single", 100, first_right(0.7, 100))
        outcome = Outcome({"single": [run]}, {100: ["kmeans"]})
        found = conclude(outcome, Candidate(KMEANS, SHORT_GRID[0], 3), self.ALL)
        assert (found.method, found.helps, found.chosen.folder) == ("single", False, run.folder)
        assert found.verdict.says == (
            "kmeans is not judged: no seed has all runs. 1 seed could not be used, since kmeans failed."
        )

    def test_on_too_few_test_samples_nothing_is_shown(self, tmp_path: Path) -> None:
        best = (0.3, 0.3, 0.3, 0.3)
        found = self.conclude(tmp_path, samples=4, kmeans=best, **self.SHUFFLED)
        assert (found.method, found.helps) == ("single", False)
        assert found.verdict.use == "Use single task, 3 epochs. Whether auxiliary labels help is open."

    @pytest.mark.parametrize("kmeans", [NONE, (0.02, 0.03, 0.02, 0.03)])
    def test_single_task_trained_as_long_is_handed_over_where_it_is_better(
        self, tmp_path: Path, kmeans: Sequence[float]
    ) -> None:
        found = self.conclude(tmp_path, kmeans=kmeans, **self.SHUFFLED, **{"single, compute of kmeans": self.MUCH})
        assert (found.method, found.helps, found.chosen.folder.name) == ("single", False, "single, compute of kmeans-0")
        assert found.verdict.plain.startswith("Use single task, 3 epochs. No auxiliary labels were shown to help. ")

    def test_what_is_below_the_default_on_validation_data_is_not_handed_over(self, tmp_path: Path) -> None:
        found = self.conclude(tmp_path, best_first=("single",), kmeans=self.MUCH, **self.SHUFFLED)
        assert (found.verdict.row, found.method, found.helps) == ("single", "single", False)
        assert "On validation data kmeans is below single, so it is not handed over." in found.verdict.says

    @pytest.mark.parametrize("best", ["linear-probe", "single"])
    @pytest.mark.parametrize("gain", [-0.1, 0.0, 0.1])
    def test_validation_data_alone_chooses_a_simpler_model(self, tmp_path: Path, gain: float, best: str) -> None:
        gains = {"kmeans": self.NONE, "kmeans, shuffled": self.NONE, "linear-probe": 4 * (gain,)}
        order = sorted(("single", "linear-probe"), key=best.__ne__)
        found = self.conclude(tmp_path, best_first=order, **gains)
        assert (found.verdict.row, found.network.method) == (best, "single")
        assert found.verdict.plain.startswith("Use linear-probe, " if best == "linear-probe" else "Use single task, ")
        assert ("Simpler is better here" in found.verdict.says) == (gain > 0 and best == "linear-probe")
        assert ("data linear-probe is the best, so it is handed over" in found.verdict.says) == (best != "single")

    def test_a_plain_line_says_what_to_use_and_what_to_expect(self, tmp_path: Path) -> None:
        found = self.conclude(tmp_path, kmeans=self.MUCH, **self.SHUFFLED)
        assert found.verdict.plain == (
            "Use kmeans, 3 epochs. The auxiliary labels of kmeans helped: +10.0 points. "
            "Expect 77 to 82 % on new samples."
        )

    def test_what_does_not_is_not(self, tmp_path: Path) -> None:
        found = self.conclude(tmp_path, kmeans=self.NONE, **self.SHUFFLED)
        assert (found.method, found.helps, found.chosen.folder.name) == ("single", False, "single-0")
        assert found.verdict.plain.startswith("Use single task, 3 epochs. No auxiliary labels were shown to help. ")

    def test_what_helps_as_much_with_its_labels_shuffled_is_not(self, tmp_path: Path) -> None:
        found = self.conclude(tmp_path, kmeans=self.MUCH, **{"kmeans, shuffled": self.MUCH})
        assert (found.method, found.helps, found.chosen.folder.name) == ("single", False, "single-0")
        assert "kmeans beats single, uniform and frozen (+10.0 points" in found.verdict.says
        assert "but its difference to kmeans, shuffled is +0.0 points" in found.verdict.says
        assert found.verdict.plain.startswith("Use single task, 3 epochs. No auxiliary labels were shown to help. ")
