"""A folder of images with one sub-folder per class, with or without train/, val/ and test/.

torchvision's `ImageFolder` takes hidden files, repeats what lies behind a link to a folder above, and skips in silence.
"""

from collections.abc import Sequence
from pathlib import Path

from metaux.data.images import EXTENSIONS, find_images, read_images
from metaux.data.reader import PARTS, RawData, Request, missing_path
from metaux.errors import InputError

ADVICE = f"add images ({', '.join(EXTENSIONS)}) or remove the folder"

missing = missing_path


def takes(data: str) -> bool:
    """Return whether the data is a folder."""
    return Path(data).expanduser().is_dir()


def read(request: Request) -> RawData:
    """Read a folder of images; a class's images may lie in sub-folders of its folder.

    The folder has parts if all its sub-folders are called train, val, test or the like, in whatever case.

    Raises:
        InputError: for a folder without class folders, or a class without images.
    """
    path = request.path
    parts_of = {place: PARTS.get(place.name.lower()) for place in _folders(path)}
    split = bool(parts_of) and None not in parts_of.values()
    if not split:
        _check_one_layout(path, parts_of)
        parts_of = {path: "train"}
    files, labels, parts = list[Path](), list[str](), list[str]()
    others, loose = list[Path](), list[Path]()
    for root, part in parts_of.items():
        loose += _loose(root)
        for folder in _class_folders(root):
            images, rest = find_images(folder)
            if part == "train" and not images:
                raise InputError(f"expected images in the class folder '{folder}', found none; {ADVICE}")
            files += images
            labels += [folder.name] * len(images)
            parts += [str(part)] * len(images)
            others += rest
    if not files:
        raise InputError(f"expected images in '{path}', found none; {ADVICE}")
    inputs, notices = read_images(files, request.image, request.progress)
    for skipped, what in ((others, "files that aren't images"), (loose, "images in no class folder")):
        if skipped:
            notices += (f"{len(skipped)} {what} were skipped, among them '{skipped[0]}'",)
    return RawData(
        inputs,
        "image",
        {"label": tuple(labels)},
        tuple(parts) if split else None,
        tuple(map(str, files)),
        augmentation="crop-flip",
        notices=notices,
    )


def _check_one_layout(path: Path, parts_of: dict[Path, str | None]) -> None:
    train = next((place for place, part in parts_of.items() if part == "train"), None)
    if train is not None and _folders(train):
        other = next(place.name for place, part in parts_of.items() if part is None)
        raise InputError(
            f"expected either one folder per class or train/, val/ and test/ in '{path}', found both "
            f"'{train.name}' and '{other}'; move one of them"
        )


def _class_folders(root: Path) -> Sequence[Path]:
    folders = _folders(root)
    if not folders:
        loose = len(_loose(root))
        found = f"{loose} images without a class" if loose else "an empty folder"
        remedy = "put each image in a folder called as its class"
        if any((root / name).is_file() for name in ("dataset_info.json", "dataset_dict.json")):
            found, remedy = "a Hugging Face data set", f"name it hf:{root}"
        raise InputError(f"expected one folder per class in '{root}', found {found}; {remedy}")
    return folders


def _folders(path: Path) -> Sequence[Path]:
    return sorted(place for place in path.iterdir() if place.is_dir() and not place.name.startswith("."))


def _loose(path: Path) -> Sequence[Path]:
    return sorted(place for place in path.iterdir() if place.name.lower().endswith(EXTENSIONS) and place.is_file())
