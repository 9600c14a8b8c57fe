"""The command line from end to end: help, what each command prints and writes, and names of every kind."""

import csv
import io
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from metaux.cli.evaluate import print_confusion
from metaux.cli.parsing import COMMANDS, parse
from metaux.errors import InputError
from metaux.runs.record import Run
from metaux.settings import Settings
from metaux.terminal import make_table, print_notes, reading
from shell import done, metaux, write_images, write_table

MAXL = ("--method", "maxl", "--epochs", 3, "--subclasses", 2)
ODD = ("[red]x", "a, \"b\" & 'c'", "ünï çødé ✓", ":smile:")


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


class TestHelp:
    @pytest.mark.parametrize("command", ["", *COMMANDS])
    def test_is_there_for_every_command(self, command: str) -> None:
        said = done(*filter(None, [command]), "--help")
        assert f"usage: metaux {command}".strip() in said
        assert "(default: None)" not in said
        if command:
            assert f"metaux {command}" in said.partition("For example:")[2]
        else:
            assert all(f" {name} " in said for name in COMMANDS)

    def test_is_there_whatever_the_configuration_holds(self, tmp_path: Path) -> None:
        for content in (None, "epochs: [", "epocs: 1", "&a [*a]"):
            file = tmp_path / f"{len(content or '')}.yaml"
            if content is not None:
                file.write_text(content)
            assert "usage: metaux train" in done("train", "--config", file, "--help")
            assert metaux("train", "--config", file).code == 2

    def test_no_command_is_a_call_for_help(self) -> None:
        assert done() == done("--help")

    def test_version_is_that_of_the_package(self) -> None:
        assert done("--version") == f"metaux {version('metaux')}\n"

    @pytest.mark.parametrize("words", [["--help"], ["compare", "--help"]])
    def test_needs_no_torch(self, words: list[str]) -> None:
        code = (
            "import sys, metaux.cli.main, metaux.cli.parsing\n"
            f"try: metaux.cli.parsing.parse({words})\n"
            "except SystemExit: pass\n"
            "heavy = {'torch', 'numpy', 'sklearn', 'lightning_fabric', 'matplotlib', 'pandas'} & set(sys.modules)\n"
            "sys.exit(', '.join(heavy) or None)"
        )
        found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert (found.returncode, found.stderr) == (0, "")


class TestParsing:
    def test_settings_come_from_options_over_file_over_defaults(self, tmp_path: Path) -> None:
        file = tmp_path / "c.yaml"
        file.write_text("data: table.npz\nepochs: 7\nthreads: 2\nmethods: [maxl]\nseeds: 4\nmethod: human\nseed: 9\n")
        command: Any = parse(["compare", "--config", str(file), "--epochs", "3"])
        assert command.settings == Settings(data="table.npz", epochs=3, threads=2)
        assert (command.methods, command.seeds) == (("maxl",), 4)
        command = parse(["train", "other", f"--config={file}", "--seed", "1"])
        assert command.settings == Settings(data="other", epochs=7, threads=2)
        assert (command.method, command.seed) == ("human", 1)

    def test_every_setting_is_an_option(self) -> None:
        words = (
            "compare d --root r --hierarchy h --primary p --auxiliary a --subclasses 2 3 --train-size 9 --train-seed 1 "
            "--evaluate-on validation --folds 3 --fold 1 "
            "--image-size 8 --labels l --given g --label y --ignore i j --group k --split s "
            "--no-header --resize stretch --pixel-range 0 1 --skip-damaged "
            "--augment crop --class-weights balanced --backbone mlp --pretrained --features f --embedding e "
            "--protocol iclr --epochs 2 --batch-size 5 --learning-rate 0.1 --weight-decay 0.2 "
            "--generator-learning-rate 0.3 --entropy-weight 0.4 --focal-gamma 2 --views apart --auxiliary-weight 2 "
            "--meta-gradient finite-difference --generator-decay 0.5 "
            "--optimizer adamw --warm-up 2 --label-smoothing 0.1 --mix both --trivial-augment on --weight-average 0.2 "
            "--head-epochs 4 "
            "--label-parameters clusters --iterations 3 --starts 2 --horizon 7 --weights w "
            "--device cpu --precision bf16-mixed --processes 2 --threads 3 --methods single maxl "
            "--seeds 5 --jobs 2 --out o"
        )
        command: Any = parse(words.split())
        assert (command.methods, command.seeds, command.workers.jobs, command.out) == (
            ("single", "maxl"),
            5,
            2,
            Path("o"),
        )
        default = Settings()
        assert not [name for name, value in vars(command.settings).items() if value == getattr(default, name)]

    @pytest.mark.parametrize("encoding", ["utf-8", "ascii"])  # a frame is drawn with what the terminal has
    @pytest.mark.parametrize(
        ("words", "said"),
        [
            ("train --epochs", "Missing value for argument '--epochs'. Expected 1 values"),
            ("train --epochs 1.5", "Error parsing --epochs: expected a whole number, or auto, found '1.5'"),
            ("recommend --minutes x", "Error parsing --minutes: expected a number, found 'x'"),
            (
                "benchmark --stage x",
                "invalid choice 'x' for argument '--stage'. Expected one of ('tune', 'plan', 'test')",
            ),
            ("labels", "Missing from metaux labels: RUN the folder of a finished run. (required)"),
        ],
    )
    def test_what_cannot_be_parsed_is_said_in_one_line(
        self, words: str, said: str, encoding: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
        with pytest.raises(InputError) as raised:
            parse(words.split())
        command = words.partition(" ")[0]
        assert str(raised.value) == f"expected other arguments, found: {said}; see metaux {command} --help"

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            ("trian pets", "unknown command 'trian'; did you mean 'train'? (known: compare, train, "),
            ("--quiet train", "unknown command '--quiet' (known: "),
            (
                "train --epohcs=3",
                "expected known options, found --epohcs=3; did you mean '--epochs'?; see metaux train",
            ),
            ("train --data photos", "expected known options, found --data; see metaux train --help"),
            ("predict run --epochs 3", "expected known options, found --epochs; see metaux predict --help"),
            ("train digits mnist", "expected no more words, found 'mnist'; see metaux train --help"),
        ],
    )
    def test_what_is_not_known_is_named_alone(self, words: str, said: str) -> None:
        result = metaux(*words.split())
        assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
        assert result.err.startswith(f"metaux: {said}")

    def test_an_earlier_name_of_a_command_still_works(self) -> None:
        named, renamed = metaux("benchmark", "--help"), metaux("contest", "--help")
        assert (renamed.code, renamed.out) == (0, named.out)
        assert (named.err, renamed.err.count("\n"), "now called benchmark" in renamed.err) == ("", 1, True)

    def test_an_error_names_the_file(self, tmp_path: Path) -> None:
        (tmp_path / "c.yaml").write_text("epocs: 7")
        with pytest.raises(InputError, match=r"found 'epocs'; did you mean 'epochs'\?.*c.yaml"):
            parse(["compare", "--config", str(tmp_path / "c.yaml")])


def test_a_folder_of_the_earlier_name_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    stopped = ("benchmark", "wine", "--jobs", -1)
    assert "metaux-contest" not in metaux(*stopped).out
    (tmp_path / "metaux-contest").mkdir()
    assert "continuing in metaux-contest" in metaux(*stopped).out
    (tmp_path / "metaux-benchmark").mkdir()
    assert "metaux-contest" not in metaux(*stopped).out


@pytest.fixture(scope="module")
def pets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of classes with odd names in train/ and test/, and a run on them."""
    path = tmp_path_factory.mktemp("pets")
    write_images(path / "images" / "train", ODD, 12)
    write_images(path / "images" / "test", ODD, 5)
    done("train", path / "images", *MAXL, "--out", path / "run")
    return path


class TestRun:
    def test_the_table_and_evaluate_say_the_same(self, pets: Path) -> None:
        table = done("train", pets / "images", *MAXL, "--out", pets / "run")
        run = Run.read(pets / "run")
        assert f"{100 * run.accuracy:.2f} %" in table
        own, explicit = done("evaluate", pets / "run"), done("evaluate", pets / "run", pets / "images")
        assert own == explicit
        for said in (table, own):
            assert f"{100 * run.accuracy:.2f} %" in said
            assert f"{100 * run.balanced_accuracy:.2f} %" in said
        assert "log loss" in own
        assert "calibration error" in own
        assert "20 test samples of" in own

    def test_evaluate_takes_a_folder_without_parts_as_a_whole(self, pets: Path) -> None:
        said = " ".join(done("evaluate", pets / "run", pets / "images" / "train").split())
        assert "48 samples, all of" in said
        assert "If the run learned from some of these samples, this is not its accuracy on new ones." in said

    def test_evaluate_never_takes_training_samples_for_new_ones(self, tmp_path: Path) -> None:
        table = write_table(tmp_path / "t.npz")
        done("train", table, "--method", "single", "--epochs", 1, "--out", tmp_path / "run")
        finer = tmp_path / "finer.csv"
        finer.write_text("class,finer\n0,0\n1,1\n")
        refused = metaux("evaluate", tmp_path / "run", table, "--hierarchy", finer)
        assert refused.code == 2
        assert "expected other data than the run's own for --hierarchy" in refused.err
        with np.load(table) as found:
            x, y = found["x"], found["y"]
        np.savez(table, x=np.concatenate([x, x[:10]]), y=np.concatenate([y, y[:10]]))
        assert "the data has changed, and the run may have learned" in metaux("evaluate", tmp_path / "run").err
        order = np.argsort(y, kind="stable")[::-1]  # other samples of the same classes, as far as labels tell
        np.savez(table, x=x[order][np.argsort(np.argsort(y, kind="stable"))], y=y)
        said = " ".join(done("evaluate", tmp_path / "run").split())
        assert "The data has changed since the run: it may have learned from some of these samples." in said
        write_table(table, classes=("ant", "bee"))
        assert "the data has changed" in metaux("evaluate", tmp_path / "run").err

    def test_what_is_read_is_never_written_over(self, pets: Path, tmp_path: Path) -> None:
        photo = tmp_path / "photo.png"
        photo.write_bytes((pets / "images" / "test" / ODD[0] / "0.png").read_bytes())
        said = metaux("predict", pets / "run", photo, "--out", photo)
        assert (said.code, "found another one, which would be lost; give another --out" in said.err) == (2, True)
        assert photo.read_bytes().startswith(b"\x89PNG")
        if hasattr(os, "mkfifo"):  # like a device, it is there to be written to, not to be replaced
            os.mkfifo(tmp_path / "pipe")
            said = metaux("predict", pets / "run", photo, "--out", tmp_path / "pipe")
            assert (said.code, "expected a file to write to, found the device" in said.err) == (2, True)
        table = tmp_path / "table.csv"
        done("predict", pets / "run", photo, "--out", table)
        done("predict", pets / "run", photo, "--out", table)
        assert "would be lost" in metaux("labels", pets / "run", "--out", table).err

    def test_predicts_images_and_folders(self, pets: Path) -> None:
        one = pets / "images" / "test" / ODD[0] / "0.png"
        found = rows(done("predict", pets / "run", pets / "images" / "test", one))
        assert list(found[0]) == ["file", "class", "probability", "subclass"]
        assert len(found) == 21
        assert found[-1]["file"] == str(one)
        assert {row["class"] for row in found} <= set(ODD)
        assert all(row["subclass"] in (f"{row['class']}/0", f"{row['class']}/1") for row in found)
        assert all(0.25 <= float(row["probability"]) <= 1 for row in found)

    def test_writes_a_file_with_the_same_content(self, pets: Path, tmp_path: Path) -> None:
        for words in (("labels", pets / "run"), ("predict", pets / "run", pets / "images" / "test")):
            assert done(*words, "--out", tmp_path / "new" / f"{words[0]}.csv") == ""
            assert (tmp_path / "new" / f"{words[0]}.csv").read_text(encoding="utf-8") == done(*words)

    def test_labels_of_every_training_sample(self, pets: Path) -> None:
        found = rows(done("labels", pets / "run"))
        assert sorted(row["file"] for row in found) == sorted(map(str, (pets / "images" / "train").rglob("*.png")))
        assert {row["class"] for row in found} == set(ODD)
        for row in found:
            assert Path(row["file"]).parent.name == row["class"]
            assert row["subclass"].startswith(f"{row['class']}/")
            assert 0.5 <= float(row["probability"]) <= 1

    def test_names_are_shown_as_they_are(self, pets: Path) -> None:
        said = done("evaluate", pets / "run")
        assert all(name in said for name in ODD)


def test_equal_commands_give_equal_bytes(tmp_path: Path) -> None:
    words = ("train", "digits", "--train-size", 200, "--epochs", 2)
    for name in ("a", "b"):
        done(*words, "--out", tmp_path / name)
    done("train", "--config", tmp_path / "a" / "settings.yaml", "--out", tmp_path / "c")
    weights = {(tmp_path / name / "weights.safetensors").read_bytes() for name in ("a", "b", "c")}
    assert len(weights) == 1


def test_default_folder_is_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_table(tmp_path / "t.npz")
    words = ("train", "t.npz", "--backbone", "mlp", "--epochs")
    for epochs in (1, 1, 2):
        done(*words, epochs)
    found = sorted((tmp_path / "metaux-runs").iterdir())
    assert [path.name.rpartition("-")[0] for path in found] == ["t-single-0"] * 2


def test_predicts_and_evaluates_tables(tmp_path: Path) -> None:
    write_table(tmp_path / "t.npz", 200, fine=True)
    done("train", tmp_path / "t.npz", "--method", "human", "--epochs", 5, "--backbone", "mlp", "--out", tmp_path / "r")
    np.savez(tmp_path / "new.npz", x=np.array([[0, -2.0, 0, 0], [2, 2.0, 0, 0]]))
    found = rows(done("predict", tmp_path / "r", tmp_path / "new.npz"))
    assert [(row["file"], row["class"]) for row in found] == [("0", "cat"), ("1", "dog")]
    assert all(row["subclass"].startswith(row["class"] + " ") for row in found)


def test_evaluates_data_with_finer_labels_through_the_hierarchy(tmp_path: Path) -> None:
    (tmp_path / "h.csv").write_text("kind,breed\ncat,tabby\ncat,manx\ndog,pug\ndog,boxer\n")
    write_images(tmp_path / "coarse", ("cat", "dog"), 10)
    write_images(tmp_path / "fine", ("tabby", "pug"), 10)
    write_images(tmp_path / "named", ("cat", "dog"), 10)
    run = tmp_path / "run"
    done("train", tmp_path / "coarse", "--hierarchy", tmp_path / "h.csv", "--epochs", 2, "--out", run)
    fine, named = (done("evaluate", run, tmp_path / name).partition("┏")[2] for name in ("fine", "named"))
    assert fine == named
    assert "accuracy" in fine


def test_names_with_markup_are_no_markup(tmp_path: Path) -> None:
    names = ("[red]x[/red]", "[/]")
    done("train", write_table(tmp_path / "t.npz", 60, names), "--epochs", 1, "--out", tmp_path / "run")
    said = done("evaluate", tmp_path / "run")
    assert all(name in said for name in names)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_file_name_that_is_no_text_is_escaped(tmp_path: Path) -> None:
    write_images(tmp_path / "images")
    for place in range(6):
        odd = Path(os.fsdecode(bytes(tmp_path / "images" / "cat") + b"/\xff%d.png" % place))
        (tmp_path / "images" / "cat" / f"{place}.png").rename(odd)
    done("train", tmp_path / "images", "--epochs", 1, "--out", tmp_path / "run")
    names = {str(path) for path in (tmp_path / "images").rglob("*.png")}
    assert set(Run.read(tmp_path / "run").result["train_names"]) < names
    said = done("predict", tmp_path / "run", odd)
    assert "\\udcff5.png,cat," in said or "\\udcff5.png,dog," in said


def test_reading_is_shown_on_a_terminal_only() -> None:
    for terminal in (True, False):
        file = io.StringIO()
        with reading(Console(file=file, force_terminal=terminal, width=80)) as progress:
            progress(2000, 50000)
        assert ("reading the data" in file.getvalue()) == terminal
        assert bool(file.getvalue()) == terminal


def test_a_table_cuts_no_word() -> None:
    file = io.StringIO()
    Console(file=file, width=20).print(make_table(("name",), [("finite-differences-everywhere",)]))
    assert "…" not in file.getvalue()


def test_a_file_is_no_terminal_whatever_the_environment_says() -> None:
    code = "from metaux.terminal import make_console; print(make_console().is_terminal)"
    forced = {**os.environ, "FORCE_COLOR": "1"}
    found = subprocess.run([sys.executable, "-c", code], env=forced, capture_output=True, text=True)
    assert (found.returncode, found.stdout) == (0, "False\n"), found.stderr


def test_many_classes_are_shown_as_their_confusions() -> None:
    names = [f"class {number} [b]" for number in range(25)]
    counts = [[5 * (true == predicted) for predicted in range(25)] for true in range(25)]
    counts[3][7] = 2
    file = io.StringIO()
    print_confusion(counts, names, Console(file=file, width=80, markup=False))
    assert "class 3 [b]" in file.getvalue()
    assert "class 4 [b]" not in file.getvalue()
    file = io.StringIO()
    print_confusion([row[:10] for row in counts[:10]], names[:10], Console(file=file, width=80, markup=False))
    assert all(f"{number + 1} {name}" in file.getvalue() for number, name in enumerate(names[:10]))


def test_a_note_is_wrapped_under_itself() -> None:
    file = io.StringIO()
    print_notes(["one two three four [five]"], Console(file=file, width=20, markup=False))
    assert [line.rstrip() for line in file.getvalue().splitlines()] == ["note: one two three", "      four [five]"]


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["labels", "--help"]], ids=" ".join)
def test_a_reader_that_has_seen_enough_is_no_error(words: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    command = [sys.executable, "-m", "metaux", *words]
    found = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, env=buffered)
    os.close(write)
    assert (found.returncode, found.stderr) == (0, "")


def test_a_disk_that_is_full_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_table(tmp_path / "t.npz")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    result = metaux("train", tmp_path / "t.npz", "--backbone", "mlp", "--epochs", 1, "--out", tmp_path / "out")
    assert (result.code, result.err.count("\n")) == (1, 1)
    assert "No space left on device" in result.err


def test_predicts_for_a_list_of_images(tmp_path: Path) -> None:
    write_images(tmp_path / "photos", count=10)
    done("train", tmp_path / "photos", "--method", "single", "--epochs", 1, "--out", tmp_path / "run")
    (tmp_path / "photos" / "new.csv").write_text("file\ncat/1.png\ndog/2.png\n")
    listed = done("predict", tmp_path / "run", tmp_path / "photos" / "new.csv").splitlines()
    files = [tmp_path / "photos" / name for name in ("cat/1.png", "dog/2.png")]
    assert [line.partition(",")[2] for line in listed] == [
        line.partition(",")[2] for line in done("predict", tmp_path / "run", *files).splitlines()
    ]
    assert [line.partition(",")[0] for line in listed] == ["file", "cat/1.png", "dog/2.png"]  # as the list has them
    assert len(listed) == 3
