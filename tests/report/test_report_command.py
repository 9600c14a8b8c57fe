"""The report from the command line: of a comparison, of a single run, and when the data is gone."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from metaux.report.reporting import read_recorded
from shell import below, done, metaux, write_images, write_table

FAST = ("--epochs", 1, "--backbone", "mlp")


def sections(html: str) -> str:
    """Return what a person sees of the page."""
    return html.partition("<main")[2].partition("<dialog")[0]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("photos")
    data = write_images(folder / "photos", ("cat & <dog>", "owl"), 14)
    words = ("compare", data, *FAST, "--methods", "single", "maxl", "--seeds", 1, "--jobs", 1, "--out", folder / "out")
    return folder, done(*words)


def test_compare_writes_it_with_the_images_that_it_read(photos: tuple[Path, str]) -> None:
    folder, said = photos
    assert f"; report: {folder / 'out' / 'report.html'}" in said
    html = sections((folder / "out" / "report.html").read_text())
    assert "cat &amp; &lt;dog&gt;" in html
    invented = html.partition('id="invented"')[2]
    assert invented.count('class="specimen"') == 22  # a fifth of 28 is set aside to measure
    assert json.loads((folder / "out" / "comparison.json").read_text())["verdict"] in html.replace("&#39;", "'")


def test_the_same_report_once_more(photos: tuple[Path, str]) -> None:
    folder, _ = photos
    first = (folder / "out" / "report.html").read_bytes()
    (folder / "out" / "report.html").unlink()
    assert done("report", folder / "out").strip() == f"Report: {folder / 'out' / 'report.html'}"
    assert (folder / "out" / "report.html").read_bytes() == first


def test_sub_classes_of_test_samples_come_from_the_network(photos: tuple[Path, str]) -> None:
    folder, _ = photos
    html = (folder / "out" / "report.html").read_text()
    [found] = re.findall(r'id="page-data">(.*?)</script>', html, re.DOTALL)
    table = json.loads(found)["numbers"]["tables"]["features"]
    slots = {row[table["columns"].index("subclass")] for row in table["rows"] if row[0] == "maxl"}
    assert slots <= {f"{name}/{slot}" for name in ("cat & <dog>", "owl") for slot in range(5)}


def test_sub_classes_are_called_as_metaux_labels_calls_them(photos: tuple[Path, str]) -> None:
    folder, _ = photos
    html = (folder / "out" / "report.html").read_text()
    [found] = re.findall(r'id="page-data">(.*?)</script>', html, re.DOTALL)
    table = json.loads(found)["numbers"]["tables"]["sub-classes"]
    printed = csv.DictReader(done("labels", folder / "out" / "runs" / "maxl-0").splitlines())
    assert {row[table["columns"].index("subclass")] for row in table["rows"]} == {row["subclass"] for row in printed}


def test_without_data_the_rest_stands(photos: tuple[Path, str], tmp_path: Path) -> None:
    import shutil

    folder, _ = photos
    out = shutil.copytree(folder / "out", tmp_path / "out")
    path = out / "settings.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), "data": str(tmp_path / "gone")}))
    done("report", out)
    html = sections((out / "report.html").read_text())
    assert "The samples can’t be shown: the data can’t be read any more (expected a known name" in html
    assert 'class="specimen"' not in html
    assert 'data-chart="classes"' in html


def test_other_data_in_the_same_place_is_not_taken_for_it(tmp_path: Path) -> None:
    data = write_table(tmp_path / "t.npz")
    done(
        "compare", data, *FAST, "--methods", "single", "--seeds", 1, "--jobs", 1, "--no-report", "--out", tmp_path / "o"
    )
    assert not (tmp_path / "o" / "report.html").exists()
    write_table(data, count=90)
    done("report", tmp_path / "o")
    page = (tmp_path / "o" / "report.html").read_text()
    assert "None of these methods invents" in page
    assert '"sprite": null' in page


def test_a_single_run_on_a_table(tmp_path: Path) -> None:
    data = write_table(tmp_path / "t.npz")
    done("train", data, *FAST, "--method", "maxl", "--out", tmp_path / "run")
    done("report", tmp_path / "run")
    html = sections((tmp_path / "run" / "report.html").read_text())
    assert "This is one run of <strong>maxl</strong>" in html
    assert '<th scope="col">column 4</th>' in html
    x = np.load(data)["x"]
    cells = re.findall(r"<tr><td class=\"number\">[\d.]+</td>((?:<td>.*?</td>)+)</tr>", html)
    first = [float(value) for value in re.findall(r"<td>(.*?)</td>", cells[0])]
    assert np.isclose(x, first, rtol=1e-4).all(axis=1).any()
    assert f"metaux train {data}" in html


def test_texts_as_they_stand_in_the_file(tmp_path: Path) -> None:
    lines = [f'{"good" if row % 2 else "bad"},"film {row}, <i>seen</i>"' for row in range(20)]
    (tmp_path / "t.csv").write_text("label,text\n" + "\n".join(lines) + "\n")
    words = ("train", tmp_path / "t.csv", "--epochs", 1, "--subclasses", 2, "--method", "kmeans")
    done(*words, "--out", tmp_path / "run")
    done("report", tmp_path / "run")
    html = sections((tmp_path / "run" / "report.html").read_text())
    assert re.search(r"<td>film \d+, &lt;i&gt;seen&lt;/i&gt;</td>", html)


def test_what_holds_no_run_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = metaux("report", tmp_path / "empty")
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("metaux: expected finished runs in ")
    assert below(tmp_path / "empty") == {}


def test_settings_of_runs_made_one_by_one(photos: tuple[Path, str], tmp_path: Path) -> None:
    import shutil

    folder, _ = photos
    out = shutil.copytree(folder / "out", tmp_path / "out")
    (out / "settings.yaml").unlink()
    assert read_recorded(out)[1] == read_recorded(folder / "out")[1]
