"""What a finished run is measured on: the test samples of its own data, or other data."""

from pathlib import Path
from typing import NamedTuple

from metaux.data.samples import Samples
from metaux.data.sources import is_known, is_own, load, load_for_evaluation
from metaux.errors import InputError
from metaux.files import Progress
from metaux.runs.classical import AnyModel
from metaux.runs.loading import is_of
from metaux.runs.record import Run


class Measured(NamedTuple):
    """Samples, which part of their data they are (`test`, `validation` or `all`), and what a user should know."""

    samples: Samples
    part: str
    notices: tuple[str, ...] = ()


def samples_to_measure(
    run: Run,
    model: AnyModel,
    data: str | None = None,
    hierarchy: str | None = None,
    progress: Progress | None = None,
) -> Measured:
    """Read what a run is to be measured on; of its own data never a sample that it learned from, as far as can be told.

    Args:
        run: a finished run.
        model: the same run's.
        data: named as `Settings.data` is; the run's own by default.
        hierarchy: a hierarchy file to translate other data's labels with, in place of the run's.
        progress: is told how many of the images have been read.

    Raises:
        InputError: for data that can't be read, doesn't fit the run, or has changed since.
    """
    settings = model.settings
    if data is not None and not is_own(data, settings):
        found, part = load_for_evaluation(
            settings, model.hierarchy.class_names, model.preprocessing, data, progress, hierarchy
        )
        notice = "If the run learned from some of these samples, this is not its accuracy on new ones."
        return Measured(found, part, (*found.notices, *([notice] if part == "all" else [])))
    if hierarchy is not None:
        raise InputError(
            f"expected other data than the run's own for --hierarchy {hierarchy}, found "
            f"{'none' if data is None else data}; name DATA after the run, or leave --hierarchy out"
        )
    place = Path(settings.data).expanduser()
    if not (is_known(settings.data) or place.is_absolute() or place.exists()):
        raise InputError(
            f"expected the run's own data, found nothing at '{settings.data}', which was named from another folder; "
            f"name it after the run: metaux evaluate {run.folder} DATA"
        )
    own = load(settings, progress)
    same_classes = own.hierarchy.class_names == model.hierarchy.class_names
    if not same_classes or own.test.primary.tolist() != run.output("test_primary").tolist():
        raise InputError(
            f"expected the test samples of {run.folder} in '{settings.data}', found others: the data has changed, and "
            "the run may have learned from some of them; name other data after the run"
        )
    notice = "The data has changed since the run: it may have learned from some of these samples."
    return Measured(own.test, settings.evaluate_on, (*own.notices, *([] if is_of(run, own) else [notice])))
