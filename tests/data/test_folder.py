import sys
from pathlib import Path

import pytest
from pictures import class_folders, save

from metaux.data.sources import load
from metaux.errors import InputError
from metaux.settings import Settings


def test_class_folders(tmp_path: Path) -> None:
    class_folders(tmp_path, {"cat": 10, "dog": 20})
    save(tmp_path / "dog" / "puppies" / "x.png", seed=7)
    (tmp_path / "dog" / ".hidden.png").write_text("no image")
    (tmp_path / ".cache").mkdir()
    (tmp_path / "cat" / "notes.txt").write_text("a note")
    data = load(Settings(data=str(tmp_path)))
    assert (len(data.train), len(data.test), data.validation) == (25, 6, None)
    assert data.hierarchy.class_names == ("cat", "dog")
    assert data.hierarchy.slots == (5, 5)
    assert data.train.human is None
    assert (data.kind, data.augmentation) == ("image", "crop")
    for part in (data.train, data.test):
        for name, label in zip(part.names, part.primary.tolist(), strict=True):
            assert ("cat", "dog")[label] in name
    told: tuple[str, ...] = (
        "1 image lies in a sub-folder of its class",
        "1 file that isn't an image was skipped below",
    )
    told += ("1 hidden image or thumbnail was skipped below", "no test part: 6 of 31 samples were set aside to")
    told += ("images are shifted at random but not mirrored",)
    assert len(data.notices) == len(told)
    assert all(notice.startswith(start) for notice, start in zip(data.notices, told, strict=True))


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_linked_folders_are_read_once(tmp_path: Path) -> None:
    class_folders(tmp_path / "images", {"cat": 4, "dog": 4})
    class_folders(tmp_path / "more", {"cat": 6})
    cats = tmp_path / "images" / "cat"
    (cats / "more").symlink_to(tmp_path / "more" / "cat")
    (cats / "again").symlink_to(cats)
    data = load(Settings(data=str(tmp_path / "images")))
    assert len(data.train) + len(data.test) == 14


def test_parts(tmp_path: Path) -> None:
    for part, count in (("train", 4), ("val", 2), ("test", 3)):
        class_folders(tmp_path / part, {"cat": count, "dog": count})
    data = load(Settings(data=str(tmp_path), subclasses=(2, 3)))
    assert data.validation is not None
    assert [len(part) for part in (data.train, data.validation, data.test)] == [8, 4, 6]
    assert all("/train/" in name for name in data.train.names)
    assert all("/test/" in name for name in data.test.names)
    assert data.hierarchy.slots == (2, 3)
    flip, same = data.notices
    assert flip.startswith("images are shifted")
    assert same.startswith("6 of 6 test images are also training images, pixel for pixel")


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    class_folders(tmp_path, {"train": 5, "bus": 5})
    assert load(Settings(data=str(tmp_path))).hierarchy.class_names == ("bus", "train")


def test_the_shipped_hierarchy(tmp_path: Path) -> None:
    class_folders(tmp_path, {"oak_tree": 5, "rose": 5, "bee": 5, "lawn_mower": 5})
    data = load(Settings(data=str(tmp_path), hierarchy="cifar100", primary="3", auxiliary="10"))
    assert data.hierarchy.class_names == ("animals", "vegetations", "objects_and_scenes")
    assert data.train.human is not None
    assert data.hierarchy.parent[data.train.human].equal(data.train.primary)


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"found '.*none' \(nothing there\); check the path"):
        load(Settings(data=str(tmp_path / "none")))
    with pytest.raises(InputError, match=r"found 'cifar-10'.*did you mean 'cifar10'"):
        load(Settings(data="cifar-10"))


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected one folder per class in .*, found an empty folder"):
        load(Settings(data=str(tmp_path)))


def test_images_without_classes(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    with pytest.raises(InputError, match="found 1 images without a class; put each image in a folder"):
        load(Settings(data=str(tmp_path)))


def test_an_empty_class(tmp_path: Path) -> None:
    class_folders(tmp_path, {"cat": 3, "dog": 3})
    (tmp_path / "owl").mkdir()
    (tmp_path / "owl" / "owl.txt").write_text("none")
    with pytest.raises(InputError, match=r"expected images in the class folder '.*owl', found none; add images"):
        load(Settings(data=str(tmp_path)))


def test_both_layouts_at_once(tmp_path: Path) -> None:
    class_folders(tmp_path / "train", {"cat": 3, "dog": 3})
    class_folders(tmp_path, {"owl": 3})
    with pytest.raises(InputError, match=r"either one folder per class or train/.*found both 'train' and 'owl'"):
        load(Settings(data=str(tmp_path)))


def test_one_class_only(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected two classes or more, found only 'cat'"):
        load(Settings(data=str(class_folders(tmp_path, {"cat": 3}))))


def test_a_class_with_one_image(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="two training samples or more of every class, found 1 of 'dog'"):
        load(Settings(data=str(class_folders(tmp_path, {"cat": 3, "dog": 1}))))


def test_a_class_of_the_test_part_only(tmp_path: Path) -> None:
    class_folders(tmp_path / "train", {"cat": 3, "dog": 3})
    class_folders(tmp_path / "test", {"cat": 3, "owl": 3})
    with pytest.raises(InputError, match="class of the test part in the train part, found 'owl' only in test"):
        load(Settings(data=str(tmp_path)))


def test_no_train_part(tmp_path: Path) -> None:
    class_folders(tmp_path / "test", {"cat": 3, "dog": 3})
    with pytest.raises(InputError, match="expected training samples, found only others; add a train part"):
        load(Settings(data=str(tmp_path)))


def test_labels_outside_the_hierarchy(tmp_path: Path) -> None:
    class_folders(tmp_path, {"oak_tree": 3, "roze": 3})
    with pytest.raises(InputError, match="found 'roze' outside of level '100'; did you mean 'rose'"):
        load(Settings(data=str(tmp_path), hierarchy="cifar100"))


def test_levels_without_a_hierarchy(tmp_path: Path) -> None:
    class_folders(tmp_path, {"cat": 3, "dog": 3})
    with pytest.raises(InputError, match=r"unknown level 'breed'.*give --hierarchy"):
        load(Settings(data=str(tmp_path), auxiliary="breed"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (Settings(image_size=0), "expected an image size of 1 pixel or more, found 0"),
        (Settings(train_size=100), r"a training size of at most 4 \(the training samples\), found 100"),
        (Settings(subclasses=(0,)), "each at least 1, found 0; correct --subclasses"),
    ],
)
def test_bad_settings(tmp_path: Path, settings: Settings, message: str) -> None:
    from dataclasses import replace

    class_folders(tmp_path, {"cat": 3, "dog": 3})
    with pytest.raises(InputError, match=message):
        load(replace(settings, data=str(tmp_path)))


def test_parts_in_another_spelling_and_images_in_no_class(tmp_path: Path) -> None:
    for part, count in (("Training", 4), ("Dev", 2), ("TEST", 3)):
        class_folders(tmp_path / part, {"cat": count, "dog": count})
    save(tmp_path / "TEST" / "stray.png", seed=7)
    data = load(Settings(data=str(tmp_path), subclasses=(2,)))
    assert data.validation is not None
    assert [len(part) for part in (data.train, data.validation, data.test)] == [8, 4, 6]
    parts, notice, *_ = data.notices
    assert parts == "'Dev' is the val part, 'Training' is the train part"
    assert notice.startswith("1 images in no class folder were skipped, among them ")
