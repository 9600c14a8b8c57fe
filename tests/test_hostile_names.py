"""Classes with names that would be paths, act or be endless, through every command: names of classes name no file."""

import json
import shutil
from pathlib import Path

import pytest

from metaux.files import to_csv
from shell import below, done, metaux, write_images

NAMES = (
    "../../../x",
    "/etc/x",
    "CON",
    "a\x1b[2J\x07\u202e",
    "</script><script>alert(1)</script>",
    "n" * 10_000,
    "{{x}}",
)
TRAIN = ("--method", "kmeans", "--subclasses", 2, "--backbone", "mlp", "--epochs", 1)
OURS = {"manifest.json", "outputs.safetensors", "records.jsonl", "result.json", "settings.yaml", "weights.safetensors"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a list of images of such classes, and a run on it."""
    path = tmp_path_factory.mktemp("names")
    folders = [f"{number}" for number in range(len(NAMES))]
    write_images(path / "images", tuple(folders), count=4)
    rows = [{"file": f"images/{f}/{n}.png", "label": NAMES[int(f)]} for f in folders for n in range(4)]
    (path / "list.csv").write_text(to_csv(rows), encoding="utf-8", newline="")
    done("train", path / "list.csv", *TRAIN, "--out", path / "run")
    return path


@pytest.mark.parametrize(
    ("words", "made"),
    [
        (["evaluate", "run"], []),
        (["evaluate", "run", "list.csv"], []),
        (["predict", "run", "images", "--out", "p.csv"], ["p.csv"]),
        (["labels", "run", "--out", "l.csv"], ["l.csv"]),
        (["report", "run"], ["run/report.html"]),
        (
            ["export", "run", "--to", "safetensors", "--out", "e"],
            ["e", "e/README.md", "e/metaux.json", "e/model.safetensors"],
        ),
    ],
    ids=str,
)
def test_a_class_may_be_called_anything(
    words: list[str], made: list[str], trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(trained)
    before = below(trained.parent)
    result = metaux(*words)
    assert (result.code, result.err) == (0, "")
    assert not set("\x1b\x07\u202e") & set(result.out)
    assert below(trained.parent).keys() - before.keys() == {f"{trained.name}/{name}" for name in made}


def test_a_run_leaves_its_own_files_alone(trained: Path) -> None:
    assert {path.name for path in (trained / "run").iterdir() if not path.name.startswith(".")} >= OURS
    assert {path.name for path in trained.iterdir()} <= {"images", "list.csv", "run", "p.csv", "l.csv", "e"}


def test_no_name_is_markup_in_the_report(trained: Path) -> None:
    done("report", trained / "run")
    assert "<script>alert(1)" not in (trained / "run" / "report.html").read_text("utf-8")


def test_class_folders_with_such_names(tmp_path: Path) -> None:
    """As far as the file system has them."""
    names = ("..x", "\x1b[2J", "n" * 255, "<b>", "a\nb")
    done("train", write_images(tmp_path / "images", names), *TRAIN, "--out", tmp_path / "run")
    said = done("evaluate", tmp_path / "run")
    assert "\x1b" not in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "run"]


def test_labels_of_a_run_that_names_no_files(trained: Path, tmp_path: Path) -> None:
    """As those of the first release."""
    shutil.copytree(trained / "run", tmp_path / "run")
    (tmp_path / "run" / "manifest.json").unlink()
    result = json.loads((tmp_path / "run" / "result.json").read_text("utf-8"))
    del result["train_names"]
    (tmp_path / "run" / "result.json").write_text(json.dumps(result))
    rows = done("labels", tmp_path / "run").splitlines()[1:]
    assert all(row.split(",")[1] == "" for row in rows)
