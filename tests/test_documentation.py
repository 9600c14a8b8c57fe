"""The pages are honest: their Python runs, their commands, options and files exist, their numbers are the records'."""

import csv
import json
import re
import runpy
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from shell import metaux
from test_architecture import HOUSE, SOURCE
from test_readme import ROOT, blocks

DOCS, RESULTS = ROOT / "docs", ROOT / "results"
MARKDOWN = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "examples/README.md")]
MARKDOWN += [RESULTS / "README.md", *sorted(DOCS.glob("**/*.md"))]
PYTHON = [page for page in MARKDOWN if "```python" in page.read_text()]
MOST_WORDS = {"README.md": 750, "docs/does-it-help.md": 1500, "docs/reproduction.md": 1500}


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PYTHON, ids=name)
def test_python_of_a_page(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for code in blocks("python", name(page)):
        exec(compile(code, name(page), "exec"), {})
    said = capsys.readouterr().out.strip()
    assert bool(said) == ("print(" in code)
    accuracies = [float(word) for word in said.strip("[]").split()]
    assert all(0.8 <= accuracy <= 1 for accuracy in accuracies)


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


def test_the_design_page_names_the_rooms_and_files_that_there_are() -> None:
    text = (DOCS / "design.md").read_text()
    assert [room for room in HOUSE if room not in text] == []
    files = re.findall(r"`((?:[a-z_]+/)*(?:[a-z_]+/|[a-z_]+\.py))`", text)
    assert [file for file in files if not ((SOURCE / file).exists() or (ROOT / file).exists())] == []


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
        for command, options in commands(page):
            used.setdefault(command, set()).update(options)
    for command, shown in used.items():
        help_text = metaux(command, "--help")
        assert help_text.code == 0, command
        assert not {option for option in shown if option not in f"{help_text.out} --help"}, command


@pytest.mark.parametrize("page", MOST_WORDS)
def test_a_page_that_many_read_is_short(page: str) -> None:
    text = (ROOT / page).read_text()
    assert len(text.split()) <= MOST_WORDS[page]
    assert len(tables(text)) <= 3


@pytest.mark.filterwarnings("default")  # of a backend that shows nothing
def test_the_notebook_of_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPLBACKEND", "agg")
    notebook = json.loads((DOCS / "notebooks" / "digits.ipynb").read_text())
    found: dict[str, Any] = {}
    for cell in notebook["cells"]:
        assert not cell.get("outputs")  # committed without
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), cell["id"], "exec"), found)
    assert list(found["accuracy"]) == ["single", "uniform", "frozen", "maxl"]
    assert found["accuracy"].to_numpy().min() > 80


# The records, and what the pages quote of them.

STUDIES = (
    "benchmark/",
    "compare/",
    "recommend/",
    "longer/",
    "views/",
    "recipe/",
    "recipe/sharpness-",
    "variants/screened-",
    "variants/tested-",
    *(f"unrolled/{file.name.removesuffix('differences.csv')}" for file in RESULTS.glob("unrolled/*-differences.csv")),
)
KEYS = ("data_set", "run", "epochs")  # that a study may have, beside row and seed
NAN = float("nan")


@cache
def record(file: str) -> list[dict[str, str]]:
    with (RESULTS / file).open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


def numbers(line: Mapping[str, str], *columns: str) -> list[float]:
    return [float(line[column] or NAN) for column in columns]


def only(file: str, **keys: str) -> dict[str, str]:
    """Return the one line of a record that has these values."""
    [line] = [line for line in record(file) if keys.items() <= line.items()]
    return line


def difference(study: str, **keys: str) -> list[float]:
    return numbers(only(f"{study}differences.csv", **keys), "mean", "low", "high")


def accuracy(study: str, **keys: str) -> list[float]:
    mean, low, high = numbers(only(f"{study}rows.csv", **keys), "accuracy", "low", "high")
    return [mean, max(low, 0.0), min(high, 1.0)]


@pytest.mark.parametrize("study", STUDIES)
def test_every_difference_follows_from_the_accuracies(study: str) -> None:
    by_row: dict[tuple[str, ...], dict[str, float]] = {}
    for line in record(f"{study}accuracies.csv"):
        place = tuple(line[key] for key in KEYS if key in line)
        by_row.setdefault((*place, line["row"]), {})[line["seed"]] = float(line["accuracy"])
    for line in record(f"{study}differences.csv"):
        place = tuple(line[key] for key in KEYS if key in line)
        own, other = by_row[*place, line["row"]], by_row.get((*place, line["minus"]))
        if other is None:  # the search records these differences alone
            assert study == "recommend/"
            assert line["minus"] == "single, same time" or line["minus"].endswith(", shuffled")
            continue
        values = [value - other[seed] for seed, value in own.items() if seed in other]
        assert len(values) == int(line["n"])
        mean, half = np.mean(values), NAN
        if len(values) > 1:
            half = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
        expected = [mean, mean - half, mean + half]
        assert numbers(line, "mean", "low", "high") == pytest.approx(expected, abs=1e-9, nan_ok=True), line


def tables(text: str) -> list[list[dict[str, str]]]:
    """Return the tables of a page, each as its lines by the names of its columns."""
    found = []
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        lines = [[cell.strip() for cell in line.strip("| \n").split(" | ")] for line in block.splitlines()]
        found.append([dict(zip(lines[0], line, strict=True)) for line in lines[2:]])
    return found


def agrees(shown: str, fractions: Sequence[float]) -> bool:
    """Whether a cell or a phrase shows these fractions, in per cent, rounded to the decimals that it has."""
    texts = re.findall(r"[-+]?\d+(?:\.\d+)?", shown)
    decimals = [len(text.partition(".")[2]) for text in texts]
    return len(texts) == len(fractions) and all(
        abs(float(text) - 100 * fraction) <= 0.5 * 10.0**-places + 1e-6
        for text, fraction, places in zip(texts, fractions, decimals, strict=True)
    )


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
    for line in tables((ROOT / page).read_text())[place]:
        (_, title), *cells = line.items()
        title, apart, _ = title.partition(", apart")
        runs = [run for run in record("benchmark/data-sets.csv") if run["title"] == title]
        data_set, last = runs[0]["data_set"], runs[-1]["run"]  # where there are two runs, MAXL's is the second
        for column, shown in cells:
            if column == "n":
                assert shown == runs[0]["seeds"]
            elif column == "single task, %":
                assert agrees(shown, accuracy("benchmark/", row="single", data_set=data_set, run=last)), line
            elif shown != "-":
                row, minus = (name.format(apart.replace(",", "")) for name in COLUMNS[column])
                run = last if row == "maxl" else "first"
                found = difference("benchmark/", row=row, minus=minus, data_set=data_set, run=run)
                assert agrees(shown, found), (title, column, shown, found)


def test_table_of_the_searches_is_the_records() -> None:
    lines = tables((DOCS / "does-it-help.md").read_text())[2]
    own = {"distilled": "self-distilled", "transformation": "transformed"}
    for line, search in zip(lines, record("recommend/searches.csv"), strict=True):
        data_set, row = search["data_set"], search["best_on_validation"].removesuffix(" apart")
        assert line["data"] == search["title"]
        assert line["best on validation data"] == search["best_on_validation"]
        assert agrees(line["single task, %"], accuracy("recommend/", row="single", data_set=data_set))
        minus = {f"minus {name}": name for name in ("single", "single, same time")}
        if row in own:
            minus["minus its own control"] = own[row]
        for column, name in minus.items():
            assert agrees(line[column], difference("recommend/", row=row, minus=name, data_set=data_set)), column


def test_table_of_what_is_handed_over_is_the_record() -> None:
    page = (DOCS / "how-to" / "recommend.md").read_text()
    others = ("single", "logistic_regression", "gradient_boosting", "linear_probe", "from_scratch", "timm_resnet18")
    for line, found in zip(tables(page)[0], record("recommend/handed-over.csv"), strict=True):
        assert [line["data"], line["handed over"]] == [found["data_set"], found["handed_over"]]
        assert agrees(line["its accuracy"], numbers(found, "accuracy", "low", "high"))
        assert line["fresh samples"] == found["fresh"]
        assert agrees(line["default network"], numbers(found, "single"))
        best = max((float(found[name]), name) for name in others if found[name])
        shown, name = line["best of the others"].split(", ")
        assert agrees(shown, best[:1])
        assert name.replace("-", "_") == best[1]
        assert float(found["high"]) >= best[0]  # as the text says


def test_every_interval_in_the_text_is_a_recorded_one() -> None:
    lines = [line for study in STUDIES for line in record(f"{study}differences.csv")]
    known = [numbers(line, "mean", "low", "high") for line in lines]
    said = " ".join(item["found"] for item in record("reproduce/items.csv")).replace("points ", "")
    for page in MARKDOWN:
        text = page.read_text().replace("points ", "")
        for shown in set(re.findall(r"[-+]\d+\.\d+\s\[[-+]\d+\.\d+, [-+]\d+\.\d+\]", text)):
            near = [line for line in known if abs(line[0] - float(shown.split()[0]) / 100) < 0.001]
            assert shown in said or any(agrees(shown, line) for line in near), (page, shown)


UNROLLED = DOCS / "label-sources" / "unrolled.md"


def between(start: str, end: str) -> str:
    return UNROLLED.read_text().split(f"**{start}")[1].split(f"**{end}")[0]


def test_what_is_said_of_starts_in_turn_is_the_record() -> None:
    page, study = between("Starts in turn.", "Does the outer loss"), "unrolled/cifar100-3-turns-"
    named = {
        "its own shuffle": "table, shuffled",
        "equally sharp ones at random": "table, equally sharp at random",
        "single task": "single",
        "single task, twice the epochs": "single, 2 times the epochs",
        "single task, four times the epochs": "single, 4 times the epochs",
    }
    [shown] = tables(page)
    above, corrected, wider = 0, list[str](), stats.t.ppf(1 - 0.025 / len(shown), 4) / stats.t.ppf(0.975, 4)
    for line in shown:
        own = only(f"{study}differences.csv", row="table", minus=named.get(line["minus"], line["minus"]))
        mean, low, high = numbers(own, "mean", "low", "high")
        assert agrees(line["points"], [mean, low, high])
        above += low > 0
        corrected += [line["minus"]] if mean > wider * (mean - low) else []
    assert (len(shown), above) == (7, 5)
    assert "Five intervals are above zero" in page
    assert corrected == ["equally sharp ones at random", "single task, twice the epochs"]
    rows = record(f"{study}accuracies.csv")
    own_time, single = (
        sum(float(line["seconds"]) for line in rows if line["row"] == name) for name in ("table", "single")
    )
    assert f"took {own_time / single:.0f} times as long as single task" in " ".join(UNROLLED.read_text().split())


def test_what_a_step_along_the_gradient_promises_is_the_record() -> None:
    page, lines = between("Does the outer loss", "How far back?"), record("horizon/promised.csv")
    [shown] = tables(page)
    for line in shown:
        own = [each for each in lines if (each["horizon"], each["step"]) == (line["steps back"], line["step"])]
        for name in ("promised", "came", "agreement"):
            values = np.array([float(each[name]) for each in own]) / 100  # shown as it is, not in per cent
            mean, half = float(values.mean()), float(stats.t.ppf(0.975, 4) * stats.sem(values))
            expected = [mean] if name == "promised" else [mean, mean - half, mean + half]
            cells = f"{line[name]} {line['95 % interval']}" if name == "came" else line[name]
            assert agrees(cells, expected), (line, name)
    spread = np.std([float(each["came"]) for each in lines if each["horizon"] == "random"], ddof=1)
    assert f"changes the outer loss by {spread:.3f} (standard deviation)" in page


def test_the_readme_ends_its_example_with_the_recorded_verdict() -> None:
    [shown] = blocks("text")
    verdict = only("compare/data-sets.csv", data_set="digits")["verdict"]
    assert " ".join(shown.split()).endswith(verdict.partition(": ")[2])


def section(page: Path, heading: str) -> str:
    """Return what a page says under a heading."""
    return page.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]


def test_what_is_said_of_kills_and_of_places_is_the_records() -> None:
    kills, places = tables(section(DOCS / "reliability.md", "Nothing lost"))
    killed = [line for line in record("reliability/kills.csv") if line["reached"] == "1"]
    assert [line["command"].strip("`") for line in kills] == list(dict.fromkeys(line["command"] for line in killed))
    for line in kills:
        own = [found for found in killed if found["command"] == line["command"].strip("`")]
        at_random = sum(found["kind"] == "at random" for found in own)
        assert [line["kills at random"], line["kills in a write"]] == [str(at_random), str(len(own) - at_random)]
        assert line["repeated, at most"].split()[0] == str(max(int(found["epochs_again"]) for found in own))
        assert line["ends that differ"] == str(sum(bool(found["found"]) for found in own))
    assert max(int(found["due_again"]) for found in killed) == 1  # as the text says
    kept = {"before the run": "before the run", "all the way": "in an odd place"}
    for line in places:
        when = [
            found for found in record("reliability/places.csv") if kept.get(found["when"], "in the run") == line["when"]
        ]
        tried = [found for found in when if found["found"] != "not tested"]
        assert [line["tried"], line["wrong"]] == [str(len(tried)), str(sum(bool(found["found"]) for found in tried))]


def test_what_is_said_of_intervals_and_verdicts_is_the_record() -> None:
    intervals, verdicts = tables(section(DOCS / "reliability.md", "Intervals and verdicts"))
    for line in intervals:
        for n in ("3", "5", "8"):
            found = only("reliability/verdicts.csv", what=f"interval covers, {line['differences']}", n=n)
            assert agrees(line[f"n = {n}"], numbers(found, "share"))
    told = ("a gain is called where there is none", "a gain of one point is called")
    for line, what in zip(verdicts, told, strict=True):
        for n in ("3", "5", "8"):
            found = only("reliability/verdicts.csv", what=what, n=n)
            assert agrees(line[f"{n} seeds"], numbers(found, "share", "low", "high"))


def test_what_commands_say_they_will_take_is_the_record() -> None:
    heading = "What a command says it will take"
    found = json.loads((RESULTS / "speed" / "estimates.json").read_text())
    [lines] = tables(section(DOCS / "performance.md", heading))
    shown = [(int(line["said"]), int(line["took"])) for line in lines]
    assert shown == [(round(found["said_s"][name]), round(found["took_s"][name])) for name in found["said_s"]]
    assert f"The largest factor is {found['factor']:.2f}." in section(DOCS / "performance.md", heading)


def values(heading: str) -> list[list[list[str]]]:
    """Return the cells of the tables under a heading of the page on performance, without their heads and names."""
    blocks = re.findall(r"(?:^\|.*\n)+", section(DOCS / "performance.md", heading), re.MULTILINE)
    return [[line.strip("| ").split(" | ")[1:] for line in block.splitlines()[2:]] for block in blocks]


def test_what_a_folder_of_many_images_costs_is_the_record() -> None:
    found = json.loads((RESULTS / "speed" / "folder.json").read_text())["measured"]
    [shown] = values("A folder of many images")
    epoch = found["read_s"] + 800 * found["iteration_ms"] / 1000
    assert shown == [
        [f"{found['listed_and_checked_s']:.1f} s"],
        [f"{found['read_s']:.1f} s"],
        [f"{epoch:.0f} s"],
        [f"{100 * found['loader_share']:.1f} %"],
        [f"{found['peak_mb'][0]:,.0f} and {found['peak_mb'][1]:,.0f} MB"],
    ]
    assert f"here in {found['images_mb']:.0f} MB" in section(DOCS / "performance.md", "A folder of many images")


def test_what_more_images_than_memory_holds_cost_is_the_record() -> None:
    found = json.loads((RESULTS / "speed" / "larger-than-memory.json").read_text())["measured"]
    text = section(DOCS / "performance.md", "More images than memory holds")
    memory, loader = values("More images than memory holds")
    own = [found[part]["own_mb_after_epochs"] for part in ("mapped", "in_memory")]
    assert memory[:3] == [[f"{epochs[place]:,.0f} MB" for epochs in own] for place in (0, 2, 3)]
    assert found["in_memory_limited"] == {"refused": True}
    assert found["same_weights"]
    assert f"{found['images_mb']:,.0f} MB" in text
    cost = found["loader"]
    assert cost["left_in_memory"] == 0
    names = ("loader", "from_disk", "from_disk_unexpected")
    rows = [(cost[f"{name}_ms"], cost[f"{name}_share"]) for name in names]
    rows.append((cost["loader_ms"] + cost["decoding_ms"], cost["decoding_share"]))
    assert loader == [[f"{ms:.1f}", f"{100 * share:.1f} %"] for ms, share in rows]
