from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from pictures import save

from metaux.data.samples import Samples
from metaux.data.sources import load
from metaux.errors import InputError
from metaux.settings import Settings

BREEDS = {"tabby": "cat", "siamese": "cat", "pug": "dog", "boxer": "dog"}


def manifest(folder: Path, header: str, rows: Sequence[str]) -> Settings:
    (folder / "list.csv").write_text("\n".join([header, *rows]) + "\n")
    return Settings(data=str(folder / "list.csv"))


def pets(folder: Path, count: int = 5) -> list[str]:
    names = []
    for number, (breed, kind) in enumerate(BREEDS.items()):
        for index in range(count):
            save(folder / "images" / f"{breed}{index}.png", seed=100 * number + index)
            names.append(f"images/{breed}{index}.png,{kind},{breed}")
    return names


def names(samples: Samples) -> set[str]:
    return {Path(name).stem for name in samples.names}


def test_the_other_column_is_the_human_label(tmp_path: Path) -> None:
    data = load(manifest(tmp_path, "file,label,breed", pets(tmp_path)))
    assert data.hierarchy.class_names == ("cat", "dog")
    assert data.hierarchy.subclass_names == ("siamese", "tabby", "boxer", "pug")
    assert data.train.human is not None
    for name, flat in zip(data.train.names, data.train.human.tolist(), strict=True):
        assert data.hierarchy.subclass_names[flat] in name


def test_the_user_chooses_columns(tmp_path: Path) -> None:
    rows = [f"{row},{index % 2}" for index, row in enumerate(pets(tmp_path))]
    settings = manifest(tmp_path, "file,label,breed,indoors", rows)
    assert load(settings).hierarchy.slots == (5, 5)
    chosen = Settings(data=settings.data, auxiliary="breed")
    assert load(chosen).hierarchy.slots == (2, 2)
    finer = Settings(data=settings.data, primary="breed", subclasses=(3,))
    assert load(finer).hierarchy.slots == (3, 3, 3, 3)
    with pytest.raises(InputError, match="found '0' of level 'indoors' under both 'cat' and 'dog'"):
        load(Settings(data=settings.data, auxiliary="indoors"))


def test_a_hierarchy_file_reads_the_label_column(tmp_path: Path) -> None:
    (tmp_path / "pets.yaml").write_text("levels: [kind, breed]\nclasses: {cat: [tabby, siamese], dog: [pug, boxer]}\n")
    rows = [",".join([row.split(",")[0], row.split(",")[2]]) for row in pets(tmp_path)]
    settings = manifest(tmp_path, "file,label", rows)
    data = load(Settings(data=settings.data, hierarchy=str(tmp_path / "pets.yaml")))
    assert data.hierarchy.subclass_names == ("tabby", "siamese", "pug", "boxer")
    assert data.test.human is not None


def test_split_column(tmp_path: Path) -> None:
    parts = ["train", "Train", "validation", "test", "train"]
    rows = [f"{row},{parts[index % 5]}" for index, row in enumerate(pets(tmp_path))]
    data = load(manifest(tmp_path, "file, label, breed, split", rows))
    assert data.validation is not None
    assert names(data.validation) == {f"{breed}2" for breed in BREEDS}
    assert names(data.test) == {f"{breed}3" for breed in BREEDS}
    assert len(data.train) == 12


def test_groups_stay_together(tmp_path: Path) -> None:
    rows = [f"{row},g{index % 5}{row.split(',')[1]}" for index, row in enumerate(pets(tmp_path))]
    data = load(manifest(tmp_path, "file,label,breed,group", rows))
    assert data.train.groups is not None
    assert data.test.groups is not None
    assert not set(data.train.groups.tolist()) & set(data.test.groups.tolist())
    assert len(data.test) == 4


def test_groups_that_straddle_the_given_split(tmp_path: Path) -> None:
    rows = [f"{row},{('train', 'test')[index % 5 > 2]},{index % 4}" for index, row in enumerate(pets(tmp_path))]
    with pytest.raises(InputError, match=r"expected every group in one part only, found group '\d' in train and test"):
        load(manifest(tmp_path, "file,label,breed,split,group", rows))


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        ("file,kind", "a.png,cat", "found file, kind; say which column has the classes"),
        ("file,label,label", "a.png,cat,cat", "expected different column names in .*; rename one"),
        ("file,label", "a.png,cat,x", "expected 2 cells in line 2 of .*, found more; correct it"),
        ("file,label", "a.png,", "expected one row per sample in .*, found none with a label"),
        ("file,label,group", "a.png,cat,n/a", "expected a group in line 2 of .*, found none; fill"),
        ("file,label", ",cat", "expected a file in line 2"),
        ("file,label", "b.png,cat", "found nothing at '.*b.png' .line 2 of .*; correct it"),
        ("file,label", "a.png,cat\na.png,dog", "expected each file once, found '.*a.png' in line 2 of .* and line 3"),
        ("file,label,split", "a.png,cat,rest", "the split train, val or test in line 2 of .*, found 'rest'"),
        ("file,label,split", "a.png,cat,", "expected the split train, val or test in line 2 of .*, found nothing"),
        ("file,label", "", "expected one row per sample in .*, found none with a label"),
        ("file,label", "list.csv,cat", "expected an image, found '.*list.csv' that can't be read as one"),
    ],
)
def test_bad_manifests(tmp_path: Path, header: str, row: str, message: str) -> None:
    save(tmp_path / "a.png")
    save(tmp_path / "b" / "a.png")
    with pytest.raises(InputError, match=message) as caught:
        load(manifest(tmp_path, header, [row]))
    assert "\n" not in str(caught.value)


def test_what_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_bytes(b"label\x80,text")
    with pytest.raises(InputError, match=r"expected a CSV file, found .*save it as UTF-8"):
        load(Settings(data=str(tmp_path / "list.csv")))
    (tmp_path / "list.csv").write_bytes(b"")
    with pytest.raises(InputError, match=r"expected the column label .*found nothing; add 'label'"):
        load(Settings(data=str(tmp_path / "list.csv")))


def test_it_says_which_other_columns_are_used(tmp_path: Path) -> None:
    rows = pets(tmp_path)
    assert (
        "column 'breed' gives the finer labels (--subclasses 5 leaves it out)"
        in load(manifest(tmp_path, "file,label,breed", rows)).notices
    )
    both = manifest(tmp_path, "file,label,breed,source", [f"{row},here" for row in rows])
    assert "not used: the columns breed, source (--auxiliary NAME takes one for finer labels)" in load(both).notices
    assert not any("source" in notice for notice in load(replace(both, auxiliary="breed")).notices)
    assert not any("not used" in notice for notice in load(replace(both, primary="breed")).notices)


def test_other_columns_that_are_no_finer_labels(tmp_path: Path) -> None:
    rows = pets(tmp_path)
    numbered = manifest(tmp_path, "file,label,id", [f"{row.rpartition(',')[0]},{n}" for n, row in enumerate(rows)])
    assert "no labels, since each row has another one, and left out: 'id'" in load(numbered).notices
    told = manifest(tmp_path, "file,label,note", [f"{row.rpartition(',')[0]},note {n}" for n, row in enumerate(rows)])
    with pytest.raises(InputError, match="in column 'note', found another one for every sample; leave the column out"):
        load(told)
    cameras = [f"{row.rpartition(',')[0]},camera{number % 3}" for number, row in enumerate(rows)]
    crossed = manifest(tmp_path, "file,label,camera", cameras)
    with pytest.raises(
        InputError, match=r"or leave column 'camera' out with --subclasses 5, or learn it .* --given cam"
    ):
        load(crossed)
    assert load(replace(crossed, subclasses=(5,))).hierarchy.slots == (5, 5)


def test_a_column_of_names_of_images_is_the_files_whatever_it_is_called(tmp_path: Path) -> None:
    data = load(manifest(tmp_path, "Image Path,label,breed", pets(tmp_path)))
    assert (data.kind, data.hierarchy.class_names) == ("image", ("cat", "dog"))
    assert any("column 'Image Path' names image files, and is taken for the column 'file'" in n for n in data.notices)
    table = Settings(data=str(tmp_path / "list.csv"), ignore=("Image Path",))
    assert load(table).kind == "table"
