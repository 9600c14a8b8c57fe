import json
import time
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer

from metaux.data.sources import load, load_for_evaluation, read_unlabelled
from metaux.data.texts import LONGEST, VOCABULARY, encode, learn_tokens, word_counts
from metaux.data.transforms import Preprocessing
from metaux.errors import InputError
from metaux.settings import Settings
from written import write_rows, write_texts


def tokens(tokenizer: str, text: str) -> list[str]:
    return Tokenizer.from_str(tokenizer).encode(text).tokens


@pytest.mark.parametrize(
    ("texts", "text", "found"),
    [
        (["The CAT, the cat"], "the Cat!", ["the", "cat", "[UNK]"]),
        (["cafe\u0301 cafe\u0301"], "caf\u00e9", ["caf\u00e9"]),
        (["snake_case snake_case"], "snake_case", ["snake_case"]),
        (["我喜欢电影", "他喜欢菜", "我讨厌书"], "医生喜欢菜", ["[UNK]", "[UNK]", "喜", "欢", "菜"]),
        (["カメラの電池 ok ok"], "ok電池", ["ok", "電", "池"]),
        (["กินข้าว กินข้าว"], "กินข้าว", ["กิ", "น", "ข้", "า", "ว"]),
    ],
)
def test_tokens(texts: list[str], text: str, found: list[str]) -> None:
    assert tokens(learn_tokens(texts), text) == found


def test_training_texts_alone_decide_and_always_alike() -> None:
    texts = [f"word{number % 40} and {number % 7}" for number in range(400)]
    assert learn_tokens(texts) == learn_tokens(texts)
    encoded, _ = encode(["one two three three", "one", ""], learn_tokens(["one two three"] * 2))
    assert encoded.dtype == torch.int64
    first, second, third, fourth = encoded[0].tolist()
    assert len({first, second, third, 0, 1}) == 5
    assert (third, encoded[1].tolist(), encoded[2].tolist()) == (fourth, [first, 0, 0, 0], [0, 0, 0, 0])
    assert encode(["a " * 500], learn_tokens(["a"]))[0].shape == (1, LONGEST)
    assert encode(["two one"], learn_tokens(["one two"] * 2), 1)[0].shape == (1, 1)
    many, _ = encode(
        [f"w{number}x" for number in range(300)], learn_tokens([f"w{number}x " * 2 for number in range(300)])
    )
    assert 0 <= int(many.min()) < int(many.max()) < VOCABULARY


def test_word_counts_forget_order_and_padding() -> None:
    counts = word_counts(torch.tensor([[2, 3, 3], [3, 2, 3], [4, 0, 0]]))
    assert counts.shape == (3, 1024)
    assert counts[0].equal(counts[1])
    assert counts[0][3] == pytest.approx(2 / 5**0.5)
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
    assert preprocessing.describe() == f"texts of up to {length} tokens"
    assert preprocessing(data.test.inputs)[0].equal(data.test.inputs[0])
    short = write_rows(tmp_path / "new.csv", "text", ["warm " * 50, "cold"])
    assert read_unlabelled([short], preprocessing).inputs[0].shape == (2, length)
    other = write_rows(tmp_path / "other.csv", "text,label", ["cold,complaint", "warm,praise"])
    found, _ = load_for_evaluation(Settings(data="t.csv"), data.hierarchy.class_names, preprocessing, str(other))
    assert found.inputs[0].tolist() == encode(["cold", "warm"], data.tokenizer, length)[0].tolist()
    with pytest.raises(InputError, match=r"data like the run's \(texts of up to \d+ tokens\), found table inputs"):
        load_for_evaluation(Settings(data="t.csv"), ("setosa",), preprocessing, "iris")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["a,x", ",y"], "expected a text in line 3"),
        (["a,x", "b,"], "expected two classes or more"),
        (["...,x", "!,y", "...,x", "!,y"], "expected texts of words, found none with a word in it"),
    ],
)
def test_bad_texts(tmp_path: Path, rows: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load(Settings(data=str(write_rows(tmp_path / "t.csv", "text,label", rows))))


def test_a_tokenizer_that_others_wrote() -> None:
    """It is in the result of a run: endless padding is left out, and what is no tokenizer refused."""
    written = json.loads(learn_tokens(["the cat", "the dog", "a cat"]))
    written["padding"] = {"strategy": {"Fixed": 10**9}, "direction": "Right", "pad_to_multiple_of": None}
    written["padding"] |= {"pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"}
    written["truncation"] = {"max_length": 1, "strategy": "LongestFirst", "stride": 0, "direction": "Right"}
    plain = learn_tokens(["the cat", "the dog", "a cat"])
    assert encode(["the cat"], json.dumps(written), 4)[0].equal(encode(["the cat"], plain, 4)[0])
    written["model"]["vocab"]["cat"] = 2**31
    for text, message in (
        (json.dumps(written), "of at most 16,384 tokens"),
        ("{}", "found another text"),
        ("\0", "found"),
    ):
        with pytest.raises(InputError, match=f"expected a tokenizer .*{message}"):
            encode(["the cat"], text)


def test_a_word_without_an_end_is_learned_in_no_time() -> None:
    """Whole, one of a tenth of that length took 7 seconds, and the time goes with the square."""
    start = time.process_time()
    learn_tokens(["the cat", "the dog", "[" * 1_000_000])
    assert time.process_time() - start < 60


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
    assert "1 of 20 texts have more than 128 tokens, of which the first 128 count" in data.notices
