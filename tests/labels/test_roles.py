"""What is known of each label source, and that none is forgotten."""

import subprocess
import sys

from metaux.labels.catalogue import ENTRIES, REFERENCES, entry, judges
from metaux.labels.registry import SOURCES


def test_knows_every_source_and_no_other() -> None:
    assert set(ENTRIES) == {name for name in SOURCES if not name.endswith("-split")}


def test_controls_are_controls() -> None:
    named = {control for one in ENTRIES.values() for control in (one.control, one.shuffled) if control}
    assert {entry(name).role for name in (*named, *REFERENCES, "frozen-split")} == {"control"}
    assert {name for name, one in ENTRIES.items() if one.role == "control"} == {*named, *REFERENCES, "random"}
    assert all(not one.control for one in ENTRIES.values() if one.role != "method")


def test_what_runs_by_default_can_be_judged_by_what_runs_by_default() -> None:
    default = {name for name, one in ENTRIES.items() if one.default}
    assert {judge for name in default for judge in judges(name)} <= default
    assert judges("uniform") == ("single", "frozen")


def test_is_known_without_torch() -> None:
    code = "import sys, metaux.labels.catalogue, metaux.evidence.verdict; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
