"""The table of label sources: what it says of each holds, and it is read without torch."""

import subprocess
import sys

import pytest

from metaux.labels.base import LabelSource
from metaux.labels.sources import ON_SPLIT, REFERENCES, SOURCES, baselines
from metaux.protocols import ICLR, PROTOCOLS


def test_every_source_is_a_class_of_its_own_module() -> None:
    assert all(issubclass(known.source_class, LabelSource) for known in SOURCES.values())


def test_controls_are_controls() -> None:
    named = {control for known in SOURCES.values() for control in (known.control, known.shuffled) if control}
    controls = {name for name, known in SOURCES.items() if known.role == "control"}
    assert controls == {
        *named,
        *REFERENCES,
        "random",
        "permuted",
        "unrolled-shuffled",
        "null-space-random",
        *ON_SPLIT.values(),
    }
    assert all(not known.control for known in SOURCES.values() if known.role != "method")


def test_labels_of_people_come_from_outside() -> None:
    assert {name for name, known in SOURCES.items() if known.role == "outside"} == {"human", "given", "prototypical"}
    assert all((known.role == "outside") == (known.asks in ("human", "given")) for known in SOURCES.values())


def test_what_runs_by_default_can_be_judged_by_what_runs_by_default() -> None:
    default = {name for name, known in SOURCES.items() if known.default}
    assert {baseline for name in default for baseline in baselines(name)} <= default
    assert baselines("uniform") == ("single", "frozen")


@pytest.mark.parametrize(("name", "split"), ON_SPLIT.items())
def test_split_controls_are_their_source_on_the_smaller_training_set(name: str, split: str) -> None:
    assert SOURCES[split].needs_meta_split(ICLR)
    assert not SOURCES[name].needs_meta_split(ICLR)
    assert SOURCES[split].source_class is SOURCES[name].source_class


@pytest.mark.parametrize(("protocol", "needed"), [("iclr", True), ("neurips", False), ("tuned", False)])
def test_maxl_needs_a_meta_split_where_the_protocol_has_one(protocol: str, needed: bool) -> None:
    assert SOURCES["maxl"].needs_meta_split(PROTOCOLS[protocol]) is needed


def test_is_known_without_torch() -> None:
    code = "import sys, metaux.labels.sources, metaux.evidence.verdict; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
