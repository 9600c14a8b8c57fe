"""How names and numbers are written, in the table, the verdict and the figures alike."""

from collections.abc import Sequence
from pathlib import PurePath

from metaux.experiment.statistics import Estimate


def data_name(data: str) -> str:
    """Return what the setting `data` is called: a name as it is; of a path the last part, without the folders above it.

    >>> data_name("cifar10.1"), data_name("/home/ann/pets.csv"), data_name("hf:uoft-cs/cifar100:default")
    ('cifar10.1', 'pets', 'uoft-cs/cifar100')
    """
    if data.startswith("hf:"):
        name = data.partition(":")[2]
        return PurePath(name).name if name.count("/") > 1 or name.startswith((".", "~")) else name.partition(":")[0]
    path = PurePath(data)
    return path.stem if path.suffix.lower() in (".csv", ".npz") else path.name or data


def percent(fraction: float) -> str:
    """Return an accuracy in per cent.

    >>> percent(0.98123)
    '98.1'
    """
    return f"{100 * fraction:.1f}"


def interval_of_accuracy(estimate: Estimate) -> str:
    """Return the interval of an accuracy in per cent; empty where there is none.

    >>> interval_of_accuracy(Estimate(0.99, 0.97, 1.01))  # Student's interval knows no bounds, but an accuracy does
    '[97.0, 100]'
    """
    if estimate.low is None or estimate.high is None:
        return ""
    low, high = ("100" if bound > 0.9995 else percent(max(bound, 0.0)) for bound in (estimate.low, estimate.high))
    return f"[{low}, {high}]"


def points(fraction: float, decimals: int = 1) -> str:
    """Return a difference of accuracies in percentage points, with its sign.

    >>> points(0.012), points(-0.0001)
    ('+1.2', '+0.0')
    """
    return f"{round(100 * fraction, decimals) + 0.0:+.{decimals}f}"


def bound_in_points(fraction: float, decimals: int = 1) -> str:
    """Return an interval's bound, in percentage points; its sign is kept where it rounds to zero.

    >>> bound_in_points(-0.0001), bound_in_points(0.0)
    ('-0.0', '+0.0')
    """
    return f"{100 * fraction:+.{decimals}f}"


def decimals_for(estimate: Estimate) -> int:
    """Return how many decimals a difference needs so that an interval that excludes zero is seen to do so.

    >>> decimals_for(Estimate(0.01, 0.002, 0.018)), decimals_for(Estimate(0.002, 0.0003, 0.0037))
    (1, 2)
    """
    bound = estimate.low if estimate.above else estimate.high if estimate.below else None
    return 2 if bound is not None and abs(100 * bound) < 0.05 else 1


def interval_of_points(estimate: Estimate) -> str:
    """Return the interval of a difference, in percentage points; empty where there is none.

    >>> interval_of_points(Estimate(0.012, 0.004, 0.02))
    '[+0.4, +2.0]'
    """
    if estimate.low is None or estimate.high is None:
        return ""
    decimals = decimals_for(estimate)
    return f"[{bound_in_points(estimate.low, decimals)}, {bound_in_points(estimate.high, decimals)}]"


def difference_in_points(estimate: Estimate) -> str:
    """Return a difference with its unit and its interval.

    >>> difference_in_points(Estimate(0.012, 0.004, 0.02))
    '+1.2 points [+0.4, +2.0]'
    """
    return f"{points(estimate.mean, decimals_for(estimate))} points {interval_of_points(estimate)}".strip()


def listed(names: Sequence[str]) -> str:
    """Return names as an enumeration.

    >>> listed(["single", "uniform", "frozen"])
    'single, uniform and frozen'
    """
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def counted(number: int, what: str) -> str:
    """Return a number of things.

    >>> counted(1, "seed"), counted(1437, "training sample")
    ('1 seed', '1,437 training samples')
    """
    return f"{number:,} {what}{'' if number == 1 else 's'}"
