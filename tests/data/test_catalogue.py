from pathlib import Path

import pytest
from published import write_cinic10, write_imagenet32, write_ucf101
from torchvision import datasets

from metaux.data import published, scikit_sets, torchvision_sets
from metaux.data.catalogue import Published, catalogue
from metaux.data.sources import NAMES, availability
from metaux.settings import Settings

PUBLISHED = catalogue()

PAGE = Path(__file__).parents[2] / "docs" / "published-data.md"
COLUMNS = ["name", "data set", "task", "images", "download", "from", "files, below the root", "put", "terms"]


def row(name: str, known: Published) -> list[str]:
    files = ", ".join(f"`{file}`" for file in known.archives)
    return [
        f"`{name}`",
        known.title,
        known.task,
        known.images,
        known.download,
        f"<{known.source}>",
        files,
        known.how,
        known.terms,
    ]


def test_the_page_has_the_same_table() -> None:
    lines = PAGE.read_text().splitlines()
    start = lines.index("| " + " | ".join(COLUMNS) + " |") + 2
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[start : start + len(PUBLISHED)]]
    assert found == [row(name, known) for name, known in PUBLISHED.items()]
    assert not lines[start + len(PUBLISHED)].startswith("|")


def test_the_page_and_the_help_have_every_name() -> None:
    page, told = PAGE.read_text() + PAGE.with_name("data.md").read_text(), str(Settings.__doc__)
    for name in NAMES:
        assert f"`{name}`" in page
        assert f"{name}," in told or f"{name})" in told


def test_every_published_set_has_one_reader() -> None:
    assert sorted(PUBLISHED) == sorted((*torchvision_sets.NAMES, *published.NAMES))


def test_it_agrees_with_torchvision() -> None:
    for name in ("mnist", "fashion-mnist"):
        dataset, known = getattr(datasets, torchvision_sets.TORCHVISION[name][0]), PUBLISHED[name]
        assert list(known.archives) == [f"{dataset.__name__}/raw/{file}" for file, _ in dataset.resources]
        assert known.source in dataset.mirrors  # in which order depends on the version
    for name, dataset in (("cifar10", datasets.CIFAR10), ("cifar100", datasets.CIFAR100)):
        [archive], known = PUBLISHED[name].archives, PUBLISHED[name]
        assert archive == dataset.filename
        assert known.source == dataset.url
        listed = [file for file, _ in (*dataset.train_list, *dataset.test_list)] + [dataset.meta["filename"]]
        assert list(known.files) == [f"{dataset.base_folder}/{file}" for file in listed]
    for file, part in zip(PUBLISHED["svhn"].archives, ("train", "test"), strict=True):
        url, filename, _ = datasets.SVHN.split_list[part]
        assert file == filename
        assert url == PUBLISHED["svhn"].source + filename


@pytest.mark.parametrize("name", scikit_sets.NAMES)
def test_what_ships_with_scikit_learn_is_there(tmp_path: Path, name: str) -> None:
    assert availability(name, tmp_path) is None


@pytest.mark.parametrize("name", ["table.csv", "arrays.npz"])
def test_a_file_is_there_or_not(tmp_path: Path, name: str) -> None:
    assert availability(str(tmp_path / name), tmp_path) == f"found nothing at '{tmp_path / name}'"
    sparse(tmp_path / name, 1)
    assert availability(str(tmp_path / name), tmp_path) is None


@pytest.mark.parametrize("name", PUBLISHED)
def test_nothing_is_there(tmp_path: Path, name: str) -> None:
    found = availability(name, tmp_path)
    assert found is not None
    assert f"found nothing at '{tmp_path}" in found
    assert "\n" not in found


def test_folders_that_are_there(tmp_path: Path) -> None:
    for write, name in ((write_cinic10, "cinic10"), (write_imagenet32, "imagenet32"), (write_ucf101, "ucf101")):
        write(tmp_path)
        assert availability(name, tmp_path) is None
    (tmp_path / "Imagenet32" / "val_data.npz").unlink()
    assert availability("imagenet32", tmp_path) == f"found nothing at '{tmp_path}/Imagenet32/val_data.npz'"


def sparse(path: Path, size: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(size)


def test_files_of_another_size(tmp_path: Path) -> None:
    for file, size in PUBLISHED["svhn"].sizes.items():
        sparse(tmp_path / file, size)
    assert availability("svhn", tmp_path) is None
    sparse(tmp_path / "test_32x32.mat", 100)
    assert availability("svhn", tmp_path) == f"found '{tmp_path}/test_32x32.mat' of 100 bytes, not 64,275,384"


@pytest.mark.parametrize("name", [name for name, known in PUBLISHED.items() if known.packed])
def test_archives_are_as_good_as_what_is_in_them(tmp_path: Path, name: str) -> None:
    for file in PUBLISHED[name].archives:
        sparse(tmp_path / "packed" / file, 10)  # in another compression, say
    for file in PUBLISHED[name].files:
        sparse(tmp_path / "unpacked" / file, 10)
    assert availability(name, tmp_path / "packed") is None
    assert availability(name, tmp_path / "unpacked") is None


def test_one_set_that_builds_on_another(tmp_path: Path) -> None:
    for file, size in PUBLISHED["cifar10.1"].sizes.items():
        sparse(tmp_path / file, size)
    found = availability("cifar10.1", tmp_path)
    assert found is not None
    assert "cifar-10-batches-py/data_batch_1" in found
    sparse(tmp_path / "cifar-10-python.tar.gz", 1)
    assert availability("cifar10.1", tmp_path) is None
