"""What would be read wrongly, or left out, without a word."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pictures import class_folders, read_images, save

from metaux.data.pixels import ImageFormat, image_tensor
from metaux.data.sources import load
from metaux.settings import Settings
from written import write_rows


def test_long_identifiers_stay_different(tmp_path: Path) -> None:
    """The numbers 2 ** 53 and 2 ** 53 + 1 are the same one as float64."""
    pytest.importorskip("pyarrow")
    first = 2**53
    frame = pd.DataFrame({"x": range(40), "group": [first + row // 4 for row in range(40)]})
    frame["label"] = [first + row % 2 for row in range(40)]
    frame.to_parquet(tmp_path / "t.parquet")
    data = load(Settings(data=str(tmp_path / "t.parquet")))
    assert data.hierarchy.class_names == (str(first), str(first + 1))
    assert data.train.groups is not None
    assert data.test.groups is not None
    assert len({*data.train.groups.tolist(), *data.test.groups.tolist()}) == 10


def test_classes_that_are_long_numbers(tmp_path: Path) -> None:
    rows = [f"{row},{2**53 + row % 2}" for row in range(20)]
    data = load(Settings(data=str(write_rows(tmp_path / "t.csv", "x,label", rows))))
    assert data.hierarchy.class_names == (str(2**53), str(2**53 + 1))


def test_none_is_a_class_in_a_spreadsheet_as_in_text(tmp_path: Path) -> None:
    pytest.importorskip("openpyxl")
    frame = pd.DataFrame({"x": [*range(39), "NA"], "damage": ["None", "Some", "None", "Heavy"] * 10})
    frame["label"] = ["None", "Some"] * 20
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_excel(tmp_path / "t.xlsx", index=False)
    text, sheet = (load(Settings(data=str(tmp_path / name))) for name in ("t.csv", "t.xlsx"))
    assert sheet.hierarchy.class_names == ("None", "Some")
    assert len(sheet.train) + len(sheet.test) == 40
    assert [column.name for column in sheet.columns if column.indicator] == ["x"]
    assert sheet.columns == text.columns
    assert sheet.train.inputs[0].equal(text.train.inputs[0])


def test_a_class_folder_with_the_name_of_thumbnails(tmp_path: Path) -> None:
    class_folders(tmp_path / "d", {"fist": 5, "palm": 5, "Thumbs": 5})
    data = load(Settings(data=str(tmp_path / "d")))
    assert data.hierarchy.class_names == ("fist", "palm")
    assert any(
        notice.startswith("5 hidden images or thumbnails were skipped") and "Thumbs" in notice
        for notice in data.notices
    )


def test_images_that_a_range_is_not_for(tmp_path: Path) -> None:
    mask = save(tmp_path / "m.png", np.eye(4, dtype=np.uint8))
    found, [said] = read_images([mask], ImageFormat(pixel_range=(0, 1)))
    assert found.unique().tolist() == [0, 1]
    assert said == "1 of 1 images have 8 bits, or colours, to which --pixel-range does not apply"


@pytest.mark.parametrize(("largest", "is_told"), [(1, True), (2, False), (255, False)])
def test_masks_of_0_and_1(largest: int, is_told: bool) -> None:
    found = image_tensor("x", np.full((2, 4, 4), largest, np.uint8))
    assert found.images.unique().tolist() == [largest]
    assert (found.notices != ()) == is_told
    assert all(f"whole numbers up to {largest}, taken as 0 (black) to 255 (white)" in said for said in found.notices)


def test_columns_of_labels_beside_a_hierarchy(tmp_path: Path) -> None:
    hierarchy = write_rows(tmp_path / "h.csv", "kind,name", ["pet,cat", "pet,dog", "bird,owl"])
    rows = [f"{row},{('red', 'blue')[row % 2]},{('cat', 'dog', 'owl')[row % 3]}" for row in range(30)]
    table = write_rows(tmp_path / "t.csv", "x,colour_label,label", rows)
    data = load(Settings(data=str(table), hierarchy=str(hierarchy)))
    assert data.hierarchy.class_names == ("pet", "bird")
    assert "not used beside the hierarchy: colour_label" in data.notices
