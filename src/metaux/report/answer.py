"""The three questions of the first screen: what shall I use, how good is it, where does it fail?"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from metaux.evidence.folds import folds_of
from metaux.evidence.plain import expect
from metaux.report.confusions import counts_of
from metaux.report.parts import Section
from metaux.report.recorded import Recorded
from metaux.runs.record import Run
from metaux.words import counted, percent

MOST_CLASSES, MOST_MISTAKES = 3, 12
# So few test samples of a class say little of it.
FEW_TESTED = 20
# A class is short of training samples with less than this share of what the median class has.
SHORT = 0.5
# Of a class's mistakes: more than this share that goes to one other class is worth a word, if these are so many.
MANY, FEWEST_ALIKE = 0.5, 2


@dataclass(frozen=True)
class ClassAdvice:
    """A class: which share of its test samples is right, how many it has, and what to do about the others."""

    name: str
    share: float
    tested: int
    advice: str


@dataclass(frozen=True)
class Mistake:
    """A test sample that is wrong, by its row in the test part, and how sure the model is of that."""

    row: int
    true: str
    predicted: str
    confidence: float


@dataclass(frozen=True)
class Answer(Section):
    """What to use, how good it is, and where it fails, each in plain sentences.

    `name` is the row that is used; `classes` have the worst first; `mistakes` are those that the model is surest of.
    """

    name: str
    use: str
    good: str
    fails: str
    classes: Sequence[ClassAdvice]
    mistakes: Sequence[Mistake]


def answer(recorded: Recorded) -> Answer:
    """Answer for what the comparison says to use; of a single run, for that."""
    name = recorded.used
    runs, row = recorded.by_method[name], recorded.comparison.row(name)
    assert row is not None
    classes = _classes(recorded.class_names, runs)
    most = max((own.tested for own in classes), default=0) / max(1, sum(own.tested for own in classes))
    seeds = "" if len(runs) == 1 else f", a mean over {counted(len(runs), 'seed')}"
    good = (
        f"{expect(row, recorded.comparison.kind)} It was right on {percent(row.accuracy.mean)} % of "
        f"{counted(recorded.comparison.test_size, f'{recorded.comparison.measured_on} sample')}{seeds}. To name the "
        f"most frequent class each time would be right on {percent(most)} %."
    )
    tables = {"class-advice": [vars(own) for own in classes]}
    return Answer([], tables, name, _use(recorded), good, _fails(classes), classes, _mistakes(runs[0]))


def _use(recorded: Recorded) -> str:
    if not recorded.single:
        return recorded.verdict.use
    run = recorded.runs[0]
    network = f", {counted(len(run.epochs), 'epoch')}" if len(run.epochs) > 1 else ""
    return f"This is one run: {run.method}{network}. metaux recommend finds out whether another is better."


def _classes(names: Sequence[str], runs: Sequence[Run]) -> list[ClassAdvice]:
    """Return every class with test samples, the worst first, with what its mistakes suggest."""
    counts = counts_of(runs, len(names)) * (1 if folds_of(runs[0].settings) is None else len(runs))
    first = runs[0]  # an older version's run does not say what it learned from
    primary = first.output("train_primary") if "train_primary" in first.outputs() else np.array([], np.int64)
    learned = np.bincount(primary, minlength=len(names)).tolist()
    found = []
    for number, name in enumerate(names):
        tested, right = counts[number].sum(), counts[number, number]  # a mean over seeds; their sum in cross-validation
        if not tested:
            continue
        wrong = counts[number].copy()
        wrong[number] = 0
        other, advice = int(wrong.argmax()), []
        if wrong[other] >= FEWEST_ALIKE and wrong[other] > MANY * wrong.sum():
            advice.append(
                f"Most of its mistakes are taken for {names[other]}: check the labels of both, and add samples that "
                "show what tells them apart."
            )
        elif wrong.sum() >= FEWEST_ALIKE:
            advice.append("Its mistakes go to several classes: add training samples of it, as varied as those to come.")
        elif wrong.sum():
            advice.append("Its few mistakes say little: look at them.")
        if learned[number] < SHORT * median(learned):
            advice.append(f"It has {learned[number]} training samples, the median class {median(learned):g}: add some.")
        if tested < FEW_TESTED:
            advice.append(f"With {counted(int(tested), 'test sample')} this is a rough figure.")
        found.append(ClassAdvice(name, float(right / tested), int(tested), " ".join(advice)))
    return sorted(found, key=lambda own: own.share)


def _fails(classes: Sequence[ClassAdvice]) -> str:
    wrong = [own for own in classes if own.share < 1][:MOST_CLASSES]
    if not wrong:
        return "On no test sample." if classes else "That is not known: there are no test samples."
    each = "; ".join(f"{own.name}, {percent(own.share, 0)} % of {own.tested} right" for own in wrong)
    first = wrong[0].advice.partition(".")[0] if " taken for " in wrong[0].advice else ""
    return f"Most on {each}." + (f" {wrong[0].name}: {first[0].lower()}{first[1:].partition(':')[0]}." if first else "")


def _mistakes(run: Run) -> list[Mistake]:
    """Return the wrong test samples of a run that it is surest of."""
    names = [str(name) for name in run.result["class_names"]]
    probabilities, primary = run.output("test_probabilities"), run.output("test_primary")
    predicted, sure = probabilities.argmax(-1), probabilities.max(-1)
    wrong = sorted((predicted != primary).nonzero()[0].tolist(), key=lambda row: -float(sure[row]))
    return [Mistake(row, names[primary[row]], names[predicted[row]], float(sure[row])) for row in wrong[:MOST_MISTAKES]]
