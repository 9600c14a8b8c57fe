"""A folder of images with one sub-folder per class, with or without train/, val/ and test/."""

from collections.abc import Sequence
from pathlib import Path

from metaux.data.images import AS_FOUND, EXTENSIONS, ImageFormat, find_images, read_images
from metaux.data.raw import Progress, RawData
from metaux.errors import InputError

PARTS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


def read_folder(path: Path, wanted: ImageFormat = AS_FOUND, progress: Progress | None = None) -> RawData:
    """Read a folder of images; a class's images may lie in sub-folders of its folder.

    The folder has parts if all its sub-folders are called train, test, val, valid or validation.

    Raises:
        InputError: for a folder without class folders, or a class without images.
    """
    places = _sub_folders(path)
    split = bool(places) and all(place.name in PARTS for place in places)
    if not split and "train" in (place.name for place in places) and _sub_folders(path / "train"):
        other = next(place.name for place in places if place.name not in PARTS)
        raise InputError(
            f"expected either one folder per class or train/, val/ and test/ in '{path}', found both "
            f"'train' and '{other}'; move one of them"
        )
    files: list[Path] = []
    labels: list[str] = []
    parts: list[str] = []
    others: list[Path] = []
    for root in places if split else [path]:
        part = PARTS[root.name] if split else "train"
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
        loose = find_images(root)[0]
        found = f"{len(loose)} images without a class" if loose else "an empty folder"
        raise InputError(
            f"expected one folder per class in '{root}', found {found}; put each image in a folder called as its class"
        )
    classes = [(folder.name, *find_images(folder)) for folder in folders]
    for label, images, _ in classes:
        if required and not images:
            raise InputError(f"expected images in the class folder '{root / label}', found none; {_kinds()}")
    return classes


def _sub_folders(path: Path) -> Sequence[Path]:
    if not path.is_dir():
        raise InputError(f"expected a folder, found nothing at '{path}'; check the path")
    return sorted(place for place in path.iterdir() if place.is_dir() and not place.name.startswith("."))


def _kinds() -> str:
    return f"add images ({', '.join(EXTENSIONS)}) or remove the folder"
