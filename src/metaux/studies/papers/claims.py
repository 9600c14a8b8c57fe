"""What became of a claim of the papers, in one of four words, by intervals with one error rate for a whole figure.

A claim is broken down into comparisons. Each has paired differences over seeds and the side of zero that the claim
says. With m comparisons in a figure, their Student t intervals are at the level 1 - 0.05 / m (Bonferroni), so that all
of them together hold the true differences in 95 % of figures.

A comparison *agrees* where its interval is on the claimed side of zero, *contradicts* where it is on the other side,
and is *not settled* where it includes zero. It is *not tested* where MAXL's labels differ from an untrained
generator's by less than `LEAST_MOVEMENT`, or where there is no interval. A claim *contradicts* if one of its
comparisons does, *agrees* if all do, is *not tested* if none is, and otherwise *not settled*.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from metaux.evidence.statistics import Estimate, mean_over_seeds
from metaux.words import counted

Word = Literal["agrees", "contradicts", "not settled", "not tested"]
WORDS: tuple[Word, ...] = ("agrees", "contradicts", "not settled", "not tested")
ERROR_RATE = 0.05
# Mean total variation between the labels of MAXL and of its untrained generator, on the same samples.
LEAST_MOVEMENT = 0.05


@dataclass(frozen=True)
class Part:
    """One part of a claim: a comparison that it stands or falls with.

    Args:
        panel: of the figure.
        name: what is compared, such as `maxl minus single`.
        differences: by seed.
        above: whether the claim says that they are above zero, not below.
        movement: of the labels that are tested, mean total variation; None where nothing has to move.
    """

    panel: str
    name: str
    differences: Sequence[float]
    above: bool = True
    movement: float | None = None

    def estimate(self, level: float) -> Estimate:
        """Return the mean and its interval at a level."""
        return mean_over_seeds(self.differences, level)

    def word(self, level: float) -> Word:
        """Return what became of the claim here.

        >>> Part("", "", [0.02, 0.021, 0.019]).word(0.95), Part("", "", [0.02], movement=0.2).word(0.95)
        ('agrees', 'not tested')
        """
        found = self.estimate(level)
        if found.low is None or (self.movement is not None and self.movement < LEAST_MOVEMENT):
            return "not tested"
        if not found.above and not found.below:
            return "not settled"
        return "agrees" if found.above == self.above else "contradicts"


def judge(words: Iterable[Word]) -> Word:
    """Return the word for a claim from those of its comparisons.

    >>> judge(["agrees", "not tested"]), judge(["agrees", "contradicts"]), judge([])
    ('not settled', 'contradicts', 'not tested')
    """
    found = Counter(words)
    if found["contradicts"]:
        return "contradicts"
    if found["agrees"] == found.total() > 0:
        return "agrees"
    return "not tested" if found["not tested"] == found.total() else "not settled"


def judged(claims: Mapping[str, Sequence[Part]]) -> tuple[dict[str, Word], list[dict[str, Any]], str]:
    """Return the word for each claim of a figure, a row for each comparison, and both in a sentence.

    Args:
        claims: the comparisons of each claim of the figure.
    """
    count = sum(map(len, claims.values()))
    level = 1 - ERROR_RATE / max(1, count)
    rows, verdicts, parts = [], {}, []
    for claim, comparisons in claims.items():
        words = [comparison.word(level) for comparison in comparisons]
        verdicts[claim] = judge(words)
        found = Counter(words)
        numbers = ", ".join(f"{word} {found[word]}" for word in WORDS if found[word])
        parts.append(f"{claim}: {verdicts[claim]} ({numbers or 'no runs'}).")
        for comparison, word in zip(comparisons, words, strict=True):
            estimate = asdict(comparison.estimate(level))
            rows.append(
                {
                    "claim": claim,
                    "panel": comparison.panel,
                    "comparison": comparison.name,
                    "says": "above" if comparison.above else "below",
                    "n": len(comparison.differences),
                    **{name: None if value is None else round(value, 6) for name, value in estimate.items()},
                    "level": round(level, 6),
                    "movement": None if comparison.movement is None else round(comparison.movement, 4),
                    "word": word,
                }
            )
    if claims:
        parts.append(f"Intervals are at {100 * level:.2f} %: 5 % of error over {counted(count, 'comparison')}.")
    return verdicts, rows, " ".join(parts)
