"""Files that say what is meant otherwise than metaux's own form: read as meant, and said; or refused in words."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from metaux import InputError
from metaux.data.sources import load, read, read_unlabelled
from metaux.data.transforms import Preprocessing
from metaux.settings import Settings

WORDS = [
    "the plot was thin but the cast was good",
    "we left the room after half an hour",
    "a film to see again and again",
]


def write_csv(path: Path, header: list[str], rows: list[list[object]]) -> str:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return str(path)


def reviews(path: Path, count: int = 60) -> str:
    rows: list[list[object]] = [
        [f"tt{number}", f"{WORDS[number % 3]} {number}", "pos" if number % 2 else "neg"] for number in range(count)
    ]
    return write_csv(path, ["id", "review", "sentiment"], rows)


class TestTexts:
    def test_sentences_beside_names_of_rows_are_texts_and_said(self, tmp_path: Path) -> None:
        raw = read(Settings(data=reviews(tmp_path / "films.csv"), label="sentiment"))
        assert raw.kind == "text"
        assert isinstance(raw.inputs, tuple)
        assert raw.inputs[0] == f"{WORDS[0]} 0"
        assert list(raw.labels) == ["sentiment"]
        assert raw.notices == (
            "column 'review' holds texts, and is taken for the column 'text' (--ignore leaves it out)",
            "no labels, since each row has another one, and left out: 'id'",
        )

    def test_a_table_with_something_else_to_learn_from_stays_one(self, tmp_path: Path) -> None:
        rows: list[list[object]] = [[f"{WORDS[n % 3]} {n}", n % 7, "ab"[n % 2]] for n in range(60)]
        raw = read(Settings(data=write_csv(tmp_path / "films.csv", ["review", "stars", "label"], rows)))
        assert raw.kind == "table"

    def test_short_names_are_no_texts(self, tmp_path: Path) -> None:
        rows: list[list[object]] = [[f"Owen Harris {n}", "ab"[n % 2]] for n in range(60)]
        raw = read(Settings(data=write_csv(tmp_path / "names.csv", ["name", "label"], rows)))
        assert raw.kind == "table"

    def test_a_run_on_texts_takes_the_column_with_the_longest(self, tmp_path: Path) -> None:
        data = load(Settings(data=reviews(tmp_path / "films.csv"), label="sentiment"))
        like = Preprocessing.fit(data, "fixed")
        own = read_unlabelled([Path(reviews(tmp_path / "new.csv", 3))], like)
        same = write_csv(tmp_path / "text.csv", ["text"], [[f"{WORDS[n]} {n}"] for n in range(3)])
        assert own.inputs[0].equal(read_unlabelled([Path(same)], like).inputs[0])
        assert own.notices == ("column 'review' holds texts, and is taken for the column 'text'",)

    def test_empty_texts_are_counted(self, tmp_path: Path) -> None:
        rows: list[list[object]] = [["" if n % 3 == 1 else WORDS[n % 3], "ab"[n % 2]] for n in range(9)]
        path = write_csv(tmp_path / "t.csv", ["text", "label"], rows)
        with pytest.raises(
            InputError, match=r"expected a text in line 3 of .*, found nothing \(3 such cells\); fill it"
        ):
            read(Settings(data=path))


class TestPerCent:
    @pytest.mark.parametrize("most", ["%", ""])
    def test_a_column_of_both_is_refused(self, tmp_path: Path, most: str) -> None:
        """5 % and 5 are not the same number."""
        rows: list[list[object]] = [[f"{n}{most}", "ab"[n % 2]] for n in range(30)]
        rows[4][0] = "7" if most else "7%"
        path = write_csv(tmp_path / "t.csv", ["share", "label"], rows)
        with pytest.raises(InputError, match=r"expected a number.* in column 'share', found '7%?' in line 6 of"):
            load(Settings(data=path))


class TestArrays:
    def test_the_names_of_keras_and_medmnist(self, tmp_path: Path) -> None:
        rng = np.random.default_rng(0)
        images, labels = rng.integers(0, 256, (30, 6, 6), dtype=np.uint8), np.arange(30) % 2
        parts = {"train": slice(0, 16), "val": slice(16, 20), "test": slice(20, 30)}
        np.savez(tmp_path / "plain.npz", x=images[:16], y=labels[:16], x_test=images[20:], y_test=labels[20:])
        keras: dict[str, Any] = {f"x_{part}": images[parts[part]] for part in ("train", "test")}
        keras |= {f"y_{part}": labels[parts[part]] for part in ("train", "test")}
        np.savez(tmp_path / "keras.npz", **keras)
        medmnist: dict[str, Any] = {f"{part}_images": images[rows] for part, rows in parts.items()}
        medmnist |= {f"{part}_labels": labels[rows, None] for part, rows in parts.items()}
        np.savez(tmp_path / "medmnist.npz", **medmnist)
        plain, other, third = (load(Settings(data=str(tmp_path / f"{n}.npz"))) for n in ("plain", "keras", "medmnist"))
        for found in (other, third):
            assert found.train.inputs[0].equal(plain.train.inputs[0])
            assert found.test.inputs[0].equal(plain.test.inputs[0])
            assert found.test.primary.equal(plain.test.primary)
        assert third.validation is not None
        assert third.validation.inputs[0].equal(torch.from_numpy(images[16:20]).unsqueeze(1))
        assert other.notices[0] == "the arrays x_train, y_train are taken for x, y"

    def test_two_names_for_one_array_are_not_guessed(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "t.npz", x_train=np.eye(4), X=np.eye(4), y=np.arange(4) % 2)
        with pytest.raises(InputError, match=r"expected the arrays x and y, found y, .*X.*; add 'x'"):
            load(Settings(data=str(tmp_path / "t.npz")))


class TestFolders:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        rng = np.random.default_rng(0)
        for class_ in "ab":
            (tmp_path / "photos" / class_).mkdir(parents=True)
            for number in range(6):
                pixels = rng.integers(0, 256, (24, 24, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / "photos" / class_ / f"{number}.png")
        return tmp_path / "photos"

    def test_a_link_upwards_does_not_bring_other_classes(self, folder: Path) -> None:
        (folder / "a" / "all").symlink_to(folder)
        assert read(Settings(data=str(folder))).labels["label"] == ("a",) * 6 + ("b",) * 6

    def test_a_damaged_image_has_no_say_in_the_size(self, folder: Path) -> None:
        large = Image.fromarray(np.random.default_rng(1).integers(0, 256, (90, 90, 3), dtype=np.uint8))
        large.save(folder / "a" / "cut.png")
        (folder / "a" / "cut.png").write_bytes((folder / "a" / "cut.png").read_bytes()[:2000])
        raw = read(Settings(data=str(folder), skip_damaged=True))
        assert isinstance(raw.inputs, torch.Tensor)
        assert raw.inputs.shape == (12, 3, 24, 24)
        assert len(raw.notices) == 1
        assert raw.notices[0].startswith("1 of 13 images left out, since they can't be read: ")


class TestForAFinishedRun:
    """What is brought to a run's form is said, as it is when a run reads its own data."""

    @pytest.mark.parametrize(("mode", "told"), [("L", "greyscale and were turned into RGB"), ("RGB", "")])
    def test_a_run_on_colour_images(self, tmp_path: Path, mode: str, told: str) -> None:
        Image.fromarray(np.full((9, 9, 3), 90, np.uint8)).convert(mode).save(tmp_path / "new.png")
        like = Preprocessing("image", 3, (6, 6), (0.5,) * 3, (0.2,) * 3)
        notices = read_unlabelled([tmp_path / "new.png"], like).notices
        assert notices[0] == "1 of 1 images were resized to 6x6 pixels"
        assert [notice.partition(" are ")[2] for notice in notices[1:]] == [told] * bool(told)

    def test_a_run_on_greyscale_images(self, tmp_path: Path) -> None:
        Image.fromarray(np.full((6, 6, 3), 90, np.uint8)).save(tmp_path / "new.png")
        np.savez(tmp_path / "new.npz", x=np.full((1, 6, 6, 3), 90, np.uint8))
        like = Preprocessing("image", 1, (6, 6), (0.5,), (0.2,))
        file, array = (read_unlabelled([tmp_path / name], like) for name in ("new.png", "new.npz"))
        assert file.notices == ("1 of 1 images are in colour and were turned grey",)
        assert array.notices == ("the images were turned grey",)
        assert file.inputs[0].equal(array.inputs[0])
