"""A folder of images with one sub-folder per class, with or without train/, val/ and test/.

torchvision's `ImageFolder` takes hidden files, repeats what lies behind a link to a folder above, and skips in silence.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from unicodedata import normalize

from metaux.data.images import THUMBNAILS, FoundImages, extensions, find_images, is_image
from metaux.data.reader import PARTS, RawData, Request, missing_path, part_of
from metaux.errors import InputError
from metaux.words import counted, few

missing = missing_path


def takes(data: str) -> bool:
    """Return whether the data is a folder."""
    return Path(data).expanduser().is_dir()


def read(request: Request) -> RawData:
    """Read a folder of images; a class's images may lie in sub-folders of its folder.

    The folder has parts if its sub-folders are called train, val, test or the like, alone or beside other words. Of
    folders with nothing but one folder in them, the innermost is meant.

    Raises:
        InputError: for a folder without class folders, or a class without images.
    """
    where = path = request.path
    while len(inside := _folders(path)) == 1 and not _loose(path) and len(_folders(inside[0])) > 1:
        if part_of(inside[0].name) is not None:
            break
        path = inside[0]
    notices: tuple[str, ...] = () if path == where else (f"the classes are read below '{path}'",)
    parts_of, said = _parts(path)
    notices += said
    files, labels, parts, deeper = list[Path](), list[str](), list[str](), list[Path]()
    every = FoundImages([], [], [])
    for root, part in (parts_of or {path: "train"}).items():
        inner = _unwrapped(root)
        if loose := _loose(inner):
            notices += (f"{len(loose):,} images in no class folder were skipped, among them '{loose[0]}'",)
        for place in inner.iterdir():
            if place.is_dir() and place.name.lower() in THUMBNAILS:
                every.thumbnails.extend(find_images(place).images)
        for folder in _class_folders(inner):
            found = find_images(folder)
            if part == "train" and not found.images:
                raise InputError(f"expected images in the class folder '{folder}', found none; {_advice()}")
            files += found.images
            labels += [folder.name] * len(found.images)
            parts += [part] * len(found.images)
            deeper += [file for file in found.images if file.parent != folder]
            for known, new in zip(every, found, strict=True):
                known += new
    if not files:
        raise InputError(f"expected images in '{path}', found none; {_advice()}")
    if deeper:
        one, several = "image lies in a sub-folder of its class", "images lie in sub-folders of their class"
        told = counted(len(deeper), f"{one}, and counts as it", f"{several}, and count as it")
        notices += (f"{told}: '{deeper[0]}'",)
    images, kept, said = request.read_images(files)
    return RawData(
        images,
        "image",
        {"label": tuple(labels[row] for row in kept)},
        tuple(parts[row] for row in kept) if parts_of else None,
        tuple(str(files[row]) for row in kept),
        augmentation="crop",
        notices=(*notices, *every.notices(path), *said),
    )


def _unwrapped(path: Path) -> Path:
    """Return a folder, or the only one in it if that has its name: archives are unpacked like that."""
    inside = _folders(path)
    return inside[0] if [place.name for place in inside] == [path.name] else path


def _parts(path: Path) -> tuple[Mapping[Path, str], tuple[str, ...]]:
    """Return the folders that are parts, if there are some, and what to say of that.

    Raises:
        InputError: for folders of which some are parts and others classes.
    """
    parts = {place: part_of(place.name) for place in _folders(path)}
    known = {place: part for place, part in parts.items() if part is not None}
    if "train" not in known.values() or not any(_folders(place) for place, part in known.items() if part == "train"):
        exact = known and all(place.name.lower() in PARTS for place in parts)
        return (known if exact else {}), ()
    left = [place for place in parts if place not in known]
    others = [place for place in left if _folders(_unwrapped(place)) or len(set(known.values())) == 1]
    if others:
        train = next(place for place, part in known.items() if part == "train")
        raise InputError(
            f"expected either one folder per class or train/, val/ and test/ in '{path}', found both "
            f"'{train.name}' and '{others[0].name}'; move one of them"
        )
    said = [f"'{place.name}' is the {part} part" for place, part in known.items() if place.name.lower() != part]
    if left:
        said.append(f"without class folders and left out: {few([repr(place.name) for place in left])}")
    return known, (", ".join(said),) if said else ()


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
    """Return the folders in a folder that are no programs' own, sorted as their names are in composed Unicode."""
    places = [place for place in path.iterdir() if place.is_dir() and not place.name.startswith(".")]
    own = [place for place in places if place.name.lower() not in THUMBNAILS]
    return sorted(own, key=lambda place: normalize("NFC", place.name))


def _loose(path: Path) -> Sequence[Path]:
    found = (place for place in path.iterdir() if is_image(place.name) and not place.name.startswith("."))
    return sorted(place for place in found if place.is_file())


def _advice() -> str:
    return f"add images (.png, .jpg or {len(extensions()) - 2} other kinds of file) or remove the folder"
