"""Every experiment from nothing to figure, on a data set of the real form and a scale of seconds."""

import csv
import hashlib
import io
import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

from metaux.errors import InputError, TrainingError
from metaux.labels.sources import SOURCES
from metaux.protocols import PROTOCOLS, Protocol, resolve
from metaux.runs.launch import run
from metaux.runs.loading import load_once
from metaux.runs.record import Run, is_finished
from metaux.runs.store import Store
from metaux.runs.trial import Trial
from metaux.runs.workers import Processes
from metaux.settings import changed
from metaux.studies.papers import complexity, invented, meta_step
from metaux.studies.papers.claims import WORDS
from metaux.studies.papers.curves import PAIRS
from metaux.studies.papers.estimate import Clock
from metaux.studies.papers.invented import between_runs
from metaux.studies.papers.item import METHODS, OF_A_METHOD, Line, of_seeds, on_pairs
from metaux.studies.papers.reproduce import ITEMS, list_items, reproduce
from metaux.studies.papers.scales import NARROW, PAPER, SMALL, Scale, cut_down
from shell import metaux, own_time
from tiny_cifar import write_cifar100

TINY = Scale("tiny", {"backbone": "mlp", "train_size": 300, "epochs": 1, "batch_size": 150}, True, "a test")
RATE = "generator_learning_rate"
FEW_PAIRS = (("3", "10"), ("3", "100"), ("20", "100"))
TRAINED = [name for name in ITEMS if ITEMS[name].lines(TINY, "nowhere")]


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cifar100(tmp_path_factory.mktemp("root"))


@pytest.fixture(scope="session")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reproduced")


@pytest.fixture(scope="session")
def tiny(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Scale:
    """A scale of seconds, whose embedding is a network trained beforehand rather than a large one of ImageNet's."""
    folder = tmp_path_factory.mktemp("embedding") / "run"
    settings = ITEMS["figure3"].lines(TINY, str(root))[0].settings
    run(Trial(settings, "single", 7), load_once(settings), folder)
    return replace(TINY, changes={**TINY.changes, "embedding": str(folder)})


@pytest.fixture(scope="class")
def fewer() -> Iterator[None]:
    """Fewer panels of the same kind, for a test of seconds."""
    lines = {
        "figure3": on_pairs(*FEW_PAIRS),
        "agreement": on_pairs(*FEW_PAIRS, methods={name: METHODS[name] for name in ("maxl", "prototypical", "kmeans")}),
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, own in lines.items():
            patch.setitem(ITEMS, name, replace(ITEMS[name], lines=own))
        patch.setattr(complexity, "PANELS", {name: psi for name, psi in complexity.PANELS.items() if psi < 10})
        few = [name for name, cell in invented.CELLS.items() if cell["psi"] < 100 and cell[RATE] != 1e-3]
        patch.setattr(invented, "CELLS", {name: invented.CELLS[name] for name in few})
        patch.setitem(OF_A_METHOD, "kmeans", {"features": "pixels"})  # an autoencoder takes seconds each
        yield


@pytest.fixture(scope="class")
def figure3(fewer: None, tiny: Scale, root: Path, out: Path) -> Path:
    reproduce(["figure3"], tiny, str(root), out, 2, Processes(1), "cpu", quiet())
    return out / "figure3"


def folders(lines: list[Line]) -> set[Path]:
    return {Store(Path()).folder(line.trial(0)) for line in lines}


def quiet() -> Console:
    return Console(quiet=True)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


class TestPlans:
    @pytest.mark.parametrize("name", TRAINED)
    def test_the_paper_scale_is_the_published_protocol(self, name: str, capsys: pytest.CaptureFixture[str]) -> None:
        """Prints each configuration; `pytest -s` shows them beside the table of the papers' values."""
        varied = {"focal": {"focal_gamma"}, "collapse": {"entropy_weight", "generator_learning_rate"}}
        varied |= {"figure4": {"entropy_weight"}, "figure7": {"entropy_weight"}}
        for line in ITEMS[name].lines(PAPER, "nowhere"):
            protocol = resolve(line.settings)
            published = PROTOCOLS[line.settings.protocol]
            differs = {key for key, value in asdict(published).items() if getattr(protocol, key) != value}
            assert differs <= varied.get(name, set())
            assert protocol.name in ("iclr", "neurips")
            assert (protocol.epochs, protocol.batch_size, protocol.learning_rate) == (200, 100, 0.01)
            assert line.settings.train_size is None
            assert line.settings.backbone == ("vgg16" if name != "table1" else line.settings.backbone)
            assert line.settings.augment in ("crop", "crop-flip")
            print(name, line.panel, line.label, line.settings.backbone, protocol)
        assert "iclr" in (printed := capsys.readouterr().out) or "neurips" in printed

    def test_figure_3_has_all_pairs_methods_and_controls(self) -> None:
        lines = ITEMS["figure3"].lines(PAPER, "nowhere")
        assert len(lines) == len(PAIRS) * len(METHODS) == 54
        assert {line.label for line in lines} >= {"single", "random", "prototypical", "kmeans", "maxl", "human"}
        assert {line.label for line in lines} >= {"uniform", "frozen"}
        assert len({line.panel for line in lines}) == 6

    def test_figure_4_has_every_psi_with_and_without_entropy_loss(self) -> None:
        lines = ITEMS["figure4"].lines(PAPER, "nowhere")
        for weight in (None, 0.0):
            own = [n for n in lines if n.method == "maxl" and n.settings.entropy_weight == weight]
            assert [n.settings.subclasses for n in own] == [(psi,) for psi in (2, 5, 10, 20, 50, 100)]
        assert {line.settings.data for line in lines} == {"cifar10.1"}

    def test_table_1_has_seven_data_sets(self) -> None:
        lines = ITEMS["table1"].lines(PAPER, "nowhere")
        assert len({line.settings.data for line in lines}) == 7
        assert {line.method for line in lines} == {"single", "uniform", "frozen", "random", "maxl"}

    @pytest.mark.parametrize(
        ("first", "within"),
        [("figure5", "figure3"), ("cosine", "figure3"), ("agreement", "figure3"), ("figure7", "figure4")],
    )
    @pytest.mark.parametrize("scale", [SMALL, PAPER])
    def test_items_share_runs(self, first: str, within: str, scale: Scale) -> None:
        assert folders(ITEMS[first].lines(scale, "nowhere")) <= folders(ITEMS[within].lines(scale, "nowhere"))

    def test_single_task_is_one_run_for_all_sub_classes(self) -> None:
        lines = [line for line in ITEMS["figure3"].lines(SMALL, "nowhere") if line.method == "single"]
        assert len(lines) == 6
        assert len(folders(lines)) == 3

    @pytest.mark.parametrize(("scale", "steps"), [(SMALL, 400), (NARROW, 10_000)])
    @pytest.mark.parametrize("protocol", ["iclr", "neurips"])
    def test_the_summed_steps_of_the_generator_are_the_published_ones(
        self, scale: Scale, steps: int, protocol: str
    ) -> None:
        lines = ITEMS["protocols"].lines(scale, "nowhere")
        own = resolve(next(line for line in lines if (line.panel, line.label) == (protocol, "maxl")).settings)
        published = PROTOCOLS[protocol]

        def summed(p: Protocol, steps: int) -> tuple[float, ...]:
            beta = steps * p.generator_learning_rate
            return p.learning_rate * beta, beta * p.entropy_weight, beta * p.generator_decay

        assert summed(own, steps) == pytest.approx(summed(published, 100_000))
        assert own.initialisation == published.initialisation == "xavier-uniform"

    def test_the_published_rate_stands_beside_with_one_seed(self) -> None:
        lines = [line for line in ITEMS["protocols"].lines(NARROW, "nowhere") if line.label == "maxl, published rate"]
        assert [resolve(line.settings).generator_learning_rate for line in lines] == [1e-3, 1e-5]
        assert len([*of_seeds(lines, 3)]) == 2
        assert "maxl, published rate" not in {line.label for line in ITEMS["protocols"].lines(PAPER, "nowhere")}

    @pytest.mark.parametrize("name", TRAINED)
    def test_what_gives_up_a_meta_split_has_its_control_on_the_same_samples(self, name: str) -> None:
        def split(line: Line) -> bool:
            return SOURCES[line.method].needs_meta_split(resolve(line.settings))

        lines = ITEMS[name].lines(PAPER, "nowhere")
        controls = {"maxl": "frozen", "vector": "frozen-vector"}
        for panel in {line.panel for line in lines}:
            own = {line.label: line for line in lines if line.panel == panel}
            for label, control in controls.items():
                if label in own and control in own:
                    assert split(own[label]) == split(own[control])

    def test_runs_of_another_initialisation_lie_elsewhere(self, tmp_path: Path) -> None:
        """An earlier version trained the same settings from PyTorch's initialisation: its runs are not found."""
        trial = ITEMS["figure3"].lines(PAPER, "nowhere")[0].trial(0)
        earlier = changed(trial.settings, ["root"])
        digest = hashlib.blake2b(json.dumps(earlier, sort_keys=True).encode(), digest_size=4).hexdigest()
        assert digest not in Store(tmp_path).folder(trial).name
        tuned = trial.changed(protocol="tuned")
        digest = hashlib.blake2b(
            json.dumps(changed(tuned.settings, ["root"]), sort_keys=True).encode(), digest_size=4
        ).hexdigest()
        assert digest in Store(tmp_path).folder(tuned).name

    def test_a_run_is_known_by_its_content_not_its_place(self, tmp_path: Path) -> None:
        folder, trial = Store(tmp_path).folder, ITEMS["figure3"].lines(SMALL, "nowhere")[0].trial(0)
        same: list[dict[str, Any]] = [{"root": "there"}, {"device": "cpu"}, {"threads": 2}, {"data": "there/cifar100"}]
        for change in same:
            assert folder(trial.changed(**change)) == folder(trial)
        others: list[dict[str, Any]] = [{"epochs": 9}, {"primary": "10"}, {"focal_gamma": 1.0}]
        for change in others:
            assert folder(trial.changed(**change)) != folder(trial)
        assert folder(replace(trial, seed=1)) != folder(trial)

    def test_a_trial_is_twenty_steps_of_each_configuration(self) -> None:
        for scale in (SMALL, PAPER):
            for line in ITEMS["figure3"].lines(cut_down(scale), "nowhere"):
                protocol = resolve(line.settings)
                assert (protocol.epochs, line.settings.train_size) == (1, 20 * protocol.batch_size)


@pytest.mark.parametrize("name", [name for name in ITEMS if name not in TRAINED and name != "gradient"])
def test_items_without_runs(name: str, tmp_path: Path) -> None:
    reproduce([name], SMALL, "nowhere", tmp_path, 3, Processes(0), "cpu", quiet())
    assert {path.suffix for path in (tmp_path / name).iterdir()} == {".png", ".svg", ".csv", ".json"}


def test_mask_softmax_in_numbers(tmp_path: Path) -> None:
    reproduce(["mask-softmax"], SMALL, "nowhere", tmp_path, 1, Processes(0), "cpu", quiet())
    found = rows(tmp_path / "mask-softmax" / "mask-softmax.csv")
    masked: dict[str, list[float]] = {}
    for row in found:
        masked.setdefault(row["label"], []).append(float(row["probability"]))
    assert masked["Mask SoftMax, y = 2"] == [0, 0, 0, 0, 1]
    powers = np.exp([1.0, 0.3, -0.4, 0.8, 0.1])
    assert masked["Mask SoftMax, y = 0"] == pytest.approx([*(powers[:2] / powers[:2].sum()), 0, 0, 0], abs=1e-6)
    assert masked["SoftMax"] == pytest.approx(powers / powers.sum(), abs=1e-6)


def test_gradient_errors_are_measured_on_the_real_methods() -> None:
    exact, forward, released, difference = (
        meta_step.generator_gradient(name, "cpu", torch.float64, "small-cnn", 8)
        for name in ("double_backward", "forward_mode", "released", "finite_difference")
    )
    assert float((forward - exact).norm() / exact.norm()) < 1e-10
    assert float((released - exact).norm() / exact.norm()) < 1e-10
    assert 1e-12 < float((difference - exact).norm() / exact.norm()) < 1e-2
    assert meta_step.peak_memory("forward_mode", "cpu", "mlp") > 50


def test_estimates_grow_with_samples_and_with_the_method() -> None:
    clock, trial = Clock(), ITEMS["figure3"].lines(TINY, "nowhere")[0].trial(0).changed(image_size=8)
    maxl = replace(trial.changed(train_size=None), method="maxl")
    with own_time():
        half, whole = (clock.timed(trial.changed(train_size=size)).seconds for size in (25_000, None))
        assert 0 < half < whole < 2 * half
        assert whole < clock.timed(maxl).seconds


@pytest.mark.usefixtures("fewer")
class TestRuns:
    """In the order of the items: later ones find the runs of earlier ones."""

    def test_figure_3(self, figure3: Path) -> None:
        names = {path.name for path in figure3.iterdir()}
        tables = {"figure3.csv", "figure3-curves.csv", "figure3-claims.csv", "figure3-movement.csv"}
        assert names == {"figure3.png", "figure3.svg", "summary.json", *tables}
        table = rows(figure3 / "figure3.csv")
        assert len(table) == 27
        assert {row["n"] for row in table} == {"2"}
        for row in table:
            assert float(row["accuracy_low"]) <= float(row["accuracy"]) <= float(row["accuracy_high"])
        summary = json.loads((figure3 / "summary.json").read_text())
        assert summary["runs"] == 2 * (2 * 2 + 3 * 7)
        assert summary["command"] == "metaux reproduce figure3 --scale tiny --seeds 2"
        assert set(summary["verdicts"].values()) <= set(WORDS)
        claims = rows(figure3 / "figure3-claims.csv")
        assert len(claims) == 3 * (4 + 2 + 1)
        assert {float(row["level"]) for row in claims} == {round(1 - 0.05 / len(claims), 6)}
        moved = rows(figure3 / "figure3-movement.csv")
        assert {row["method"] for row in moved} == {"maxl"}
        assert len(moved) == 3 * 2
        # One epoch of two steps at the published rate moves nothing: no claim about MAXL is tested.
        assert all(float(row["total_variation"]) < 0.05 for row in moved)
        assert {row["word"] for row in claims if row["comparison"].startswith("maxl")} == {"not tested"}
        assert len(summary["lines"]) == 27

    @pytest.mark.parametrize("name", ["figure5", "cosine", "agreement"])
    def test_others_need_no_further_run(self, name: str, figure3: Path, tiny: Scale, root: Path, out: Path) -> None:
        before = {path: path.stat().st_mtime_ns for path in (out / "runs").glob("*/result.json")}
        reproduce([name], tiny, str(root), out, 2, Processes(1), "cpu", quiet())
        assert {path: path.stat().st_mtime_ns for path in (out / "runs").glob("*/result.json")} == before
        assert {path.suffix for path in (out / name).iterdir()} == {".png", ".svg", ".csv", ".json"}

    def test_the_data_may_have_moved_since(
        self, figure3: Path, tiny: Scale, root: Path, out: Path, tmp_path: Path
    ) -> None:
        line = next(line for line in ITEMS["cosine"].lines(tiny, str(root)) if line.label == "uniform")
        lost = Store(out).folder(line.trial(0))
        shutil.rmtree(lost)
        (tmp_path / "moved").symlink_to(root)
        reproduce(["cosine"], tiny, str(tmp_path / "moved"), out, 2, Processes(1), "cpu", quiet())
        assert (lost / "result.json").exists()

    def test_runs_of_other_data_are_not_taken_for_these(
        self, figure3: Path, tiny: Scale, root: Path, out: Path
    ) -> None:
        result = next((out / "runs").glob("*/result.json"))
        before = result.read_text()
        result.write_text(json.dumps({**json.loads(before), "data": "of other data"}))
        (result.parent / "manifest.json").unlink()
        with pytest.raises(InputError, match="was trained on, found that it has changed; give another --out"):
            reproduce(["figure3"], tiny, str(root), out, 2, Processes(1), "cpu", quiet())
        result.write_text(before)

    def test_runs_of_an_earlier_version_are_told_and_not_used(
        self, figure3: Path, tiny: Scale, root: Path, tmp_path: Path
    ) -> None:
        """Their folders had other names, and their results no initialisation."""
        earlier = tmp_path / "runs" / "cifar100-00000000-maxl-0"
        earlier.mkdir(parents=True)
        result = json.loads(next(figure3.parent.glob("runs/*/result.json")).read_text())
        result.pop("initialisation")
        (earlier / "result.json").write_text(json.dumps(result))
        console = Console(record=True, width=200, file=io.StringIO())
        reproduce(["hierarchy"], tiny, str(root), tmp_path, 1, Processes(1), "cpu", console)
        assert "1 run of an earlier version, of networks that started otherwise, are not used" in console.export_text()

    def test_agreement_of_a_run_with_itself_is_perfect(self, figure3: Path, tiny: Scale, root: Path, out: Path) -> None:
        line = next(line for line in ITEMS["figure3"].lines(tiny, str(root)) if line.method == "random")
        first, second = (Run.read(Store(out).folder(line.trial(seed))) for seed in (0, 1))
        found, chance = between_runs(first, first)
        assert found == pytest.approx(1)
        assert chance < 0.9
        assert between_runs(first, second)[0] < 0.9

    @pytest.mark.parametrize("name", ["figure4", "figure7", "collapse", "table1", "focal", "protocols", "vectors"])
    def test_figure_and_numbers(self, name: str, tiny: Scale, root: Path, out: Path) -> None:
        reproduce([name], tiny, str(root), out, 2 if name == "focal" else 1, Processes(1), "cpu", quiet())
        written = {path.suffix for path in (out / name).iterdir()}
        assert written == {".png", ".svg", ".csv", ".json"}
        summary = json.loads((out / name / "summary.json").read_text())
        assert summary["found"]
        assert summary["training_seconds"] > 0

    def test_what_stands_in_and_what_is_missing_is_said(self, tiny: Scale, root: Path, out: Path) -> None:
        reproduce(["table1"], tiny, str(root), out, 1, Processes(1), "cpu", quiet())
        summary = json.loads((out / "table1" / "summary.json").read_text())
        assert "CIFAR-100's 10-class level in place of CIFAR-10" in summary["notes"]
        assert any(note.startswith("SVHN: not run: no data") for note in summary["notes"])

    def test_figure_6_shows_the_most_probable_images(self, tiny: Scale, root: Path, out: Path) -> None:
        reproduce(["figure6"], tiny, str(root), out, 2, Processes(1), "cpu", quiet())
        found = rows(out / "figure6" / "figure6.csv")
        assert len(found) == 4 * 3 * 5  # MNIST is not there
        probabilities = [float(row["probability"]) for row in found[:5]]
        assert probabilities == sorted(probabilities, reverse=True)

    def test_the_list_counts_what_is_done(self, figure3: Path, tiny: Scale, root: Path, out: Path) -> None:
        console = Console(record=True, width=250, file=io.StringIO())
        published = replace(tiny, name="published", stand_ins=False)
        list_items((tiny, published), str(root), out.parent, 2, "cpu", console)
        lines = console.export_text().splitlines()
        of = {name: next(line for line in lines if line.startswith(f"│ {name} ")) for name in ITEMS}
        assert "0 of 50 done" in of["figure3"]  # another folder: `out` is not called tiny
        assert "no runs" in of["hierarchy"]
        assert "(not there)" in of["figure4"]
        assert "no data" in of["figure4"]

    def test_a_run_that_fails_does_not_stop_the_others(self, tiny: Scale, root: Path, tmp_path: Path) -> None:
        diverging = replace(tiny, changes={**tiny.changes, "learning_rate": 1e30, "epochs": 2})
        with pytest.raises(TrainingError, match="single with seed 0"):
            reproduce(["focal"], diverging, str(root), tmp_path, 1, Processes(1), "cpu", quiet())
        assert not any(is_finished(folder) for folder in (tmp_path / "runs").glob("*"))


class TestBadInput:
    @pytest.mark.parametrize(
        ("words", "told"),
        [
            (["figure33"], "figure3"),
            (["figure3", "--root", "nowhere"], "CIFAR-100"),
            (["figure3", "--scale", "paper", "--root", "nowhere"], "docs/published-data.md"),
            (["hierarchy", "--seeds", 0], "seed"),
            (["hierarchy", "--scale", "large"], "paper"),
        ],
    )
    def test_one_line(self, words: list[object], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        result = metaux("reproduce", *words)
        assert result.code == 2
        assert result.err.count("\n") == 1
        assert told in result.err
        assert not any(tmp_path.iterdir())

    def test_without_any_of_the_data(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="expected CIFAR-100 for figure5"):
            reproduce(["figure5"], PAPER, str(tmp_path), tmp_path / "out", 1, Processes(1), "cpu", quiet())
