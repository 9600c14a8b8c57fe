"""Names from data that would act: on a spreadsheet, as a formula, or on a terminal, as an escape sequence."""

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaux.data.frames import read_table
from metaux.files import cell_text, to_csv
from metaux.terminal import make_console, make_table, print_json, print_notes
from metaux.words import visible
from shell import done, metaux, write_table

FORMULA = '=HYPERLINK("http://example.org")'
CLEAR = "\x1b[2Jdog\x9b1m"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "'=", "＝"])
def test_a_formula_becomes_text_and_is_read_back(start: str, tmp_path: Path) -> None:
    text = to_csv([{"label": f"{start}1+1", "x": -0.5}])
    [[cell, number]] = list(csv.reader(io.StringIO(text, newline="")))[1:]
    assert (cell, number) == (f"'{start}1+1", "-0.5")
    (tmp_path / "t.csv").write_text(text, encoding="utf-8", newline="")
    assert tuple(read_table(tmp_path / "t.csv").cells["label"]) == (f"{start}1+1",)


@pytest.mark.parametrize("text", ["-1", "+2.5", "-1e-05", "cat", "'tis", "a=b", ""])
def test_numbers_and_words_stay(text: str) -> None:
    assert to_csv([{"class": text, "n": 1}]) == f"class,n\n{text},1\n"


@given(st.text(alphabet="'=+-@\t\r\n\",1a"))
def test_every_text_is_read_back(text: str) -> None:
    [[cell]] = list(csv.reader(io.StringIO(to_csv([{"class": text}]), newline="")))[1:]
    assert cell_text(cell) == text


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("acting")
    write_table(path / "t.npz", classes=(FORMULA, CLEAR))
    done("train", path / "t.npz", "--epochs", 1, "--backbone", "mlp", "--method", "uniform", "--out", path / "run")
    return path


@pytest.mark.parametrize("command", ["predict", "labels"])
def test_commands_write_no_formula(command: str, trained: Path) -> None:
    out = trained / f"{command}.csv"
    done(command, trained / "run", *([trained / "t.npz"] if command == "predict" else []), "--out", out)
    table = read_table(out).cells
    assert set(table["class"]) <= {FORMULA, CLEAR}
    cells = [cell for row in csv.reader(io.StringIO(out.read_text("utf-8"))) for cell in row]
    assert not [cell for cell in cells if cell.startswith("=")]


def test_evaluate_shows_names_without_acting(trained: Path) -> None:
    said = done("evaluate", trained / "run")
    assert "\\x1b[2Jdog\\x9b1m" in said
    assert not set("\x1b\x9b") & set(said)
    said = done("evaluate", trained / "run", "--json")
    assert not set("\x1b\x9b") & set(said)
    assert CLEAR in json.loads(said)["class_names"]


def test_an_error_shows_a_name_without_acting(tmp_path: Path) -> None:
    result = metaux("train", tmp_path / "\x1b[2J.npz")
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert "\\x1b[2J.npz" in result.err
    assert "\x1b" not in result.err


def test_a_long_name_leaves_its_sentence_readable(tmp_path: Path) -> None:
    name = 10_000 * "n"
    (tmp_path / "t.csv").write_text(f"a,label\n1,{name}\n2,x\n3,x\n")
    result = metaux("train", tmp_path / "t.csv", "--out", tmp_path / "out")
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert len(result.err) < 2100
    assert result.err.startswith("metaux: expected two training samples or more of every class, found 1 of 'nnn")
    assert result.err.endswith("leave its samples out (in a table: empty their labels)\n")


def test_nothing_that_is_printed_acts(capsys: pytest.CaptureFixture[str]) -> None:
    console = make_console()
    console.print(CLEAR)
    console.print(make_table((CLEAR,), [(CLEAR,)], CLEAR))
    print_notes([CLEAR], console)
    print_json({"name": CLEAR})
    said = capsys.readouterr().out
    assert not set("\x1b\x9b") & set(said)
    assert said.count("\\x1b[2Jdog") == 5
    assert json.loads(said[said.index("{") :]) == {"name": CLEAR}


def test_text_without_control_characters_is_shown_as_it_is() -> None:
    text = "naïve\tcafé\n猫"
    assert visible(text) == text
