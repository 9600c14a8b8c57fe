"""Tables: what each kind of cell, column and row becomes, by hand or by pandas, and what is said of it."""

import datetime
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from metaux.data.columns import Column
from metaux.data.frames import read_table
from metaux.data.samples import LabelledData
from metaux.data.sources import load, load_for_evaluation, read_unlabelled
from metaux.data.spelling import check_labels
from metaux.data.transforms import Preprocessing
from metaux.errors import InputError
from metaux.settings import Settings
from shell import metaux
from written import write_animals, write_rows

ROWS = ["1.5,red,x", "-2,blue,y", "3e2,red,x", "0,green,y", "7,blue,x", "8,red,y"]


def read(path: Path, **settings: Any) -> LabelledData:
    return load(Settings(data=str(path), **settings))


def names(data: LabelledData) -> list[str]:
    return [name for column in data.columns for name in column.features]


def of_column(path: Path, cells: list[str], separator: str = ",") -> tuple[LabelledData, list[list[float]]]:
    """Return what a table of a column `c` and a column of numbers becomes, all rows of it to train on."""
    quoted = [f'"{cell}"' if separator in cell else cell for cell in cells]
    rows = [separator.join([cell, f"{row * 7 % 5}", "xy"[row // 2 % 2], "train"]) for row, cell in enumerate(quoted)]
    test = [separator.join([quoted[0], "1", label, "test"]) for label in "xy"]
    data = read(write_rows(path, separator.join(["c", "n", "label", "split"]), [*rows, *test]))
    width = len(data.columns[0].features)
    return data, data.train.inputs[0][:, :width].tolist()


def test_numbers_stay_and_words_become_columns(tmp_path: Path) -> None:
    path = write_rows(
        tmp_path / "t.csv", "height,colour,label,split", [f"{row},train" for row in ROWS] + ["1,red,x,test"]
    )
    data = read(path)
    assert names(data) == ["height", "colour = blue", "colour = green", "colour = red"]
    assert data.train.inputs[0].tolist() == [
        [1.5, 0, 0, 1],
        [-2, 1, 0, 0],
        [300, 0, 0, 1],
        [0, 0, 1, 0],
        [7, 1, 0, 0],
        [8, 0, 0, 1],
    ]
    assert data.train.inputs[0].dtype == torch.float32
    assert (data.kind, data.hierarchy.class_names, data.augmentation) == ("table", ("x", "y"), "none")
    assert data.test.inputs[0].tolist() == [[1, 0, 0, 1]]


DAY = datetime.date(1970, 1, 1)
DATED = [(datetime.date(2020, 2, day) - datetime.date(2020, 2, 3)).days for day in (14, 3, 20, 4)]


@pytest.mark.parametrize(
    ("cells", "separator", "expected", "said"),
    [
        (["1,250", "2,000", "999", "1,000,000"], ",", [1250, 2000, 999, 1000000], "'1,250' is read as 1250"),
        (["$1,250.50", "$2", "$ 3", "-$4"], ",", [1250.5, 2, 3, -4], "'$1,250.50' is read as 1250.5"),
        (["12 %", "7%", "8 %", "9.5 %"], ",", [12, 7, 8, 9.5], "'12 %' is read as 12"),
        (["3 EUR", "4 EUR", "7 EUR", "5 EUR"], ",", [3, 4, 7, 5], "'3 EUR' is read as 3"),
        (["1,5", "2,25", "1.000,5", "7"], ";", [1.5, 2.25, 1000.5, 7], "'1,5' is read as 1.5"),
        (["1,234", "2,500", "3,125", "4,875"], ";", [1.234, 2.5, 3.125, 4.875], "'1,234' is read as 1.234"),
        (["0.076", "0.098", "0.092", "1.234"], ";", [0.076, 0.098, 0.092, 1.234], "separated by semicolons"),
        (["1 250", "2 000", "3", "4"], "\t", [1250, 2000, 3, 4], "separated by tabs"),
        (["1'250", "2'000.5", "3", "4"], "|", [1250, 2000.5, 3, 4], "separated by bars"),
        (["yes", "No", "YES", "no"], ",", [1, 0, 1, 0], "of yes or no: 'c'"),
        (["True", "False", "FALSE", "true"], ",", [1, 0, 0, 1], "of yes or no: 'c'"),
        (["2020-02-14", "2020-02-03", "2020-02-20", "2020-02-04"], ",", DATED, "'2020-02-14' is read as 2020-02-14"),
        (["14/02/2020", "03/02/2020", "20/02/2020", "04/02/2020"], ",", DATED, "(%d/%m/%Y): '14/02/2020' is read as"),
        (["2/14/2020", "2/3/2020", "2/20/2020", "2/4/2020"], ",", DATED, "(%m/%d/%Y): '2/14/2020' is read as"),
        (["1700000060", "1700000000", "1700000030", "1700000090"], ",", [60, 0, 30, 90], "1700000000 is subtracted"),
    ],
)
def test_how_cells_are_written(
    cells: list[str], separator: str, expected: list[float], said: str, tmp_path: Path
) -> None:
    data, found = of_column(tmp_path / "t.csv", cells, separator)
    np.testing.assert_allclose(np.array(found)[:, 0], np.array(expected, np.float32))
    assert [notice for notice in data.notices if said in notice], data.notices
    # A finished run reads its own way of writing again.
    again = Preprocessing.from_dict(Preprocessing.fit(data, "data").to_dict())
    new = write_rows(tmp_path / "new.csv", separator.join(["n", "c"]), [f'1{separator}"{cell}"' for cell in cells])
    assert read_unlabelled([new], again).inputs[0][:, :1].tolist() == [[value[0]] for value in found]


def test_a_date_far_in_the_future_is_no_trouble(tmp_path: Path) -> None:
    """What people write for never: early versions of pandas have no such date, and the cells are then words."""
    _, found = of_column(tmp_path / "t.csv", ["9999-12-31", "2020-02-03", "2020-02-20", "2020-02-04"])
    assert len(found) == 4


@pytest.mark.parametrize("word", ["", "NA", "n/a", "NaN", "null", "?", "-", "<NA>"])
def test_missing_values(word: str, tmp_path: Path) -> None:
    data, found = of_column(tmp_path / "t.csv", ["2", word, "8", "5"])
    assert names(data)[:2] == ["c", "c is missing"]
    assert found == [[2, 0], [5, 1], [8, 0], [5, 0]]  # the median of 2, 8, 5
    assert any("1 missing value ('c' 1)" in notice for notice in data.notices)
    data, found = of_column(tmp_path / "t.csv", ["red", "blue", word, "red"])
    assert names(data)[:3] == ["c is missing", "c = blue", "c = red"]
    assert found == [[0, 0, 1], [0, 1, 0], [1, 0, 0], [0, 0, 1]]


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        ([f"person {row}" for row in range(40)], "'c' (40 different words in 40 rows, such as 'person 0')"),
        (["7"] * 40, "'c' (always '7')"),
        (["red"] * 40, "'c' (always 'red')"),
        ([""] * 40, "'c' (empty)"),
        ([str(row * 7 % 5) for row in range(40)], "'n' (the same as 'c')"),
    ],
)
def test_columns_that_say_nothing_are_left_out(column: list[str], reason: str, tmp_path: Path) -> None:
    data, _ = of_column(tmp_path / "t.csv", column)
    assert f"1 column left out: {reason}" in data.notices
    assert len(names(data)) == 1


def test_columns_that_say_too_much(tmp_path: Path) -> None:
    copies = ["ab"[row // 2 % 2] for row in range(40)]
    assert any("'c' alone settles the class" in notice for notice in of_column(tmp_path / "t.csv", copies)[0].notices)
    counted = [str(row + 1) for row in range(40)]
    said = of_column(tmp_path / "t.csv", counted)[0].notices
    assert any("'c' counts the rows; if it says nothing" in notice for notice in said)
    rows = [f"{row},{row * 7 % 5},{'xy'[row // 2 % 2]}" for row in range(40)]
    data = read(write_rows(tmp_path / "t.csv", ",n,label", rows))
    assert "1 column left out: 'column 1' (without a name, it counts the rows)" in data.notices


def test_rows_without_a_label_are_left_out(tmp_path: Path) -> None:
    rows = [f"{row * 7 % 5},{label}" for row, label in enumerate(["x", "y", "", "NA", *"xyxyxy", "?"])]
    data = read(write_rows(tmp_path / "t.csv", "n,label", rows))
    assert len(data.train) + len(data.test) == 8
    path = tmp_path / "t.csv"
    assert (
        f"3 of 11 rows are left out, without a label in column 'label', the first in line 4 of '{path}'" in data.notices
    )


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["0", "0.0", "1"], "found '0' .4 times. and '0.0' .4 times., which are the same number"),
        (["yes", "Yes", "no"], "found 'yes' .* and 'Yes' .*, which are the same but for capitals or spaces"),
        (["a b", "a  b", "c"], "found 'a b' .* and 'a  b'"),
        ([f"{row / 7:.3f}" for row in range(12)], "found 12 different numbers from 0 to 1.571 .*: that is regression"),
    ],
)
def test_labels_that_are_no_classes(labels: list[str], message: str, tmp_path: Path) -> None:
    rows = [f"{row * 7 % 5},{labels[row % len(labels)]}" for row in range(12)]
    with pytest.raises(InputError, match=message):
        read(write_rows(tmp_path / "t.csv", "n,label", rows))


def test_labels_that_are_classes(tmp_path: Path) -> None:
    for labels in ("aAbB", [str(number) for number in range(1, 21)], ["0.5", "1.5"], ["cafe\u0301", "caf\u00e9", "th"]):
        rows = [f"{row * 7 % 5},{labels[row % len(labels)]}" for row in range(60)]
        count = 2 if len(labels) == 3 else len(labels)
        assert read(write_rows(tmp_path / "t.csv", "n,label", rows)).hierarchy.classes == count


def test_the_columns_that_are_no_features(tmp_path: Path) -> None:
    rows = [f"{row % 5},{row % 3},{row % 4},{'xy'[row % 2]},{('train', 'test')[row % 4 > 2]}" for row in range(24)]
    path = write_rows(tmp_path / "t.csv", "a,b,group,species,split", rows)
    with pytest.raises(InputError, match=r"expected the column label .* found a, b, .*: --label COLUMN"):
        read(path)
    data = read(path, label="species")
    assert names(data) == ["a", "b"]
    assert len(data.test) == 6
    assert any("column 'group' says which samples belong" in notice for notice in data.notices)
    assert any("column 'split' says which part" in notice for notice in data.notices)
    other = read(path, label="species", group="", split="", ignore=("b",))
    assert names(other) == ["a", "group", "split = test", "split = train"]
    named = read(path, label="species", group="b", split="")
    assert names(named) == ["a", "group", "split = test", "split = train"]
    assert named.train.groups is not None
    with pytest.raises(InputError, match=r"expected the column spicies .*did you mean 'species'"):
        read(path, label="spicies")
    last = write_rows(tmp_path / "l.csv", "a,Class", [f"{row % 5},{'xy'[row % 2]}" for row in range(20)])
    assert any("in the last column, 'Class'" in notice for notice in read(last).notices)


def test_a_table_without_a_header(tmp_path: Path) -> None:
    rows = [f"{'xy'[row % 2]},{row % 5}.5,7,{row % 3}" for row in range(20)]
    path = write_rows(tmp_path / "t.csv", rows[0], rows[1:])
    with pytest.raises(InputError, match=r"found x, 0.5, 7, 0, which looks like data; give --no-header"):
        read(path)
    data = read(path, header=False, label="1")
    assert len(data.train) + len(data.test) == 20
    assert names(data) == ["2", "4"]
    fitted, settings = Preprocessing.fit(data, "data"), Settings(header=False, label="1")
    whole = read_unlabelled([write_rows(tmp_path / "a.csv", "x,1.5,7,2", ["y,2.5,7,0"])], fitted, settings)
    without = read_unlabelled([write_rows(tmp_path / "b.csv", "1.5,7,2", ["2.5,7,0"])], fitted, settings)
    assert whole.inputs[0].tolist() == without.inputs[0].tolist() == [[1.5, 2], [2.5, 0]]
    years = write_rows(
        tmp_path / "y.csv", "2001,2002,label", [f"{row % 5},{row % 3},{'xy'[row % 2]}" for row in range(9)]
    )
    assert names(read(years)) == ["2001", "2002"]


def test_columns_called_label_are_finer_labels(tmp_path: Path) -> None:
    data = read(write_animals(tmp_path / "t.csv"))
    assert data.hierarchy.class_names == ("cat", "dog")
    assert data.hierarchy.subclass_names == ("siamese", "tabby", "boxer", "pug")
    assert data.train.human is not None
    assert names(data) == ["height", "colour = brown", "colour = grey", "colour = white"]
    assert any("'breed_label' gives the finer labels" in notice for notice in data.notices)


def test_finer_labels_that_some_samples_lack(tmp_path: Path) -> None:
    lines = write_animals(tmp_path / "t.csv").read_text().splitlines()
    lines = [line.rpartition(",")[0] + "," if row % 3 == 1 else line for row, line in enumerate(lines)]
    data = read(write_rows(tmp_path / "t.csv", lines[0], lines[1:]))
    assert data.train.human is not None
    assert data.train.ids is not None
    lacking = data.train.ids % 3 == 0
    assert (data.train.human[lacking] == -1).all()
    assert (data.train.human[~lacking] >= 0).all()
    assert any("40 of 120 samples have no finer label in column 'breed_label'" in notice for notice in data.notices)


def test_columns_that_the_settings_name_are_labels(tmp_path: Path) -> None:
    rows = [f"{row},{number},{'ab'[number // 2 % 2]}{row[-1]}" for number, row in enumerate(ROWS * 3)]
    path = write_rows(tmp_path / "t.csv", "height,colour,label,group,sort", rows)
    assert names(read(path))[-4:] == ["sort = ax", "sort = ay", "sort = bx", "sort = by"]
    assert read(path, auxiliary="sort").hierarchy.subclass_names == ("ax", "bx", "ay", "by")
    assert read(path, primary="sort").hierarchy.class_names == ("ax", "ay", "bx", "by")
    groups = read(path).train.groups
    assert groups is not None
    assert len(groups.unique()) == len(groups)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("height,colour\n1,red\n", "expected the column label .* found height, colour; say which"),
        ("height,label\n1,x\n2,y\n3,y\n1O,x\n5,x\n6,y\n", "a number in column 'height', found '1O' in line 5"),
        (
            "height,label\n1,x\n2,y\ninf,y\n3,x\n4,x\n5,y\n",
            "a number in column 'height', found 'inf' in line 4",
        ),
        (
            "height,label\n1,x\n2,y\n1e39,y\n3,x\n4,x\n5,y\n",
            "a number in column 'height', found '1e39' in line 4",
        ),
        (
            "height,label\n1,x\n2,y\n1_0,y\n3,x\n4,x\n5,y\n",
            "a number in column 'height', found '1_0' in line 4",
        ),
        ("height,label,split\n1,x,rest\n", "the split train, val or test in line 2 of .*, found 'rest'"),
        ("height,height,label\n1,1,x\n", "expected different column names in .*; rename one"),
        ("height,label\n1,x,2\n", "expected 2 cells in line 2 of .*, found more"),
        ("height,label\n", "expected one row per sample in .*, found none"),
        ("label\nx\ny\n", "expected columns beside the labels in .*, found none"),
        (
            "a,b,label\n1,2,x\n1,x\n",
            "expected 3 cells in line 3 of .*, found 2; correct it, or remove what stands above",
        ),
        ('a,label\n"1,x\n2,"y\n', "found .* that isn't one .*close every quote"),
        ('label,text\npos,"Great movie\nneg,bad\npos,good film\n', "close every quote"),
        ('\n\nlabel,group,a\n"u\r\nv",g,1\nw,,2\n', "expected a group in line 6"),
        ("a,label\n3,x\n3,y\n3,x\n3,y\n", r"columns to learn from, found 'a' \(always '3'\)"),
    ],
)
def test_what_a_table_may_not_have(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        read(tmp_path / "t.csv")
    assert "\n" not in str(caught.value)


def test_image_size_of_a_table(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected images, found a table in"):
        load(Settings(data=str(write_animals(tmp_path / "t.csv")), image_size=8))
    with pytest.raises(InputError, match="expected images, found a table in 'iris'"):
        load(Settings(data="iris", image_size=8))
    with pytest.raises(InputError, match="expected a file of a table for --group, found 'iris'"):
        load(Settings(data="iris", group="a"))


@pytest.fixture
def animals(tmp_path: Path) -> tuple[LabelledData, Preprocessing]:
    data = read(write_animals(tmp_path / "t.csv"))
    return data, Preprocessing.fit(data, "data")


def test_a_run_reads_as_it_was_trained(animals: tuple[LabelledData, Preprocessing], tmp_path: Path) -> None:
    _, preprocessing = animals
    assert Preprocessing.from_dict(preprocessing.to_dict()) == preprocessing
    few = write_rows(tmp_path / "new.csv", "colour,note,height", ["white,a,3", "white,b,4"])
    found = read_unlabelled([few], preprocessing)
    assert found.inputs[0].tolist() == [[3, 0, 0, 1], [4, 0, 0, 1]]
    assert (found.names, found.notices) == (("0", "1"), ())
    labelled = write_rows(tmp_path / "more.csv", "height,colour,label", ["3,white,dog", "4,white,Cat", "5,grey,"])
    settings = Settings(data=str(tmp_path / "t.csv"))
    samples, _ = load_for_evaluation(settings, ("cat", "dog"), preprocessing, str(labelled))
    assert samples.inputs[0].tolist() == found.inputs[0].tolist()
    assert samples.primary.tolist() == [1, 0]
    assert len(samples.notices) == 2  # a row without a label, and another spelling


def test_what_the_run_did_not_know(animals: tuple[LabelledData, Preprocessing], tmp_path: Path) -> None:
    data, preprocessing = animals
    new = write_rows(tmp_path / "new.csv", "height,colour", ["1,pink", ",grey", "2,"])
    found = read_unlabelled([new], preprocessing)
    median = float(np.median(data.train.inputs[0][:, 0].numpy().astype(float)))
    expected = np.array([[1, 0, 0, 0], [median, 0, 1, 0], [2, 0, 0, 0]])
    np.testing.assert_allclose(found.inputs[0].numpy(), expected, rtol=1e-6)
    assert [notice.partition(":")[0] for notice in found.notices] == [
        "1 of 3 cells of column 'height' have no value, as no training sample",
        "2 of 3 cells of column 'colour' have a category that the training samples don't have ('pink')",
    ]


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        ("height", "1", "expected the column colour .*, found height; add 'colour'"),
        ("height,colour", "tall,grey", "a number in column 'height', found 'tall' in line 2"),
    ],
)
def test_inputs_that_the_run_can_not_take(
    animals: tuple[LabelledData, Preprocessing], tmp_path: Path, header: str, row: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read_unlabelled([write_rows(tmp_path / "new.csv", header, [row])], animals[1])


def test_a_csv_file_for_a_run_on_an_npz(tmp_path: Path) -> None:
    table = Preprocessing("table", 2, None, (0.0,) * 2, (1.0,) * 2)
    with pytest.raises(InputError, match=r"like the run's \(tables of 2 columns\), found the file"):
        read_unlabelled([write_animals(tmp_path / "t.csv", labelled=False)], table)


@pytest.mark.parametrize("suffix", [".parquet", ".xlsx"])
def test_typed_files(suffix: str, tmp_path: Path) -> None:
    count = 40
    frame = pd.DataFrame(
        {
            "n": pd.array([None if row == 3 else row * 7 % 5 for row in range(count)], dtype="Int64"),
            "b": [row % 3 == 0 for row in range(count)],
            "d": pd.date_range("2020-01-01", periods=5).repeat(count // 5),
            "c": pd.Categorical([["red", "blue"][row % 2] for row in range(count)]),
            "kind": [1.0 + row // 2 % 2 for row in range(count)],
            "split": ["train"] * 36 + ["test"] * 4,
        }
    )
    path = tmp_path / f"t{suffix}"
    frame.to_parquet(path) if suffix == ".parquet" else frame.to_excel(path, index=False)
    data = read(path, label="kind")
    assert data.hierarchy.class_names == ("1", "2")
    assert names(data) == ["n", "n is missing", "b", "d", "c = blue", "c = red"]
    x = data.train.inputs[0].numpy()
    train = frame.iloc[:36]
    numbers = train["n"].astype("Float64").to_numpy(dtype=float, na_value=np.nan)
    np.testing.assert_allclose(x[:, 0], np.where(np.isnan(numbers), np.nanmedian(numbers), numbers))
    np.testing.assert_allclose(x[:, 2], train["b"].astype(float))
    np.testing.assert_allclose(x[:, 3], (train["d"] - train["d"].min()).dt.days)
    np.testing.assert_allclose(x[:, 5], train["c"] == "red")
    (tmp_path / f"broken{suffix}").write_bytes(b"nothing")
    with pytest.raises(InputError, match=f"expected a {suffix} file"):
        read(tmp_path / f"broken{suffix}")


def test_a_text_in_a_parquet_file_that_is_no_text(tmp_path: Path) -> None:
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    bad = pyarrow.array([b"x", b"35.\xff6"]).view(pyarrow.string())
    parquet.write_table(pyarrow.table({"a": bad, "label": ["x", "y"]}), tmp_path / "t.parquet")
    with pytest.raises(InputError, match=r"expected a .parquet file, .*t.parquet' that isn't one \(.*; save it again"):
        read_table(tmp_path / "t.parquet")


@pytest.mark.parametrize("number", ["4294967296", "1e12"])
def test_a_row_of_excel_far_below_the_others(number: str, tmp_path: Path) -> None:
    pd.DataFrame({"a": [1, 2], "label": ["x", "y"]}).to_excel(tmp_path / "s.xlsx", index=False)
    with zipfile.ZipFile(tmp_path / "s.xlsx") as given, zipfile.ZipFile(tmp_path / "t.xlsx", "w") as made:
        for name in given.namelist():
            made.writestr(name, given.read(name).replace(b'<row r="3"', f'<row r="{number}"'.encode()))
    assert len(read_table(tmp_path / "s.xlsx").cells) == 2
    with pytest.raises(InputError, match=f"at most 1,048,576 rows in '.*', .* with the number {number}; save it again"):
        read_table(tmp_path / "t.xlsx")


def test_a_lack_of_memory_is_not_the_fault_of_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lack(*_: object, **__: object) -> None:
        raise MemoryError

    path = tmp_path / "t.parquet"
    pd.DataFrame({"a": [1, 2], "label": ["x", "y"]}).to_parquet(path)
    monkeypatch.setattr(pd, "read_parquet", lack)
    with pytest.raises(MemoryError):
        read_table(path)
    found = metaux("train", path, "--epochs", 1, "--out", tmp_path / "out")
    said = "metaux: too little memory to read the data; give less of it, or end other programs\n"
    assert (found.code, found.err) == (1, said)


@pytest.mark.parametrize(
    ("name", "samples", "columns", "classes", "first"),
    [
        ("iris", 150, 4, ("setosa", "versicolor", "virginica"), "sepal length (cm)"),
        ("wine", 178, 13, ("class_0", "class_1", "class_2"), "alcohol"),
        ("breast-cancer", 569, 30, ("benign", "malignant"), "mean radius"),
    ],
)
def test_sets_of_scikit_learn(name: str, samples: int, columns: int, classes: tuple[str, ...], first: str) -> None:
    from sklearn import datasets

    data = load(Settings(data=name))
    assert (len(data.train) + len(data.test), data.train.inputs[0].shape[1]) == (samples, columns)
    assert data.hierarchy.class_names == classes
    assert data.columns[0] == Column(first)
    table = getattr(datasets, f"load_{name.replace('-', '_')}")()
    assert data.test.ids is not None
    assert np.array_equal(data.test.inputs[0].numpy(), table.data[data.test.ids].astype(np.float32))
    told = [str(table.target_names[label]) for label in table.target[data.test.ids]]
    assert [classes[label] for label in data.test.primary] == told


def test_a_column_that_may_be_meant_for_groups_is_told(tmp_path: Path) -> None:
    rows = [f"{'ill' if row % 2 else 'well'},{row % 4},{row % 5}" for row in range(20)]
    data = read(write_rows(tmp_path / "t.csv", "label,Group,a", rows))
    told = "the column 'Group' is a feature like others; if it says which samples belong together: --group 'Group'"
    assert told in data.notices


def test_no_row_is_lost_but_for_the_empty_ones_that_end_a_spreadsheet(tmp_path: Path) -> None:
    preprocessing = Preprocessing("table", 2, None, (0.0,) * 2, (1.0,) * 2, (Column("a"), Column("b")))
    path = tmp_path / "new.csv"
    path.write_text("a,b\n1,2\n\n  \n3,4\n,\n,\n")
    assert read_unlabelled([path], preprocessing).inputs[0].tolist() == [[1, 2], [3, 4]]
    path.write_text("a,b\n1,2\n,\n3,4\n")
    assert read_unlabelled([path], preprocessing).inputs[0].tolist() == [[1, 2], [0, 0], [3, 4]]
    with pytest.raises(InputError, match=r"expected one .npz or .csv file of inputs like the run's .* found .* and "):
        read_unlabelled([path, path], preprocessing)


@pytest.mark.parametrize(
    "text",
    [
        "sep=;\nsize;label\n1,5;x\n2,5;y\n",  # as a spreadsheet begins a file for itself
        'size, "label"\n1.5, "x"\n2.5, "y"\n',
    ],
)
def test_ways_to_part_cells(text: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    table = read_table(path)
    assert table.names == ["size", "label"]
    assert table.cells["label"].tolist() == ["x", "y"]
    assert [str(place) for place in table.cells.index] == [
        f"line {text.count(chr(10)) - 1 + row} of '{path}'" for row in (0, 1)
    ]


def test_whole_numbers_some_of_which_come_once_are_no_classes() -> None:
    labels = [str(row % 80 if row < 150 else row) for row in range(170)]
    with pytest.raises(InputError, match=r"found 100 different numbers from 0 to 169 .*: that is regression"):
        check_labels("target", labels)
    check_labels("target", [str(row % 80) for row in range(240)])


def test_letters_are_two_classes_by_their_case_in_an_alphabet_alone() -> None:
    with pytest.raises(InputError, match=r"found 'm' \(3 times\) and 'M' \(2 times\), .* the same but for capitals"):
        check_labels("sex", ["m", "f", "M", "m", "M", "m", "f"])
    check_labels("letter", 3 * list("aAbCDEFGHIJK"))
