"""A folder of images with one sub-folder per class, with or without train/, val/ and test/."""

from collections.abc import Sequence
from pathlib import Path

from metaux.data.images import AS_FOUND, EXTENSIONS, ImageFormat, find_images, read_images
from metaux.data.raw import RawData
from metaux.errors import InputError
from metaux.files import Progress

PARTS = {"train": "train", "training": "train", "test": "test", "testing": "test"}
PARTS |= dict.fromkeys(("val", "valid", "validation", "dev"), "val")


def read_folder(path: Path, wanted: ImageFormat = AS_FOUND, progress: Progress | None = None) -> RawData:
    """Read a folder of images; a class's images may lie in sub-folders of its folder.

    The folder has parts if all its sub-folders are called train, val, test or the like, in whatever case.

    Raises:
        InputError: for a folder without class folders, or a class without images.
    """
    places = _sub_folders(path)
    parts_of = {place: PARTS.get(place.name.lower()) for place in places}
    split = bool(places) and None not in parts_of.values()
    train = next((place for place, part in parts_of.items() if part == "train"), None)
    if not split and train is not None and _sub_folders(train):
        other = next(place.name for place, part in parts_of.items() if part is None)
        raise InputError(
            f"expected either one folder per class or train/, val/ and test/ in '{path}', found both "
            f"'{train.name}' and '{other}'; move one of them"
        )
    files: list[Path] = []
    labels: list[str] = []
    parts: list[str] = []
    others: list[Path] = []
    loose: list[Path] = []
    for root in places if split else [path]:
        part = parts_of[root] or "train" if split else "train"
        loose += _loose(root)
        for label, images, rest in _classes(root, required=part == "train"):
            files += images
            labels += [label] * len(images)
            parts += [part] * len(images)
            others += rest
    if not files:
        raise InputError(f"expected images in '{path}', found none; {_kinds()}")
    inputs, notices = read_images(files, wanted, progress)
    if others:
        notices = (*notices, f"{len(others)} files that aren't images were skipped, among them '{others[0]}'")
    if loose:
        notices = (*notices, f"{len(loose)} images in no class folder were skipped, among them '{loose[0]}'")
    return RawData(
        inputs,
        {"label": tuple(labels)},
        "image",
        tuple(parts) if split else None,
        tuple(map(str, files)),
        augmentation="crop-flip",
        notices=notices,
    )


def _classes(root: Path, required: bool) -> list[tuple[str, list[Path], list[Path]]]:
    folders = _sub_folders(root)
    if not folders:
        loose = len(_loose(root))
        found = f"{loose} images without a class" if loose else "an empty folder"
        remedy = "put each image in a folder called as its class"
        if any((root / name).is_file() for name in ("dataset_info.json", "dataset_dict.json")):
            found, remedy = "a Hugging Face data set", f"name it hf:{root}"
        raise InputError(f"expected one folder per class in '{root}', found {found}; {remedy}")
    classes = [(folder.name, *find_images(folder)) for folder in folders]
    for label, images, _ in classes:
        if required and not images:
            raise InputError(f"expected images in the class folder '{root / label}', found none; {_kinds()}")
    return classes


def _loose(root: Path) -> list[Path]:
    return sorted(place for place in root.iterdir() if place.name.lower().endswith(EXTENSIONS) and place.is_file())


def _sub_folders(path: Path) -> Sequence[Path]:
    if not path.is_dir():
        raise InputError(f"expected a folder, found nothing at '{path}'; check the path")
    return sorted(place for place in path.iterdir() if place.is_dir() and not place.name.startswith("."))


def _kinds() -> str:
    return f"add images ({', '.join(EXTENSIONS)}) or remove the folder"
