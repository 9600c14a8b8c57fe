"""Single task: the primary label only, the baseline of both papers."""

from metaux.labels.base import LabelSource


class Single(LabelSource):
    """No auxiliary task."""
