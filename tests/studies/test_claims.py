"""The four words for a claim of the papers, and the error rate that all comparisons of a figure share."""

import pytest

from metaux.studies.papers.claims import LEAST_MOVEMENT, Part, Word, judge, judged

BETTER, WORSE, UNSURE = [0.02, 0.021, 0.019], [-0.02, -0.021, -0.019], [0.02, -0.03, 0.01]


@pytest.mark.parametrize(
    ("differences", "above", "movement", "word"),
    [
        (BETTER, True, None, "agrees"),
        (WORSE, True, None, "contradicts"),
        (BETTER, False, None, "contradicts"),
        (WORSE, False, None, "agrees"),
        (UNSURE, True, None, "not settled"),
        (BETTER[:1], True, None, "not tested"),
        (BETTER, True, 0.99 * LEAST_MOVEMENT, "not tested"),
        (BETTER, True, LEAST_MOVEMENT, "agrees"),
    ],
)
def test_word_of_a_comparison(differences: list[float], above: bool, movement: float | None, word: Word) -> None:
    assert Part("", "", differences, above, movement).word(0.95) == word


@pytest.mark.parametrize(
    ("words", "word"),
    [
        ([], "not tested"),
        (["not tested", "not tested"], "not tested"),
        (["agrees", "agrees"], "agrees"),
        (["agrees", "not settled"], "not settled"),
        (["agrees", "not tested"], "not settled"),
        (["agrees", "agrees", "contradicts"], "contradicts"),
    ],
)
def test_word_of_a_claim(words: list[Word], word: Word) -> None:
    assert judge(words) == word


def test_more_comparisons_need_clearer_differences() -> None:
    """Alone, the interval of these is above zero; as one of twelve it is not (by hand: t(2) = 4.30 and 15.4)."""
    close = Part("a panel", "maxl minus single", [0.02, 0.025, 0.03])
    alone, rows, _ = judged({"it helps": [close]})
    assert alone == {"it helps": "agrees"}
    assert (rows[0]["level"], rows[0]["low"]) == (0.95, pytest.approx(0.025 - 4.3027 * 0.005 / 3**0.5, abs=1e-6))
    many, rows, said = judged({"it helps": [close], "others do": [Part("", "", UNSURE)] * 11})
    assert many == {"it helps": "not settled", "others do": "not settled"}
    assert rows[0]["level"] == pytest.approx(1 - 0.05 / 12, abs=1e-6)
    assert said.startswith("it helps: not settled (not settled 1). others do: not settled (not settled 11).")
    assert said.endswith("Intervals are at 99.58 %: 5 % of error over 12 comparisons.")
    assert judged({}) == ({}, [], "")
