"""A file of a table: rows of features, or a list of images or of texts; which of them, its columns say."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metaux.data.columns import is_missing, tidy
from metaux.data.frames import TEXT, TYPED, Table, read_table
from metaux.data.images import is_image
from metaux.data.reader import RawData, Request, missing_path, part_of
from metaux.errors import InputError
from metaux.words import few

if TYPE_CHECKING:
    from pandas import DataFrame, Series

USUAL = ("label", "labels", "class", "classes", "target", "y", "outcome", "category", "species", "diagnosis", "result")
"""What the last column of a table is called where it is the class, in any case."""

SENTENCE = 5
"""How many words the cells of a column of texts have on the mean, at least."""
MANY = 20
"""Rows, at least, to see that a column names them."""

missing = missing_path


def takes(data: str) -> bool:
    """Return whether the data is named as a file of a table is."""
    return Path(data).suffix.lower() in (*TEXT, *TYPED)


def read(request: Request) -> RawData:
    """Read a file of samples, one per row.

    With a column `file` (relative to the file) it is a list of images, and so with another column of nothing but names
    of image files; with a column `text`, or one of sentences beside nothing but names of the rows, a set of texts;
    otherwise a table. The class is in the column that the request names, in `label`, or in the last one if it is called
    so usually. There may be columns that name a part (`split`) and a group (`group`). Every other column of a list or
    of texts is a finer label, unless it names the rows. In a table, finer labels are the columns called `..._label` and
    the request's `label_columns`; what remains are its features.

    Rows without a label are left out. Whatever is decided here by a name alone is said.

    Raises:
        InputError: naming the line, for a missing column, an incomplete row, a value that can't be taken, and an image
            that is missing, broken or listed twice.
    """
    own = request.settings
    written = read_table(request.path, own.header)
    table = _with_files(written, request)
    if not request.labelled:
        return _read_inputs(table, request)
    names = [name for name in table.names if name not in own.ignore]
    if request.like is None:
        table.require([*own.ignore, *filter(None, (own.given, own.group, own.split))])
    label, said = _label_column(names, table, request)
    table = _with_texts(table, label, request)
    names = [name for name in table.names if name not in own.ignore]
    source = next((name for name in ("file", "text") if name in names and name != label), None)
    roles = {name: getattr(own, name) for name in ("split", "group")}
    for name in roles:
        if roles[name] is None and name in names and name != label:
            roles[name] = name
            said.append(f"column '{name}' {_MEANINGS[name]}; if it is a feature like others: --{name} ''")
    if source in written.names:
        said.append(f"column '{source}' makes this a list of {source}s, and other columns labels; else rename it")
    given = None if own.given in request.label_columns else own.given
    taken = (label, source, given, *roles.values())
    rest = [name for name in names if name not in taken]
    of_rows = [name for name in rest if source and name not in request.label_columns and _names_rows(table, name)]
    if of_rows:
        rest = [name for name in rest if name not in of_rows]
        quoted = few([f"'{name}'" for name in of_rows])
        said.append(f"no labels, since each row has another one, and left out: {quoted}")
    finer = [name for name in rest if source or name.endswith("_label") or name in request.label_columns]
    inputs = [source] if source else [name for name in rest if name not in finer]
    cells, dropped = _labelled(table, label)
    if not len(cells):
        raise InputError(f"expected one row per sample in '{table.name}', found none with a label; add the samples")
    if not inputs:
        raise InputError(f"expected columns beside the labels in '{table.name}', found none; add the features")
    if source == "file":
        _check_files(cells, request.path.parent)
    raw, cells = _read(cells, inputs, source, request, table.separator)
    split, group = (words_of(cells[roles[name]]) if roles[name] in names else None for name in ("split", "group"))
    parts = _parts(split, cells) if split is not None else None
    if group is not None and "" in group:
        raise InputError(f"expected a group in {cells.index[group.index('')]}, found none; fill it in")
    labels = {
        name: words_of(cells[name]) for name in dict.fromkeys((label, *request.label_columns, *finer)) if name in cells
    }
    if own.given is not None and request.like is None:
        raw = replace(raw, given=words_of(cells[own.given]))
    return replace(
        raw,
        labels=labels,
        parts=parts,
        groups=group,
        notices=(*table.notices, *said, *dropped, *raw.notices, *_misspelled(inputs)),
    )


def _with_files(table: Table, request: Request) -> Table:
    """Return a table whose column of names of image files, if it has one, is called `file`."""
    like = "image" if request.like is None else request.like.kind
    if like != "image" or not {"file", "text"}.isdisjoint(table.names) or not len(table.cells):
        return table
    own = (request.settings.label, *request.settings.ignore)
    named = [str(name) for name, cells in table.cells.items() if name not in own and all(map(_names_an_image, cells))]
    if len(named) != 1:
        return table
    return _called(table, named[0], "names image files", "file", request)


def _with_texts(table: Table, label: str, request: Request) -> Table:
    """Return a table whose column of texts, if there is nothing else to learn from, is called `text`.

    For a finished run on texts, it is the column with the longest ones, whatever else there is.
    """
    own, wanted = request.settings, request.like
    if not {"file", "text"}.isdisjoint(table.names) or not len(table.cells):
        return table
    if wanted is not None and wanted.kind != "text":
        return table
    taken = (label, *own.ignore, own.group, own.split, own.given, *request.label_columns)
    cells = {str(name): column for name, column in table.cells.items() if name not in taken}
    words = {name: column.str.count(r"\S+").mean() for name, column in cells.items() if column.dtype == object}
    if not words:
        return table
    longest = max(words, key=lambda name: words[name])
    alone = all(_names_rows(table, name) for name in cells if name != longest)
    if words[longest] < SENTENCE or not (alone or wanted):
        return table
    return _called(table, longest, "holds texts", "text", request)


def _called(table: Table, name: str, why: str, source: str, request: Request) -> Table:
    """Return a table whose column has the name of the source that it is, and says why."""
    remedy = " (--ignore leaves it out)" if request.like is None else ""
    said = f"column '{name}' {why}, and is taken for the column '{source}'{remedy}"
    return table._replace(cells=table.cells.rename(columns={name: source}), notices=(*table.notices, said))


def _names_rows(table: Table, name: str) -> bool:
    """Return whether a column gives each of many rows a name or a number of its own, and so says nothing of it."""
    cells = table.cells[name]
    if len(cells) < MANY or not cells.is_unique:
        return False
    if cells.dtype == float:
        return bool((cells == cells.round()).all())
    return bool(cells.astype(str).str.fullmatch(r"[\w-]+").all())


def _names_an_image(cell: object) -> bool:
    return isinstance(cell, str) and is_image(cell)


_MEANINGS = {"split": "says which part a sample is of", "group": "says which samples belong together"}


def _label_column(names: Sequence[str], table: Table, request: Request) -> tuple[str, list[str]]:
    """Return the column of the classes, and what to say of it."""
    wanted = request.settings.label
    if wanted is not None and (wanted in names or request.like is None):
        table.require([wanted])
        return wanted, []
    if "label" in names:
        return "label", []
    if not names:
        table.require(["label"])
    last = names[-1]
    if request.settings.header and last.lower() not in USUAL:
        raise InputError(
            f"expected the column label in '{table.name}', found {few(names, 20)}; say which column has the classes: "
            "--label COLUMN"
        )
    return last, [f"the class is in the last column, '{last}' (--label names another one)"]


def _labelled(table: Table, label: str) -> tuple["DataFrame", list[str]]:
    """Return the rows that have a label, and what to say of the others."""
    absent = is_missing(table.cells[label])
    said = []
    if absent.any():
        what = f"without a label in column '{label}'"
        said = [f"{absent.sum():,} of {len(absent):,} rows are left out, {what}, the first in {absent.idxmax()}"]
    return table.cells[~absent], said


def words_of(cells: "Series[Any]") -> tuple[str, ...]:
    """Return tidy cells as text, whole numbers without a fraction, and empty where there is no value."""
    if cells.dtype == float:
        return tuple("" if cell != cell else f"{int(cell)}" if cell == round(cell) else repr(cell) for cell in cells)
    return tuple(cells.astype(str).where(~is_missing(cells), ""))


def _read_inputs(table: Table, request: Request) -> RawData:
    """Read the rows as a finished run takes its inputs; other columns are not looked at."""
    like = request.like
    assert like is not None
    source = {"image": "file", "text": "text"}.get(like.kind)
    names = [column.name for column in like.columns]
    table = _with_texts(table, request.settings.label or "label", request)
    if not source and not names:
        raise InputError(f"expected inputs like the run's ({like.describe()}), found the file '{table.name}'")
    if not request.settings.header and not source and len(table.names) == len(names):
        table = table._replace(cells=table.cells.set_axis(names, axis=1))  # without the column of the label
    inputs = [source] if source else [column.name for column in like.columns if column.features]
    table.require(inputs)
    if not len(table.cells):
        raise InputError(f"expected one row per sample in '{table.name}', found none; add the samples")
    return replace(_read(table.cells, inputs, source, request, table.separator)[0], notices=table.notices)


def _read(
    cells: "DataFrame", inputs: Sequence[str], source: str | None, request: Request, separator: str
) -> tuple[RawData, "DataFrame"]:
    """Return the inputs, and the rows that are left where damaged images are skipped."""
    if source is None:
        return RawData(tidy(cells[list(inputs)]), "table", {}, separator=separator), cells
    if len(empty := cells.index[cells[source].eq("")]):
        more = f" ({len(empty):,} such cells)" if len(empty) > 1 else ""
        raise InputError(f"expected a {source} in {empty[0]}, found nothing{more}; fill it in, or remove the row")
    values = tuple(map(str, cells[source]))
    if source == "text":
        return RawData(values, "text", {}), cells
    places = [_place(request.path.parent, name) for name in values]
    images, kept, notices = request.read_images(places)
    names = tuple(values[row] for row in kept)
    return RawData(images, "image", {}, names=names, augmentation="crop", notices=notices), cells.iloc[kept]


def _place(folder: Path, name: str) -> Path:
    """Return where a file is that a list names; one written on Windows has other separators."""
    path = folder / name
    return path if path.exists() or "\\" not in name else folder / name.replace("\\", "/")


def _check_files(cells: "DataFrame", folder: Path) -> None:
    files = cells["file"].map(lambda name: _place(folder, name))
    for place, file in files[files.duplicated()].items():
        first = files.index[files == file][0]
        raise InputError(f"expected each file once, found '{file}' in {first} and {place}; remove one of the rows")
    for place, file in files.items():
        if not file.exists():
            beside = [path.name for path in file.parent.iterdir()] if file.parent.is_dir() else []
            near = next((f"; there is '{name}'" for name in beside if name.lower() == file.name.lower()), "")
            raise InputError(f"expected an image file, found nothing at '{file}' ({place}){near}; correct it")


def _parts(cells: Sequence[str], rows: "DataFrame") -> tuple[str, ...]:
    parts = list(map(part_of, cells))
    if None in parts:
        row = parts.index(None)
        found = f"'{cells[row]}'" if cells[row] else "nothing"
        raise InputError(
            f"expected the split train, val or test in {rows.index[row]}, found {found}; correct it, or name another "
            "column: --split"
        )
    return tuple(map(str, parts))


def _misspelled(inputs: Sequence[str]) -> tuple[str, ...]:
    """Say which features are called almost as the columns that are none."""
    return tuple(
        f"the column '{name}' is a feature like others; if it {_MEANINGS[name.lower()]}: --{name.lower()} '{name}'"
        for name in inputs
        if name.lower() in _MEANINGS and name != name.lower()
    )
