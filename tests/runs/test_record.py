import json
import math
import os
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from making import make_run
from metaux.errors import InputError
from metaux.runs.loading import check_unchanged
from metaux.runs.record import (
    Run,
    is_finished,
    read_runs,
    write_finished,
    write_records,
    write_settings,
)
from metaux.settings import Settings
from small import digits


def cut(name: str, to: float = 0.5) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        path = folder / name
        os.truncate(path, int(path.stat().st_size * to))

    return damage


def replaced(name: str, text: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        (folder / name).write_text(text)

    return damage


def with_value(name: str, value: object) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        path = folder / "result.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), name: value}))

    return damage


def inserted(name: str, text: str) -> Callable[[Path], None]:
    """The last key of the text is one of the file's."""

    def damage(folder: Path) -> None:
        path = folder / name
        key = text.rpartition(" ")[2]
        path.write_text(path.read_text().replace(key, text, 1))

    return damage


def with_output(name: str, value: torch.Tensor) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        path = folder / "outputs.safetensors"
        save_file({**load_file(path), name: value}, path)

    return damage


def lines_swapped(folder: Path) -> None:
    path = folder / "records.jsonl"
    first, second, *rest = path.read_text().splitlines()
    path.write_text("\n".join([second, first, *rest]))


def removed(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def last_line_dropped(folder: Path) -> None:
    path = folder / "records.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    settings = Settings(data="some/where/mine.csv", subclasses=(2, 3))
    run = make_run(tmp_path, "maxl", 4, [1.0, 0.0, 1.0, 1.0], curve=[0.5, 0.6, 0.75], settings=settings)
    assert run.folder == tmp_path / "runs" / "maxl-4"
    assert (run.method, run.seed, run.accuracy, run.balanced_accuracy) == ("maxl", 4, 0.75, 0.75)
    assert run.settings["subclasses"] == [2, 3]
    assert list(run.settings)[:3] == ["method", "seed", "data"]
    assert run.seconds_per_epoch == 0.5
    assert run.train_size == 6
    assert run.curve("test_accuracy").tolist() == [0.5, 0.6, 0.75]
    assert np.isnan(run.curve("gradient_cosine")).all()
    assert run.output("test_correct").tolist() == [1, 0, 1, 1]
    assert run.output("train_labels").dtype == np.float16
    assert set(run.outputs()) >= {"test_probabilities", "test_primary", "train_ids"}
    assert torch.equal(run.weights()["weight"], torch.ones(2, 2))


def test_runs_are_read_in_order_and_only_finished_ones(tmp_path: Path) -> None:
    for method, seed in [("single", 10), ("single", 2), ("maxl", 0)]:
        make_run(tmp_path, method, seed, [1.0])
    write_settings(tmp_path / "runs" / "frozen-0", Settings(), method="frozen", seed=0)
    assert [(run.method, run.seed) for run in read_runs(tmp_path)] == [
        ("maxl", 0),
        ("single", 2),
        ("single", 10),
    ]
    assert not is_finished(tmp_path / "runs" / "frozen-0")


def test_no_runs(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected finished runs in .*runs, found none; give"):
        read_runs(tmp_path)


def test_a_value_that_every_run_needs_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected seed, .*test_correct.* among the results"):
        write_finished(tmp_path, {"method": "maxl"}, {}, {})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (removed("result.json"), r"expected a finished run, found no result.json .*repeat the command"),
        (removed("settings.yaml"), r"expected the folder of a run, found no settings.yaml"),
        (removed("outputs.safetensors"), r"found it without outputs.safetensors; delete"),
        (removed("records.jsonl"), r"found it without records.jsonl; delete"),
        (cut("result.json"), r"expected a whole .*result.json, found it cut off"),
        (
            cut("outputs.safetensors"),
            r"expected a whole .*outputs.safetensors, found it cut off, or not safetensors",
        ),
        (cut("outputs.safetensors", 0), r"outputs.safetensors, found it cut off"),
        (cut("records.jsonl", 0.9), r"expected a whole .*records.jsonl, found it cut off"),
        (last_line_dropped, r"records.jsonl, found it with 2 of 3 epochs"),
        (replaced("settings.yaml", "a: [1\nb: }"), r"settings.yaml, found it cut off or overwritten"),
        (replaced("settings.yaml", "[1]"), r"settings.yaml, found it holding list, not a mapping"),
        (replaced("result.json", '{"method": "maxl"}'), r"result.json, found it without seed, accuracy"),
        (with_value("seed", None), r"result.json, found it with values of another kind"),
        (with_value("accuracy", "high"), r"result.json, found it with values of another kind"),
        (with_value("class_names", 5), r"result.json, found it with values of another kind"),
        (with_value("accuracy", 7), r"result.json, found it with accuracy 7, which is no fraction from 0 to 1"),
        (with_value("balanced_accuracy", -0.1), r"with balanced_accuracy -0.1, which is no fraction"),
        (with_value("accuracy", 0.75), r"outputs.safetensors, found it with an accuracy of 0.5000, not of 0.7500"),
        (with_value("accuracy", True), r"with values of another kind"),
        (with_value("accuracy", math.nan), r"result.json, found it with the number NaN"),
        (with_value("seconds_per_epoch", -1), r"with -1 seconds per epoch"),
        (with_value("class_names", ["odd", "odd"]), r"with a class name that comes twice"),
        (with_value("class_names", ["odd"]), r"with test_probabilities of shape \(2, 2\) instead of \(2, 1\)"),
        (with_value("model", {"class_names": ["odd", "even"]}), r"other class names than those of its network"),
        (with_value("model", {"slots": [1, 2, 3]}), r"with sub-classes of 3 classes, but 2 class names"),
        (with_value("seed", 10**400), r"with values of another kind"),
        (with_value("train_size", [5]), r"with values of another kind"),
        (with_value("train_names", ["a", 5]), r"with values of another kind"),
        (with_value("versions", ["1"]), r"with values of another kind"),
        (with_value("model", ["1"]), r"with values of another kind"),
        (with_value("model", {"slots": [1, "2"]}), r"with values of another kind in its model"),
        (with_value("model", {"subclass_names": 5}), r"with values of another kind in its model"),
        (with_value("model", {"slots": [1, 0]}), r"with 0 to 1 sub-classes of a class"),
        (with_value("model", {"slots": [1, 2**40]}), r"with 1 to 1099511627776 sub-classes of a class"),
        (with_value("model", {"slots": [1, 2], "subclass_names": ["a"]}), r"with 1 names of 3 sub-classes"),
        (with_value("train_names", ["a"]), r"with 6 training samples, but 1 names of them in the result"),
        (inserted("result.json", '"accuracy": 1.0, "accuracy"'), r"result.json, found it with accuracy 2 times"),
        (inserted("records.jsonl", '"test_accuracy": 0.5, "test_accuracy"'), r"found it with test_accuracy 2 times"),
        (inserted("records.jsonl", '"test_balanced_accuracy": 7, "test_accuracy"'), r"test_balanced_accuracy 7, which"),
        (inserted("records.jsonl", '"loss": 1e999, "test_accuracy"'), r"records.jsonl, found it with the number 1e999"),
        (inserted("records.jsonl", '"loss": "high", "test_accuracy"'), r"with loss in line 1, which is no number"),
        (replaced("records.jsonl", "".join(f'{{"epoch": {n}}}\n' for n in (1, 2, 3))), r"without seconds in line 1"),
        (inserted("records.jsonl", '"loss": [1, 2], "test_accuracy"'), r"with loss in line 1, which is no number"),
        (lines_swapped, r"records.jsonl, found it with epoch 2 in line 1"),
        (replaced("result.json", "[" * 100_000), r"result.json, found it cut off or overwritten"),
        (with_output("test_primary", torch.tensor([0])), r"with test_primary of shape \(1,\) instead of \(2,\)"),
        (with_output("test_primary", torch.tensor([0, 9])), r"with test_primary from 0 to 9"),
        (with_output("train_labels", torch.ones(5, 2)), r"with train_labels of shape \(5, 2\) instead of \(6, 2\)"),
        (replaced("records.jsonl", "1\n2\n3\n"), r"records.jsonl, found it with a line that is no record"),
    ],
)
def test_damage_is_named_in_one_line(tmp_path: Path, damage: Callable[[Path], None], message: str) -> None:
    """In folders of earlier releases too, which have no digests."""
    folder = make_run(tmp_path, "maxl", 0, [1.0, 0.0]).folder
    removed("manifest.json")(folder)
    damage(folder)
    with pytest.raises(InputError, match=message) as caught:
        Run.read(folder)
    assert "\n" not in str(caught.value)


def test_damaged_weights_are_named_when_asked_for(tmp_path: Path) -> None:
    run = make_run(tmp_path, "maxl", 0, [1.0])
    cut("weights.safetensors")(run.folder)
    with pytest.raises(InputError, match=r"weights.safetensors, found it changed since it was written"):
        run.weights()
    removed("manifest.json")(run.folder)
    with pytest.raises(InputError, match=r"weights.safetensors, found it cut off"):
        run.weights()
    removed("weights.safetensors")(run.folder)
    with pytest.raises(InputError, match=r"without weights.safetensors"):
        run.weights()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("train_labels", torch.full((6, 2), math.nan), "with train_labels that are not finite"),
        ("train_ids", torch.tensor([0, 1, 2, 3, 4, -5]), "with train_ids from -5 to 4"),
        ("train_primary", torch.tensor([0, 1, 0, 1, 0, 2]), "with train_primary from 0 to 2"),
        ("train_primary", torch.ones(6), "with train_primary of type float32"),
        ("test_probabilities", torch.ones(2, 2, dtype=torch.bfloat16), "with test_probabilities of"),
        ("test_feature_rows", torch.tensor([2]), "with test_feature_rows from 2 to 2"),
    ],
)
def test_a_damaged_output_is_named_when_it_is_asked_for(
    name: str, value: torch.Tensor, message: str, tmp_path: Path
) -> None:
    folder = make_run(tmp_path, "maxl", 0, [1.0, 0.0]).folder
    removed("manifest.json")(folder)
    with_output(name, value)(folder)
    run = Run.read(folder)
    with pytest.raises(InputError, match=f"outputs.safetensors, found it {message}"):
        run.output(name)


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    make_run(tmp_path, "maxl", 0, [1.0])
    with pytest.raises(InputError, match=r"expected the folder of one run, found .* with 1 of them; give one, such as"):
        Run.read(tmp_path)
    with pytest.raises(InputError, match=r"found nothing; give one such as OUT/runs/maxl-0"):
        Run.read(tmp_path / "absent")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="found a file"):
        Run.read(str(tmp_path / "file"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"found no settings.yaml"):
        Run.read(tmp_path / "empty")


def test_an_unknown_output(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected 'features' among the outputs .* found .*test_correct"):
        make_run(tmp_path, "maxl", 0, [1.0]).output("features")


def test_records_are_lines_of_strict_json(tmp_path: Path) -> None:
    write_records(tmp_path, [{"epoch": 1, "test_loss": float("nan")}, {"epoch": 2, "test_loss": 0.5}])
    lines = (tmp_path / "records.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"epoch": 1, "test_loss": None},
        {"epoch": 2, "test_loss": 0.5},
    ]


@pytest.mark.parametrize(
    "name", ["settings.yaml", "records.jsonl", "outputs.safetensors", "weights.safetensors", "result.json"]
)
def test_one_bit_that_is_another_is_found_and_named(name: str, tmp_path: Path) -> None:
    run = make_run(tmp_path, "maxl", 0, [1.0, 0.0])
    content = bytearray((run.folder / name).read_bytes())
    for place in random.Random(0).sample(range(len(content)), 20):
        changed = content.copy()
        changed[place] ^= 1 << place % 8
        (run.folder / name).write_bytes(changed)
        with pytest.raises(InputError, match=rf"expected a whole .*{name}, found it changed since it was written"):
            read_all(run.folder)
    (run.folder / name).write_bytes(content)
    read_all(run.folder)


def read_all(folder: Path) -> None:
    run = Run.read(folder)
    run.output("test_correct")
    run.weights()


def test_a_run_of_a_later_format_is_refused(tmp_path: Path) -> None:
    folder = make_run(tmp_path, "maxl", 0, [1.0]).folder
    (folder / "manifest.json").write_text('{"format": 2, "sha256": {}}')
    with pytest.raises(InputError, match=r"expected a run of format 1 in .*, found 2; use the version of metaux that"):
        Run.read(folder)
    (folder / "manifest.json").write_text('{"format": 1}')
    with pytest.raises(InputError, match=r"manifest.json, found it without digests"):
        Run.read(folder)


def test_runs_that_started_otherwise_are_not_taken_for_these(tmp_path: Path) -> None:
    """Earlier versions started the published protocols from PyTorch's initialisation, and recorded none."""
    for protocol, refused in (("iclr", True), ("tuned", False)):
        folder = make_run(tmp_path / protocol, "maxl", 0, [1.0, 0.0], settings=Settings(protocol=protocol)).folder
        with_value("data", digits().digest)(folder)
        removed("manifest.json")(folder)
        if refused:
            with pytest.raises(InputError, match=r"start as the protocol says \(xavier-uniform\), found that those of"):
                check_unchanged([Run.read(folder)], digits())
        else:
            check_unchanged([Run.read(folder)], digits())
