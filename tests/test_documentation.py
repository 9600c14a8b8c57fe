"""The pages are honest: their Python runs, their commands, options and files exist, their numbers are the records'."""

import re
import runpy
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from shell import metaux
from test_readme import ROOT, blocks

DOCS, RESULTS = ROOT / "docs", ROOT / "results"
MARKDOWN = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "examples/README.md")]
MARKDOWN += [RESULTS / "README.md", *sorted(DOCS.glob("**/*.md"))]
PYTHON = [page for page in MARKDOWN if "```python" in page.read_text()]
LOG = DOCS / "log.md"  # shows commands of earlier commits, too
MOST_WORDS = {"README.md": 750, "docs/does-it-help.md": 1500, "docs/reproduction.md": 1500}


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PYTHON, ids=name)
def test_python_of_a_page(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for code in blocks("python", name(page)):
        exec(compile(code, name(page), "exec"), {})
    if "print(" in code:
        assert capsys.readouterr().out.strip()


def test_examples_are_as_good_as_they_should_be(capsys: pytest.CaptureFixture[str]) -> None:
    for page in ("own-network", "own-label-source"):
        [code] = blocks("python", f"docs/how-to/{page}.md")
        exec(compile(code, page, "exec"), {})
        assert 0.8 <= float(capsys.readouterr().out) <= 1


def test_pictures_are_drawn_from_the_records(tmp_path: Path) -> None:
    runpy.run_path(str(DOCS / "pictures.py"))["draw_all"](tmp_path)
    drawn = sorted(path.name for path in tmp_path.iterdir())
    assert drawn == sorted(path.name for path in (DOCS / "_static").glob("*.svg"))


@pytest.mark.parametrize("page", MARKDOWN, ids=name)
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    text = page.read_text()
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    missing = [link for link in links if link and not (page.parent / link).exists()]
    named = re.findall(r"`((?:benchmarks|docs|examples|results|src|tests)/[\w./-]+)`", text)
    missing += [path for path in named if not (ROOT / path).exists()]
    assert not missing


def commands(page: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield each command that a page shows, and its options."""
    text = page.read_text()
    shown = [
        line
        for block in re.findall(r"```(?:console|bash|sh)\n(.*?)```", text, re.DOTALL)
        for line in block.splitlines()
    ]
    shown += re.findall(r"`(metaux [^`]+)`", text)
    for line in shown:
        for part in line.split("#")[0].split("&&"):
            if words := re.match(r"\s*metaux ([a-z]+)(.*)", part):
                yield words[1], re.findall(r"--[a-z-]+", words[2])


def test_every_command_and_option_that_a_page_shows_is_there() -> None:
    used: dict[str, set[str]] = {}
    for page in MARKDOWN:
        if page != LOG:
            for command, options in commands(page):
                used.setdefault(command, set()).update(options)
    for command, options in used.items():
        shown = metaux(command, "--help")
        assert shown.code == 0, command
        assert not {option for option in options if option not in f"{shown.out} --help"}, command


@pytest.mark.parametrize("page", MOST_WORDS)
def test_a_page_that_many_read_is_short(page: str) -> None:
    text = (ROOT / page).read_text()
    assert len(text.split()) <= MOST_WORDS[page]
    assert len(tables(text)) <= 3


def test_the_notebook_of_a_minute() -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    notebook = nbformat.read(DOCS / "notebooks" / "digits.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)  # committed without
    nbclient.NotebookClient(notebook, timeout=300).execute()
    table = notebook.cells[2].outputs[0]["data"]["text/plain"]
    assert all(method in table for method in ("single", "uniform", "frozen", "maxl"))


# The records, and what the pages quote of them.

STUDIES = ("benchmark/", "compare/", "recommend/", "longer/", "views/", "variants/screened-", "variants/tested-")
KEYS = ("data_set", "run", "epochs")  # that a study may have, beside row and seed


@cache
def record(file: str) -> pd.DataFrame:
    return pd.read_csv(RESULTS / file, keep_default_na=False, na_values=[""])


@pytest.mark.parametrize("study", STUDIES)
def test_every_difference_follows_from_the_accuracies(study: str) -> None:
    accuracies, differences = record(f"{study}accuracies.csv"), record(f"{study}differences.csv")
    keys = [key for key in KEYS if key in accuracies]
    by_row = {key: rows.set_index("seed")["accuracy"] for key, rows in accuracies.groupby([*keys, "row"])}
    for line in differences.itertuples():
        place = tuple(getattr(line, key) for key in keys)
        if (*place, line.minus) not in by_row:  # the search records these differences alone
            assert study == "recommend/"
            assert line.minus == "single, same time" or line.minus.endswith(", shuffled")
            continue
        values = (by_row[*place, line.row] - by_row[*place, line.minus]).dropna()
        assert len(values) == line.n
        half = stats.t.ppf(0.975, line.n - 1) * values.std(ddof=1) / np.sqrt(line.n) if line.n > 1 else np.nan
        expected = [values.mean(), values.mean() - half, values.mean() + half]
        assert [line.mean, line.low, line.high] == pytest.approx(expected, abs=1e-9, nan_ok=True), line


def tables(text: str) -> list[list[dict[str, str]]]:
    """Return the tables of a page, each as its lines by the names of its columns."""
    found = []
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        lines = [[cell.strip() for cell in line.strip("| \n").split(" | ")] for line in block.splitlines()]
        found.append([dict(zip(lines[0], line, strict=True)) for line in lines[2:]])
    return found


def agrees(shown: str, numbers: Sequence[float]) -> bool:
    """Whether a cell or a phrase shows these fractions, in per cent, rounded to the decimals that it has."""
    texts = re.findall(r"[-+]?\d+(?:\.\d+)?", shown)
    decimals = [len(text.partition(".")[2]) for text in texts]
    return len(texts) == len(numbers) and all(
        abs(float(text) - 100 * number) <= 0.5 * 10.0**-places + 1e-6
        for text, number, places in zip(texts, numbers, decimals, strict=True)
    )


def line_of(file: str, **keys: object) -> Any:
    lines = record(file)
    for key, value in keys.items():
        lines = lines[lines[key] == value]
    [line] = lines.itertuples()
    return line


def difference(study: str, **keys: object) -> list[float]:
    line = line_of(f"{study}differences.csv", **keys)
    return [line.mean, line.low, line.high]


def accuracy(study: str, **keys: object) -> list[float]:
    line = line_of(f"{study}rows.csv", **keys)
    return [line.accuracy, max(line.low, 0), min(line.high, 1)]


# Which row a column shows, and what it is compared with; braces: " apart" where the table's line says so.
COLUMNS = {
    "MAXL": ("maxl", "single"),
    "MAXL minus single": ("maxl", "single"),
    "MAXL minus frozen": ("maxl", "frozen"),
    "MAXL minus its labels, shuffled": ("maxl", "maxl, shuffled"),
    "joint labels": ("transformation", "single"),
    "human sub-classes": ("human", "single"),
    "human minus single": ("human", "single"),
    "single task, same time": ("single, compute of transformation", "single"),
    "minus single": ("transformation{}", "single"),
    "minus the copies, class alone": ("transformation{}", "transformed{}"),
    "minus shuffled names": ("transformation{}", "transformation-shuffled{}"),
    "minus single, same time": ("transformation{}", "single, compute of transformation{}"),
}


@pytest.mark.parametrize(
    ("page", "place"), [("README.md", 0), ("docs/does-it-help.md", 0), ("docs/does-it-help.md", 1)]
)
def test_tables_of_the_benchmark_are_the_records(page: str, place: int) -> None:
    sets = record("benchmark/data-sets.csv")
    for line in tables((ROOT / page).read_text())[place]:
        (_, title), *cells = line.items()
        title, apart, _ = title.partition(", apart")
        found = sets[sets["title"] == title]
        data_set, last = (
            found["data_set"].iloc[0],
            found["run"].iloc[-1],
        )  # where there are two runs, MAXL's is the second
        for column, shown in cells:
            if column == "n":
                assert int(shown) == found["seeds"].iloc[-1]
            elif column == "single task, %":
                assert agrees(shown, accuracy("benchmark/", row="single", data_set=data_set, run=last)), line
            elif shown != "-":
                row, minus = (name.format(apart.replace(",", "")) for name in COLUMNS[column])
                run = last if row == "maxl" else "first"
                numbers = difference("benchmark/", row=row, minus=minus, data_set=data_set, run=run)
                assert agrees(shown, numbers), (title, column, shown, numbers)


def test_table_of_the_searches_is_the_records() -> None:
    searches = record("recommend/searches.csv").set_index("title")
    lines = tables((DOCS / "does-it-help.md").read_text())[2]
    assert [line["data"] for line in lines] == list(searches.index)
    own = {"distilled": "self-distilled", "transformation": "transformed"}
    for line in lines:
        search = searches.loc[line["data"]]
        data_set, row = search["data_set"], search["best_on_validation"].removesuffix(" apart")
        assert line["best on validation data"] == search["best_on_validation"]
        assert agrees(line["single task, %"], accuracy("recommend/", row="single", data_set=data_set))
        for minus in ("single", "single, same time"):
            assert agrees(line[f"minus {minus}"], difference("recommend/", row=row, minus=minus, data_set=data_set))
        if row in own:
            assert agrees(
                line["minus its own control"], difference("recommend/", row=row, minus=own[row], data_set=data_set)
            )


def test_every_interval_in_the_text_is_a_recorded_one() -> None:
    numbers = [record(f"{study}differences.csv")[["mean", "low", "high"]] for study in STUDIES]
    numbers += [record("mechanism/shares.csv")[["mean", "low", "high"]] / 100]
    known = pd.concat(numbers).dropna().to_numpy()
    said = " ".join(record("reproduce/items.csv")["found"]).replace("points ", "")
    for page in MARKDOWN:
        text = page.read_text().replace("points ", "")
        for shown in set(re.findall(r"[-+]\d+\.\d+\s\[[-+]\d+\.\d+, [-+]\d+\.\d+\]", text)):
            mean = float(shown.split()[0]) / 100
            near = known[np.abs(known[:, 0] - mean) < 0.001]
            assert shown in said or any(agrees(shown, line) for line in near), (page, shown)


def test_the_readme_ends_its_example_with_the_recorded_verdict() -> None:
    [shown] = blocks("text")
    verdict = record("compare/data-sets.csv").set_index("data_set")["verdict"]["digits"]
    assert " ".join(shown.split()).endswith(verdict.partition(": ")[2])
