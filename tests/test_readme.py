"""What the README and the design page show runs as it stands."""

import re
import runpy
from pathlib import Path
from typing import Any

import pytest
import torch

from small import trained

ROOT = Path(__file__).parent.parent


def blocks(language: str, page: str = "README.md") -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


def loop(keep: str) -> dict[str, Any]:
    """Run one side of the diff, from a fixed random state; returns its variables."""
    [diff] = blocks("diff")
    code = "\n".join(line[1:] for line in diff.splitlines() if line[:1] in (" ", keep) or not line)
    torch.manual_seed(0)
    variables: dict[str, Any] = {}
    exec(compile(code, f"README.md ({keep})", "exec"), variables)
    return variables


def test_the_ordinary_loop_runs() -> None:
    found = loop("-")
    x = found["pixels"].float() / 16
    assert (found["network"](x).argmax(-1) == found["digits"]).float().mean() > 0.9


def test_the_maxl_loop_runs_and_its_generator_learns() -> None:
    found = loop("+")
    x = found["pixels"].float() / 16
    assert (found["network"](x).primary.argmax(-1) == found["digits"]).float().mean() > 0.9
    assert found["meta"].gradient.abs().sum() > 0
    torch.manual_seed(0)
    labels = found["generator"](x, primary=found["digits"])
    torch.testing.assert_close(labels.sum(-1), torch.ones(len(x)))


def test_an_ordinary_loop_of_15_lines_and_8_more() -> None:
    """Of the plus lines three replace a line, and one imports."""
    lines = [line for line in blocks("diff")[0].splitlines() if line]
    ordinary = [line for line in lines if line[0] in " -" and "import" not in line]
    added = [line for line in lines if line[0] == "+" and "import" not in line]
    replaced = [line for line in lines if line[0] == "-"]
    assert len(ordinary) <= 15
    assert len(added) - len(replaced) <= 8


def test_scikit_learn_example(capsys: pytest.CaptureFixture[str]) -> None:
    [code] = blocks("python")
    exec(compile(code, "README.md", "exec"), {})
    scores = [float(word) for word in capsys.readouterr().out.strip("[]\n ").split()]
    assert len(scores) == 3
    assert min(scores) > 0.85


def test_a_label_source_in_30_lines() -> None:
    [code] = blocks("python", "docs/design.md")
    assert len(code.splitlines()) <= 30
    variables: dict[str, Any] = {}
    exec(compile(code, "docs/design.md", "exec"), variables)
    fitted = trained(variables["BrightOrDark"])
    assert fitted.labels is not None
    assert fitted.labels.sum(0).count_nonzero() == 2


def test_tables_are_those_of_the_recorded_results() -> None:
    tables = runpy.run_path(str(ROOT / "results" / "tables.py"))
    for path, parts in tables["PAGES"].items():
        assert tables["filled"](path.read_text(), parts()) == path.read_text()
