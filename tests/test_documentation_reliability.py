"""What the page of reliability says of changed files, mutants, random labels and long processes is the records'."""

import re
from statistics import fmean

import numpy as np
import pytest
from scipy import stats

from test_documentation import DOCS, agrees, numbers, record, section, tables

PAGE = DOCS / "reliability.md"


def count(shown: str) -> int:
    return int(shown.replace(",", ""))


def test_what_is_said_of_changed_files_is_the_record() -> None:
    [lines] = tables(section(PAGE, "Damaged and hostile files"))
    found = record("reliability/fuzz.csv")
    assert [line["reader"] for line in lines] == [line["reader"] for line in found]
    for line, own in zip(lines, found, strict=True):
        broken = sum(int(own[how]) for how in ("error", "hang", "death", "memory", "acted"))
        expected = [int(own["inputs"]), int(own["read"]), int(own["refused"]), broken]
        assert [count(line[name]) for name in ("copies", "read", "refused", "promises broken")] == expected


def test_what_is_said_of_random_labels_is_the_record() -> None:
    text = " ".join(section(PAGE, "Random labels").split())
    lines = record("reliability/placebo.csv")
    values = [float(line["accuracy"]) for line in lines]
    half = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    [shown] = re.findall(r"accuracy is ([\d.]+ % \[[\d.]+, [\d.]+\])", text)
    assert agrees(shown, [fmean(values), fmean(values) - half, fmean(values) + half])
    assert f"in {len(lines)} tables" in text
    assert f"{sum(int(line['called_better']) for line in lines)} of the {len(lines)} verdicts" in text


def test_what_is_said_of_mutants_is_the_record() -> None:
    [lines] = tables(section(PAGE, "Tests that would notice"))
    found = record("reliability/mutants.csv")
    assert [line["module"].strip("`") for line in lines[:-1]] == list(dict.fromkeys(line["module"] for line in found))
    for line in lines:
        own = [each for each in found if line["module"] in ("all", f"`{each['module']}`")]
        survived = [each for each in own if each["outcome"] == "survived"]
        same = sum(bool(each["equivalent"]) for each in survived)
        expected = [len(own), len(own) - len(survived), same, len(survived) - same]
        names = ("mutants", "noticed", "the same function", "not noticed")
        assert [int(line[name]) for name in names] == expected
        if line["module"] == "all":
            assert (len(own) - len(survived)) / (len(own) - same) >= 0.9


@pytest.mark.parametrize("part", ["iterations", "fits", "runs"])
def test_what_is_said_of_long_processes_is_the_record(part: str) -> None:
    [lines] = tables(section(PAGE, "Long processes"))
    [line] = [line for line in lines if line["part"].endswith(part)]
    found = [each for each in record("reliability/lasting.csv") if each["part"] == part]
    third = len(found) // 3
    thirds = {"second third, MB": found[-2 * third : -third], "last third, MB": found[-third:]}
    assert count(line["part"].split()[0]) == int(found[-1]["number"])
    for name, own in thirds.items():
        assert float(line[name]) == pytest.approx(fmean(numbers(each, "memory_mb")[0] for each in own), abs=0.051)
    assert float(line["last third, MB"]) <= 1.02 * float(line["second third, MB"])
    threads = [max(int(each["threads"]) for each in own) for own in thirds.values()]
    assert threads[1] <= threads[0]
    files = [max(int(each["open_files"]) for each in own) for own in thirds.values()]
    assert line["open files"] == f"{files[0]}, {files[1]}"
