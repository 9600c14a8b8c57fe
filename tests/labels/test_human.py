"""Human labels at every pair of levels of a hierarchy, with the papers' protocol."""

from itertools import combinations
from pathlib import Path

import pytest

from metaux.data.sources import load
from metaux.runs.launch import run
from metaux.runs.record import Run
from metaux.runs.trial import Trial
from metaux.settings import Settings
from shell import write_table

# Of twelve kinds: unequal numbers of families, orders and kinds below each class.
LEVELS = {
    "kingdom": [f"kingdom {n}" for n in "000000000111"],
    "order": [f"order {n}" for n in "000000111222"],
    "family": [f"family {n}" for n in "011222333455"],
    "kind": [f"kind {n}" for n in range(12)],
}


@pytest.mark.parametrize(("primary", "auxiliary"), [*combinations(LEVELS, 2)])
def test_learns_the_finer_level_from_all_of_the_data(primary: str, auxiliary: str, tmp_path: Path) -> None:
    rows = [LEVELS, *zip(*LEVELS.values(), strict=True)]
    (tmp_path / "levels.csv").write_text("\n".join(",".join(row) for row in rows))
    settings = Settings(
        data=str(write_table(tmp_path / "table.npz", 120, tuple(LEVELS["kind"]))),
        hierarchy=str(tmp_path / "levels.csv"),
        primary=primary,
        auxiliary=auxiliary,
        protocol="iclr",
        epochs=1,
    )
    run(Trial(settings, "human", 0), load(settings), tmp_path / "run")
    found = Run.read(tmp_path / "run")
    kinds = [row % 12 for row in found.output("train_ids")]
    assert len(kinds) == 96  # all but the test part: no meta split is given up

    above = dict(zip(LEVELS[auxiliary], LEVELS[primary], strict=True))
    names = found.result["model"]
    below = {
        name: [finer for finer in names["subclass_names"] if above[finer] == name] for name in names["class_names"]
    }
    assert names["slots"] == [len(finer) for finer in below.values()]
    for kind, class_, label in zip(kinds, found.output("train_primary"), found.output("train_labels"), strict=True):
        name = names["class_names"][class_]
        assert name == LEVELS[primary][kind]
        assert (label.sum(), label.max()) == (1, 1)
        assert below[name][label.argmax()] == LEVELS[auxiliary][kind]
