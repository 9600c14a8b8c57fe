"""The report of a folder: its runs, and the few samples of their data that the page shows."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from metaux.data.csv_file import read_csv_file
from metaux.data.samples import LabelledData
from metaux.data.samples import Samples as DataSamples
from metaux.errors import InputError
from metaux.labels.base import SubclassSource
from metaux.report.html.methods import Recorded
from metaux.runs.model import Model
from metaux.runs.record import RECOMMENDED, SETTINGS, Run, is_finished, is_of, read_runs
from metaux.runs.store import read_settings
from metaux.settings import Settings

if TYPE_CHECKING:
    from metaux.report.html.samples import Samples

MOST_COLUMNS = 12
LONGEST_TEXT = 300


def report(folder: Path, data: Callable[[], LabelledData]) -> Path:
    """Write the report of a comparison's or a single run's output folder.

    Args:
        folder: what `metaux compare` or `metaux train` wrote.
        data: reads the data of the runs; if it can't, the page says so and does without.

    Returns:
        The file.

    Raises:
        InputError: if the folder holds no finished run, or one is damaged.
    """
    single = is_finished(folder)
    runs = [Run.read(folder)] if single else _compared(folder)
    return write_report_of(Recorded.of(runs, single), folder, data)


def write_report_of(recorded: Recorded, folder: Path, data: Callable[[], LabelledData]) -> Path:
    """Write the report of these runs into a folder; see `report`."""
    from metaux.report.html.features import mapped
    from metaux.report.html.page import write_report

    subclasses = {run.method: found for run in mapped(recorded) if (found := _subclasses(run)) is not None}
    return write_report(folder, recorded, _samples(recorded, data), subclasses)


def settings_of(folder: Path) -> Settings:
    """Return the settings that all runs of an output folder share.

    Raises:
        InputError: if there are none.
    """
    path = folder / SETTINGS
    # A folder of runs made one by one has settings only in each of them.
    return read_settings(path if path.is_file() else read_runs(folder)[0].folder / SETTINGS)[0]


def _compared(folder: Path) -> list[Run]:
    """Return the runs that the last comparison in the folder showed, or all that it holds."""
    if (folder / RECOMMENDED).is_file():
        raise InputError(
            f"expected the folder of a comparison or a run, found that of a search at '{folder}'; repeat the command "
            f"that made it, which writes its report once more, or give the run that {RECOMMENDED} names as its model"
        )
    runs = read_runs(folder)
    path = folder / SETTINGS
    rest = read_settings(path)[1] if path.is_file() else {}
    if "methods" not in rest or "seeds" not in rest:
        return runs
    return [run for run in runs if run.method in rest["methods"] and run.seed < rest["seeds"]] or runs


def _samples(recorded: Recorded, data: Callable[[], LabelledData]) -> "Samples":
    """Return the samples that the page wants, checked to be those of the runs."""
    from metaux.report.html.page import wanted
    from metaux.report.html.samples import Samples

    ids, rows = wanted(recorded)
    try:
        found = data()
    except (InputError, OSError) as error:
        return Samples(missing=f"the data can’t be read any more ({error}).")
    if not all(is_of(run, found) for run in recorded.runs):
        return Samples(missing="the data has changed since these runs were trained.")
    assert found.train.ids is not None
    place = {id_: row for row, id_ in enumerate(found.train.ids.tolist())}
    train = found.train.take(torch.tensor([place[id_] for id_ in sorted(ids)], dtype=torch.int64))
    test = found.test.take(torch.tensor(sorted(rows), dtype=torch.int64))
    if found.kind == "image":
        return Samples(
            "image",
            dict(zip(sorted(ids), train.inputs[0].numpy(), strict=True)),
            dict(zip(sorted(rows), test.inputs[0].numpy(), strict=True)),
        )
    columns, cells = _cells(recorded.runs[0], found)
    return Samples("rows", dict(zip(sorted(ids), cells(train), strict=True)),
                   dict(zip(sorted(rows), cells(test), strict=True)), columns)  # fmt: skip


def _cells(run: Run, data: LabelledData) -> tuple[Sequence[str], Callable[[DataSamples], list[tuple[str, ...]]]]:
    """Return what a row of the data has, and how to write the rows of some samples."""
    path = Path(str(run.settings.get("data", ""))).expanduser()
    if data.kind == "text" and path.suffix.lower() == ".csv" and path.is_file():
        # Words have been hashed; the file still has them.
        texts = read_csv_file(path).columns["text"]
        return ("text",), lambda samples: [(_cut(texts[id_]),) for id_ in _ids(samples)]
    names = tuple(column[0] for column in data.columns) or tuple(
        f"column {number + 1}" for number in range(data.train.inputs[0][0].numel() if data.kind == "table" else 0)
    )
    starts, start = [], 0
    for column in data.columns or [(name,) for name in names]:
        starts.append((start, column[1:]))
        start += max(len(column) - 1, 1)

    def rows(samples: DataSamples) -> list[tuple[str, ...]]:
        return [tuple(_cell(x, place, words) for place, words in starts[:MOST_COLUMNS]) for x in samples.inputs[0]]

    if data.kind != "table":
        return ("sample",), lambda samples: [(str(id_),) for id_ in _ids(samples)]
    return names[:MOST_COLUMNS], rows


def _cell(row: Tensor, place: int, words: Sequence[str]) -> str:
    """Return one cell as it was in the table: a number, or the category whose column is 1."""
    return words[int(row[place : place + len(words)].argmax())] if words else f"{float(row[place]):g}"


def _ids(samples: DataSamples) -> list[int]:
    assert samples.ids is not None
    return [int(id_) for id_ in samples.ids]


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"


def _subclasses(run: Run) -> list[int] | None:
    """Return the sub-class, within its own class, that the network's auxiliary head gives each recorded test sample."""
    try:
        model = Model.read(run.folder)
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
