"""What the pages of the documentation show runs as it stands: their Python, and the notebook of a minute."""

import re
import runpy
from pathlib import Path

import pytest

from test_readme import blocks

DOCS = Path(__file__).parent.parent / "docs"
PAGES = [page.relative_to(DOCS.parent) for page in sorted(DOCS.glob("**/*.md")) if "```python" in page.read_text()]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_python_of_a_page(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for code in blocks("python", str(page)):
        exec(compile(code, str(page), "exec"), {})
    if "print(" in code:
        assert capsys.readouterr().out.strip()


def test_examples_are_as_good_as_they_should_be(capsys: pytest.CaptureFixture[str]) -> None:
    for page in ("own-network", "own-label-source"):
        [code] = blocks("python", f"docs/how-to/{page}.md")
        exec(compile(code, page, "exec"), {})
        assert 0.8 <= float(capsys.readouterr().out) <= 1


def test_pictures_are_drawn(tmp_path: Path) -> None:
    runpy.run_path(str(DOCS / "pictures.py"))["draw_all"](tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        f"{name}.{kind}" for name in ("scheme", "mask-softmax", "study", "leads") for kind in ("png", "svg")
    }


@pytest.mark.parametrize("page", [DOCS.parent / "README.md", *sorted(DOCS.glob("**/*.md"))], ids=lambda page: page.name)
def test_every_picture_of_a_page_is_there(page: Path) -> None:
    pictures = re.findall(r"!\[[^]]*\]\(([^)]+)\)", page.read_text())
    assert [name for name in pictures if not (page.parent / name).is_file()] == []


def test_the_notebook_of_a_minute() -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    notebook = nbformat.read(DOCS / "notebooks" / "digits.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)  # committed without
    nbclient.NotebookClient(notebook, timeout=300).execute()
    table = notebook.cells[2].outputs[0]["data"]["text/plain"]
    assert all(method in table for method in ("single", "uniform", "frozen", "maxl"))
