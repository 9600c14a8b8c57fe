"""The published data sets that are known by name: what they are, and which files make them up."""

from collections.abc import Mapping
from typing import NamedTuple

CIFAR_TERMS = "none stated; the authors ask to cite Krizhevsky 2009"


class File(NamedTuple):
    """A file (or a folder) below the root.

    Args:
        path: relative to the root.
        size: in bytes, where it is published; None for any.
        checksum: `md5:...` or `sha256:...`, where it is published; empty for any.
    """

    path: str
    size: int | None = None
    checksum: str = ""


class Published(NamedTuple):
    """A published data set.

    Args:
        title: its name.
        task: what is told apart.
        images: how many of what, training + validation + test.
        download: how much is downloaded.
        source: where from.
        archives: what is downloaded.
        files: what the loader reads below the root; the archives themselves if there is nothing else.
        how: how the files come from what was downloaded.
        terms: licence or terms of use, where they are known.
        packed: the loader reads, or unpacks, the archives as they are.
        counts: the number of samples per part, checked after reading; not checked if empty.
        needs: another known data set that it builds on.
    """

    title: str
    task: str
    images: str
    download: str
    source: str
    archives: tuple[File, ...]
    files: tuple[File, ...]
    how: str
    terms: str
    packed: bool = False
    counts: Mapping[str, int] = {}
    needs: str = ""


def _idx(folder: str, sizes: tuple[int, ...], checksums: tuple[str, ...]) -> tuple[tuple[File, ...], tuple[File, ...]]:
    names = [f"{part}-{what}-ubyte" for part in ("train", "t10k") for what in ("images-idx3", "labels-idx1")]
    archives = [
        File(f"{folder}/raw/{name}.gz", size, f"md5:{checksum}")
        for name, size, checksum in zip(names, sizes, checksums, strict=True)
    ]
    return tuple(archives), tuple(File(f"{folder}/raw/{name}") for name in names)


_MNIST = _idx(
    "MNIST",
    (9912422, 28881, 1648877, 4542),
    (
        "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "d53e105ee54ea40749a09fcbcd1e9432",
        "9fb629c4189551a2d022fa330f9573f3",
        "ec29112dd5afa0611ce80d1b7f02629c",
    ),
)
_FASHION = _idx(
    "FashionMNIST",
    (26421880, 29515, 4422102, 5148),
    (
        "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "25c81989df183df01b3e8a0aad5dffbe",
        "bef4ecab320f06d8554ea6380940ec79",
        "bb300cfdad3c16e7a12a480ee83cd310",
    ),
)
PUBLISHED: dict[str, Published] = {
    "mnist": Published(
        "MNIST",
        "10 handwritten digits",
        "60,000 + 10,000 grey, 28x28",
        "12 MB",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        *_MNIST,
        "as they are",
        "none stated",
        packed=True,
    ),
    "fashion-mnist": Published(
        "Fashion-MNIST",
        "10 kinds of clothing",
        "60,000 + 10,000 grey, 28x28",
        "31 MB",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        *_FASHION,
        "as they are",
        "MIT",
        packed=True,
    ),
    "cifar10": Published(
        "CIFAR-10",
        "10 animals and vehicles",
        "50,000 + 10,000 colour, 32x32",
        "163 MB",
        "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        (File("cifar-10-python.tar.gz", checksum="md5:c58f30108f718f92721af3b95e74349a"),),
        tuple(
            File(f"cifar-10-batches-py/{name}")
            for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta")
        ),
        "as it is or unpacked",
        CIFAR_TERMS,
        packed=True,
    ),
    "cifar100": Published(
        "CIFAR-100",
        "100 things in 20 superclasses",
        "50,000 + 10,000 colour, 32x32",
        "161 MB",
        "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
        (File("cifar-100-python.tar.gz", checksum="md5:eb9058c3a382ffc7106e4002c42a8d85"),),
        tuple(File(f"cifar-100-python/{name}") for name in ("train", "test", "meta")),
        "as it is or unpacked",
        CIFAR_TERMS,
        packed=True,
    ),
    "cifar10.1": Published(
        "CIFAR-10.1 v6",
        "CIFAR-10's classes, a second test set",
        "2,000 colour, 32x32, to test; CIFAR-10's 50,000 to train and its 10,000 as validation part",
        "6 MB, and CIFAR-10",
        "https://github.com/modestyachts/CIFAR-10.1/raw/master/datasets/",
        (
            File(
                "cifar10.1_v6_data.npy",
                6144128,
                "sha256:2997188e5816f5bd545dc77771b6227828c28146049fcecf3fa10775474cacc6",
            ),
            File(
                "cifar10.1_v6_labels.npy",
                8128,
                "sha256:ae40beda001693674edc94d925ee8268cfe68905f8f9aff800c8dcdfcd6c9448",
            ),
        ),
        (),
        "as they are",
        "none stated; drawn from 80 Million Tiny Images",
        needs="cifar10",
    ),
    "svhn": Published(
        "SVHN (cropped digits)",
        "10 digits of house numbers",
        "73,257 + 26,032 colour, 32x32",
        "246 MB",
        "http://ufldl.stanford.edu/housenumbers/",
        (
            File("train_32x32.mat", 182040794, "md5:e26dedcc434d2e4c54c9b2d4a06d8373"),
            File("test_32x32.mat", 64275384, "md5:eb5a983be6a315427106f1b164d9cef3"),
        ),
        (),
        "as they are",
        "non-commercial use only",
    ),
    "cinic10": Published(
        "CINIC-10",
        "CIFAR-10's classes",
        "90,000 + 90,000 + 90,000 colour, 32x32",
        "roughly 0.7 GB",
        "https://datashare.ed.ac.uk/bitstream/handle/10283/3192/CINIC-10.tar.gz",
        (File("CINIC-10.tar.gz"),),
        tuple(File(f"CINIC-10/{part}") for part in ("train", "valid", "test")),
        "unpacked into a folder CINIC-10",
        "its parts from CIFAR-10 and ImageNet have those sets' terms",
        counts={"train": 90_000, "val": 90_000, "test": 90_000},
    ),
    "imagenet32": Published(
        "ImageNet, down-sampled to 32x32",
        "1000 classes of ILSVRC 2012",
        "1,281,167 + 50,000 colour, 32x32",
        "3.7 GB",
        "https://image-net.org/download-images.php",
        (File("Imagenet32_train_npz.zip"), File("Imagenet32_val_npz.zip")),
        (
            *(File(f"Imagenet32/train_data_batch_{number}.npz") for number in range(1, 11)),
            File("Imagenet32/val_data.npz"),
        ),
        "unpacked into one folder Imagenet32",
        "ImageNet's: registration, non-commercial research and education only",
        counts={"train": 1_281_167, "test": 50_000},
    ),
    "ucf101": Published(
        "UCF101, frames",
        "101 human actions",
        "frames of 9,537 + 3,783 videos (split 1), 320x240",
        "6.9 GB",
        "https://www.crcv.ucf.edu/data/UCF101/",
        (File("UCF101.rar"), File("UCF101TrainTestSplits-RecognitionTask.zip", 113943)),
        (File("UCF101/train"), File("UCF101/test")),
        "turned into folders of frames by the recipe of docs/data.md",
        "none stated; videos from YouTube, for research",
    ),
}
