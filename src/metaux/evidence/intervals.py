"""How means with an interval are written: in the table, the verdict, the report and the figures alike."""

from metaux.evidence.statistics import Estimate
from metaux.words import bound_in_points, percent, points


def interval_of_accuracy(estimate: Estimate) -> str:
    """Return the interval of an accuracy in per cent; empty where there is none.

    >>> interval_of_accuracy(Estimate(0.99, 0.97, 1.01))  # Student's interval knows no bounds, but an accuracy does
    '[97.0, 100]'
    """
    if estimate.low is None or estimate.high is None:
        return ""
    low, high = ("100" if bound > 0.9995 else percent(max(bound, 0.0)) for bound in (estimate.low, estimate.high))
    return f"[{low}, {high}]"


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


def columns(mean: str, estimate: Estimate | None, ends: str = "") -> dict[str, float | None]:
    """Return a mean and the ends of its interval as columns of a table; None where there is none.

    Args:
        mean: the column of the mean.
        estimate: what the columns hold.
        ends: what the columns of the ends begin with; as that of the mean by default.

    >>> columns("gain", Estimate(0.01))
    {'gain': 0.01, 'gain_low': None, 'gain_high': None}
    """
    values = (None, None, None) if estimate is None else (estimate.mean, estimate.low, estimate.high)
    return dict(zip((mean, f"{ends or mean}_low", f"{ends or mean}_high"), values, strict=True))


def difference_in_points(estimate: Estimate) -> str:
    """Return a difference with its unit and its interval.

    >>> difference_in_points(Estimate(0.012, 0.004, 0.02))
    '+1.2 points [+0.4, +2.0]'
    """
    return f"{points(estimate.mean, decimals_for(estimate))} points {interval_of_points(estimate)}".strip()
