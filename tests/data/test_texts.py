from pathlib import Path

import pytest
import torch

from metaux.data.sources import load, load_for_evaluation, read_unlabelled
from metaux.data.texts import LONGEST, VOCABULARY, encode, word_counts, word_id, words
from metaux.data.transforms import Preprocessing
from metaux.errors import InputError
from metaux.settings import Settings
from written import write_rows, write_texts


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The CAT, the cat", ["the", "cat", "the", "cat"]),
        ("it's 3.5 o’clock", ["it's", "3", "5", "o’clock"]),
        ("naïve Straße 東京", ["naïve", "straße", "東京"]),
        ("snake_case -- 'quoted'", ["snake", "case", "quoted"]),
        ("...", []),
    ],
)
def test_words(text: str, found: list[str]) -> None:
    assert words(text) == found


def test_ids_are_the_same_in_every_process() -> None:
    assert [word_id(word) for word in ("cat", "naïve")] == [15659, 5554]


def test_texts_are_padded_and_cut() -> None:
    encoded = encode(["one two three", "one", ""])
    assert encoded.dtype == torch.int64
    assert encoded.tolist() == [[word_id("one"), word_id("two"), word_id("three")], [word_id("one"), 0, 0], [0, 0, 0]]
    assert encode(["a " * 500]).shape == (1, LONGEST)
    assert encode(["one two"], 1).tolist() == [[word_id("one")]]
    many = encode([f"word{number}" for number in range(5000)])
    assert 0 < int(many.min()) < int(many.max()) < VOCABULARY


def test_word_counts_forget_order_and_padding() -> None:
    counts = word_counts(encode(["a b b", "b a b", "c"]))
    assert counts.shape == (3, 1024)
    assert counts[0].equal(counts[1])
    assert counts[0][word_id("b") % 1024] == pytest.approx(2 / 5**0.5)
    assert counts[2].count_nonzero() == 1


def test_a_file_of_texts(tmp_path: Path) -> None:
    data = load(Settings(data=str(write_texts(tmp_path / "t.csv"))))
    assert (data.kind, data.hierarchy.class_names, len(data.train), len(data.test)) == (
        "text",
        ("complaint", "praise"),
        192,
        48,
    )
    assert data.train.inputs[0].dtype == torch.int64
    assert data.train.human is None


def test_other_columns_are_finer_labels(tmp_path: Path) -> None:
    data = load(Settings(data=str(write_texts(tmp_path / "t.csv", finer=True))))
    assert data.hierarchy.slots == (7, 7)
    assert data.train.human is not None


def test_texts_longer_than_python_s_own_limit(tmp_path: Path) -> None:
    rows = [f"{'word ' * 40000},x", "short,x", "other,y", "more,y", "text,x", "texts,y"]
    data = load(Settings(data=str(write_rows(tmp_path / "t.csv", "text,label", rows))))
    assert data.train.inputs[0].shape[1] == LONGEST


def test_a_run_s_length_is_kept(tmp_path: Path) -> None:
    data = load(Settings(data=str(write_texts(tmp_path / "t.csv"))))
    preprocessing = Preprocessing.fit(data, "data")
    length = data.train.inputs[0].shape[1]
    assert preprocessing.describe() == f"texts of up to {length} words"
    assert preprocessing(data.test.inputs)[0].equal(data.test.inputs[0])
    short = write_rows(tmp_path / "new.csv", "text", ["warm " * 50, "cold"])
    assert read_unlabelled([short], preprocessing).inputs[0].shape == (2, length)
    other = write_rows(tmp_path / "other.csv", "text,label", ["cold,complaint", "warm,praise"])
    found, _ = load_for_evaluation(Settings(data="t.csv"), data.hierarchy.class_names, preprocessing, str(other))
    assert found.inputs[0].tolist() == encode(["cold", "warm"], length).tolist()
    with pytest.raises(InputError, match=r"data like the run's \(texts of up to \d+ words\), found table inputs"):
        load_for_evaluation(Settings(data="t.csv"), ("setosa",), preprocessing, "iris")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["a,x", ",y"], "expected a text in line 3"),
        (["a,x", "b,"], "expected a label in line 3"),
        (["...,x", "!,y"], "expected texts of words, found none with a word in it"),
    ],
)
def test_bad_texts(tmp_path: Path, rows: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load(Settings(data=str(write_rows(tmp_path / "t.csv", "text,label", rows))))


def test_inputs_without_texts(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "new.csv", "texts", ["a"])
    with pytest.raises(InputError, match=r"expected the column text .*did you mean 'texts'"):
        read_unlabelled([path], Preprocessing("text", 5, None, (), ()))


def test_an_empty_text_keeps_its_row(tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text('text\nwarm\n""\ncold\n')
    with pytest.raises(InputError, match="expected a text in line 3"):
        read_unlabelled([tmp_path / "new.csv"], Preprocessing("text", 3, None, (), ()))


def test_of_long_texts_it_says_what_is_looked_at(tmp_path: Path) -> None:
    rows = [f"{'word ' * (200 if row == 3 else 5)},{'ab'[row % 2]}" for row in range(20)]
    data = load(Settings(data=str(write_rows(tmp_path / "t.csv", "text,label", rows))))
    assert "1 of 20 texts have more than 128 words, of which the first 128 are looked at" in data.notices
