"""The report of a folder: its runs, and the few samples of their data that the page shows."""

from collections.abc import Callable, Sequence
from itertools import accumulate
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from metaux.data.columns import Column
from metaux.data.samples import LabelledData
from metaux.data.samples import Samples as DataSamples
from metaux.errors import InputError
from metaux.files import write_text_atomic
from metaux.labels.base import SubclassSource
from metaux.report.features import MOST_SAMPLES
from metaux.report.page import Report
from metaux.report.recorded import Recorded
from metaux.report.samples import Samples
from metaux.runs.loading import is_of
from metaux.runs.model import Model
from metaux.runs.record import RECOMMENDED, SETTINGS, Run, is_finished, read_runs
from metaux.runs.store import read_settings
from metaux.settings import Settings

REPORT = "report.html"
MOST_COLUMNS = 12
LONGEST_TEXT = 300
# About what the figures take, and a map of so many test samples.
SECONDS_OF_FIGURES, SECONDS_OF_A_SAMPLE = 3.0, 0.003


def seconds_of_report(tested: int) -> float:
    """Return about how many seconds figures and report take, with so many test samples."""
    return SECONDS_OF_FIGURES + 1 + SECONDS_OF_A_SAMPLE * min(tested, MOST_SAMPLES)


def read_recorded(folder: Path) -> tuple[Recorded, Settings]:
    """Read the run in a folder, or those that the last comparison in it showed, and the settings that they share.

    Raises:
        InputError: if the folder holds no finished run, or one is damaged.
    """
    if (folder / RECOMMENDED).is_file():
        raise InputError(
            f"expected the folder of a comparison or a run, found that of a search at '{folder}'; repeat the command "
            f"that made it, which writes its report once more, or give the run that {RECOMMENDED} names as its model"
        )
    single = is_finished(folder)
    runs = [Run.read(folder)] if single else read_runs(folder)
    path = folder / SETTINGS
    # A folder of runs made one by one has settings only in each of them.
    settings, rest = read_settings(path if path.is_file() else runs[0].folder / SETTINGS)
    if "methods" in rest and "seeds" in rest:
        runs = [run for run in runs if run.method in rest["methods"] and run.seed < rest["seeds"]] or runs
    return Recorded.of(runs, single), settings


def write_report(recorded: Recorded, folder: Path, data: Callable[[], LabelledData]) -> Path:
    """Write the report of runs into a folder.

    Args:
        recorded: the runs.
        folder: where to.
        data: reads their data; if it can't, the page says so and does without.

    Returns:
        The file, which needs no other.
    """
    page = Report(recorded)
    subclasses = {run.method: found for run in page.mapped if (found := _subclasses(run)) is not None}
    write_text_atomic(folder / REPORT, page.html(_samples(page, data), subclasses))
    return folder / REPORT


def _samples(page: Report, data: Callable[[], LabelledData]) -> Samples:
    """Return the samples that the page shows, checked to be those of the runs."""
    first = page.recorded.runs[0]  # of cross-validation, the samples are those of its first part
    runs = [run for run in page.recorded.runs if run.settings.get("fold") == first.settings.get("fold")]
    try:
        found = data()
    except (InputError, OSError) as error:
        return Samples(missing=f"the data can’t be read any more ({error}).")
    if not all(is_of(run, found) for run in runs):
        return Samples(missing="the data has changed since these runs were trained.")
    place = {id_: row for row, id_ in enumerate(_ids(found.train))}
    train_ids = [id_ for id_ in page.train_ids if id_ in place]
    train = found.train.take(torch.tensor([place[id_] for id_ in train_ids], dtype=torch.int64))
    test = found.test.take(torch.tensor(page.test_rows, dtype=torch.int64))
    columns: Sequence[str] = ()
    if found.kind == "image":
        shown: Sequence[Sequence[Any]] = [list(part.inputs[0].numpy()) for part in (train, test)]
    else:
        columns, cells = _cells(found)
        shown = [cells(train), cells(test)]
    by_id, by_row = (dict(zip(*each, strict=True)) for each in zip((train_ids, page.test_rows), shown, strict=True))
    return Samples("image" if found.kind == "image" else "rows", by_id, by_row, columns)


def _cells(data: LabelledData) -> tuple[Sequence[str], Callable[[DataSamples], list[tuple[str, ...]]]]:
    """Return what a row of the data has, and how to write the rows of some samples."""
    if data.texts:
        return ("text",), lambda samples: [(_cut(data.texts[id_]),) for id_ in _ids(samples)]
    if data.kind != "table":
        return ("sample",), lambda samples: [(str(id_),) for id_ in _ids(samples)]
    width = prod(data.train.shapes[0])
    columns = [column for column in data.columns if column.features]
    columns = columns or [Column(f"column {number + 1}") for number in range(width)]
    ends = list(accumulate(len(column.features) for column in columns))
    shown = list(zip(columns, [0, *ends], ends, strict=False))[:MOST_COLUMNS]

    def rows(samples: DataSamples) -> list[tuple[str, ...]]:
        return [
            tuple(column.show(row[start:end]) for column, start, end in shown) for row in samples.inputs[0].tolist()
        ]

    return [column.name for column, _, _ in shown], rows


def _ids(samples: DataSamples) -> list[int]:
    assert samples.ids is not None
    return [int(id_) for id_ in samples.ids]


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"


def _subclasses(run: Run) -> list[int] | None:
    """Return the sub-class, within its own class, that the network's auxiliary head gives each recorded test sample."""
    try:
        model = Model.of(run)
    except (InputError, OSError):
        return None  # an older version's run, or one without its weights: the page does without
    head = model.network.auxiliary_head
    if head is None or not isinstance(model.source, SubclassSource):
        return None
    rows = torch.from_numpy(run.output("test_feature_rows"))
    mask = model.hierarchy.mask(torch.from_numpy(run.output("test_primary"))[rows])
    with torch.no_grad():
        logits: Tensor = head(torch.from_numpy(run.output("test_features")))
    slots: list[int] = model.hierarchy.slot(logits.masked_fill(~mask, -torch.inf).argmax(-1)).tolist()
    return slots
