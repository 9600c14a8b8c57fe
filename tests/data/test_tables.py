from pathlib import Path

import numpy as np
import pytest
import torch

from metaux.data.samples import LabelledData
from metaux.data.sources import load, load_for_evaluation, read_unlabelled
from metaux.data.transforms import Preprocessing
from metaux.errors import InputError
from metaux.settings import Settings
from written import write_animals, write_rows


def read(path: Path, **settings: str) -> LabelledData:
    return load(Settings(data=str(path), **settings))  # type: ignore[arg-type]


ROWS = ["1.5,red,x", "-2,blue,y", "3e2,red,x", "0,green,y", "7,blue,x", "8,red,y"]


def test_numbers_stay_and_words_become_columns(tmp_path: Path) -> None:
    path = write_rows(
        tmp_path / "t.csv", "height,colour,label,split", [f"{row},train" for row in ROWS] + ["1,red,x,test"]
    )
    data = read(path)
    assert data.columns == (("height",), ("colour", "blue", "green", "red"))
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


def test_columns_called_label_are_finer_labels(tmp_path: Path) -> None:
    data = read(write_animals(tmp_path / "t.csv"))
    assert data.hierarchy.class_names == ("cat", "dog")
    assert data.hierarchy.subclass_names == ("siamese", "tabby", "boxer", "pug")
    assert data.train.human is not None
    assert data.columns == (("height",), ("colour", "brown", "grey", "white"))


def test_columns_that_the_settings_name_are_labels(tmp_path: Path) -> None:
    rows = [f"{row},{number},{'ab'[number // 2 % 2]}{row[-1]}" for number, row in enumerate(ROWS * 3)]
    path = write_rows(tmp_path / "t.csv", "height,colour,label,group,sort", rows)
    assert read(path).columns[-1] == ("sort", "ax", "ay", "bx", "by")
    assert read(path, auxiliary="sort").hierarchy.subclass_names == ("ax", "bx", "ay", "by")
    assert read(path, primary="sort").hierarchy.class_names == ("ax", "ay", "bx", "by")
    groups = read(path).train.groups
    assert groups is not None
    assert len(groups.unique()) == len(groups)


@pytest.mark.parametrize(
    ("header", "rows", "message"),
    [
        ("height,colour", ["1,red"], "expected the column label .* found height, colour; add 'label'"),
        ("height,Label", ["1,x"], "did you mean 'Label'.*add 'label'"),
        ("height,label", ["1,x", "2,"], "expected a label in line 3"),
        ("height,label", ["1,x", ",y", "3,x"], "a value in column 'height', found none in line 3 of '.*t.csv'; fill"),
        ("height,label", ["1,x", "2,y", "NA,y"], "a value in column 'height', found 'NA' in line 4"),
        ("height,label", ["1,x", "2,y", "nan,y"], "a value in column 'height', found 'nan' in line 4"),
        ("height,label", ["1,x", "2,y", "3,y", "1O,x"], "a number in column 'height', found '1O' in line 5"),
        ("height,label", ["1,x", "2,y", "inf,y"], "a number in column 'height', found 'inf' in line 4"),
        (
            "time,label",
            ["1.7e9,x", "1700000060,y"],
            "float32 can tell apart in column 'time', found 1700000000 to 1700000060",
        ),
        ("height,label", ["1,x", "2,y", "1e39,y"], "a number in column 'height', found '1e39' in line 4"),
        ("height,label", ["1,x", "2,y", "1_0,y"], "a number in column 'height', found '1_0' in line 4"),
        ("colour,label", ["red,x", "red,x", ",y"], "a value in column 'colour', found none in line 4"),
        (
            "name,label",
            ["Tom,x", "Rex,y"],
            "found 2 different words in 2 rows .'Tom', 'Rex', ....; leave",
        ),
        ("height,label,split", ["1,x,rest"], "the split train, val or test in line 2 of .*, found 'rest'"),
        ("height,height,label", ["1,1,x"], "expected different column names in .*; rename one"),
        ("height,label", ["1,x,2"], "expected 2 cells in line 2 of .*, found more"),
        ("height,label", [], "expected one row per sample in .*, found only a header"),
        ("label", ["x", "y"], "expected columns beside the labels in .*, found none"),
    ],
)
def test_bad_tables(tmp_path: Path, header: str, rows: list[str], message: str) -> None:
    path = write_rows(tmp_path / "t.csv", header, rows)
    with pytest.raises(InputError, match=message) as caught:
        read(path)
    assert "\n" not in str(caught.value)


def test_image_size_of_a_table(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected images, found a table in"):
        load(Settings(data=str(write_animals(tmp_path / "t.csv")), image_size=8))
    with pytest.raises(InputError, match="expected images, found a table in 'iris'"):
        load(Settings(data="iris", image_size=8))


@pytest.fixture
def animals(tmp_path: Path) -> tuple[LabelledData, Preprocessing]:
    data = read(write_animals(tmp_path / "t.csv"))
    return data, Preprocessing.fit(data, "data")


def test_the_run_s_categories_are_kept(animals: tuple[LabelledData, Preprocessing], tmp_path: Path) -> None:
    _, preprocessing = animals
    assert Preprocessing.from_dict(preprocessing.to_dict()) == preprocessing
    few = write_rows(tmp_path / "new.csv", "colour,note,height", ["white,a,3", "white,b,4"])
    found = read_unlabelled([few], preprocessing)
    assert found.inputs[0].tolist() == [[3, 0, 0, 1], [4, 0, 0, 1]]
    assert found.names == ("0", "1")
    labelled = write_rows(tmp_path / "more.csv", "height,colour,label", ["3,white,dog", "4,white,cat"])
    settings = Settings(data=str(tmp_path / "t.csv"))
    samples, _ = load_for_evaluation(settings, ("cat", "dog"), preprocessing, str(labelled))
    assert samples.inputs[0].tolist() == found.inputs[0].tolist()
    assert samples.primary.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        ("height", "1", "expected the columns height and colour .*, found height; add 'colour'"),
        (
            "height,colour",
            "1,pink",
            r"run's categories \(brown, grey, white\) in column 'colour', found 'pink' in line 2",
        ),
        ("height,colour", "1,", "a value in column 'colour', found none in line 2"),
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
    with pytest.raises(InputError, match=r"like the run's \(tables of 2 columns\), found the CSV file"):
        read_unlabelled([write_animals(tmp_path / "t.csv", labelled=False)], table)


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
    assert data.columns[0] == (first,)
    table = getattr(datasets, f"load_{name.replace('-', '_')}")()
    assert data.test.ids is not None
    assert np.array_equal(data.test.inputs[0].numpy(), table.data[data.test.ids].astype(np.float32))
    names = [str(table.target_names[label]) for label in table.target[data.test.ids]]
    assert [classes[label] for label in data.test.primary] == names


def test_a_quote_that_is_not_closed_swallows_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "reviews.csv"
    path.write_text('label,text\npos,"Great movie\nneg,bad\npos,good film\n')
    with pytest.raises(InputError, match="close every quote"):
        load(Settings(data=str(path)))


def test_every_sample_has_a_group(tmp_path: Path) -> None:
    path = tmp_path / "patients.csv"
    path.write_text("label,group,a\nill,ann,1\nwell,,2\n")
    with pytest.raises(InputError, match="expected a group in line 3"):
        load(Settings(data=str(path)))


def test_a_column_that_may_be_meant_for_groups_is_told(tmp_path: Path) -> None:
    path = tmp_path / "patients.csv"
    rows = [f"{'ill' if row % 2 else 'well'},{row % 4},{row}" for row in range(20)]
    path.write_text("\n".join(["label,Group,a", *rows]))
    data = load(Settings(data=str(path)))
    told = "the column 'Group' is a feature like others; if it says which samples belong together, call it 'group'"
    assert told in data.notices


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a;b;label\n1;2;x\n", "expected columns separated by commas in .*, found semicolons; save it with commas"),
        ("a\tlabel\n1\tx\n", "found tabs; save it with commas"),
        (",a,label\n0,1,x\n", r"found none for column 1; name it, or leave it out \(pandas: to_csv\(index=False\)\)"),
        ("a,label\n1,x\n,\n2,y\n", "expected a label in line 3"),
        ('\n\na,label\n"u\r\nv",x\nw,\n', "expected a label in line 6"),
        ("a,b,label\n1,2,x\n1,x\n", "expected 3 cells in line 3 of .*, found 2; correct it"),
        ('a,label\n"1,x\n2,"y\n', "found .* that isn't one .*close every quote"),
        ("a,b,label\nx,p,u\nx,NA,v\ny,p,u\ny,q,v\n", "expected a value in column 'b', found 'NA' in line 3"),
        ("name,label\nann,u\nbob,v\neve,u\nann,v\n", "found 3 different words in 4 rows"),
    ],
)
def test_what_a_table_may_not_have(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        read(tmp_path / "t.csv")


def test_no_row_is_lost_but_for_the_empty_ones_that_end_a_spreadsheet(tmp_path: Path) -> None:
    preprocessing = Preprocessing("table", 2, None, (0.0,) * 2, (1.0,) * 2, (("a",), ("b",)))
    path = tmp_path / "new.csv"
    path.write_text("a,b\n1,2\n\n  \n3,4\n,\n,\n")
    assert read_unlabelled([path], preprocessing).inputs[0].tolist() == [[1, 2], [3, 4]]
    path.write_text("a,b\n1,2\n,\n3,4\n")
    with pytest.raises(InputError, match="expected a value in column 'a', found none in line 3"):
        read_unlabelled([path], preprocessing)
    with pytest.raises(InputError, match=r"expected one .npz or .csv file of inputs like the run's .* found .* and "):
        read_unlabelled([path, path], preprocessing)
