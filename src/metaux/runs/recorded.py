"""From the setting `labels`, the folder of a finished run, to the labels that it recorded."""

from collections.abc import Callable

import torch
from torch import Tensor

from metaux.data.samples import Samples
from metaux.errors import InputError
from metaux.hierarchy import Hierarchy
from metaux.labels.fixed import over_all
from metaux.runs.model import read_description
from metaux.runs.record import Run
from metaux.settings import Settings
from metaux.training.plan import no_recorded_labels


def make_recorded(settings: Settings, hierarchy: Hierarchy, seed: int) -> Callable[[Samples], Tensor]:
    """Return what reads the labels of the run that `Settings.labels` names.

    Nothing is read until it is called.

    Args:
        settings: of the run that learns them.
        hierarchy: of that run.
        seed: of that run; it takes the place of `{seed}` in the folder's name.
    """
    if settings.labels is None:
        return no_recorded_labels
    folder = settings.labels.replace("{seed}", str(seed))
    return lambda samples: _read(folder, samples, hierarchy)


def _read(folder: str, samples: Samples, hierarchy: Hierarchy) -> Tensor:
    """Return the recorded label of each sample, `[n, K]`.

    Raises:
        InputError: if the folder is no finished run, or the run has no labels, other sub-classes or other samples.
    """
    run = Run.read(folder)
    if "train_labels" not in run.outputs():
        raise InputError(
            f"expected --labels of a run with sub-class labels, found method {run.method} in '{folder}', which has "
            "none; give a run of another method"
        )
    theirs, _, _ = read_description(run)
    if (theirs.slots, theirs.class_names) != (hierarchy.slots, hierarchy.class_names):
        raise InputError(
            f"expected --labels of a run with the same classes and sub-classes ({_shown(hierarchy)}), found "
            f"{_shown(theirs)} in '{folder}'; give a run with the same --primary, --auxiliary and --subclasses"
        )
    labels, primary, ids = (torch.from_numpy(run.output(f"train_{name}")) for name in ("labels", "primary", "ids"))
    assert samples.ids is not None
    order = ids.argsort()
    rows = order[torch.searchsorted(ids[order], samples.ids).clamp(max=len(ids) - 1)]
    known = (ids[rows] == samples.ids) & (primary[rows] == samples.primary)
    if not known.all():
        split = ", and for labels of a run that gave up a meta split, as this one, method shuffled-split"
        raise InputError(
            f"expected --labels of a run that trained on all of this run's {len(samples)} training samples, found "
            f"{int((~known).sum())} without a label in '{folder}'; give a run with the same data, --train-size, "
            f"protocol and seed{split if 'meta_ids' in run.outputs() else ''}"
        )
    found = over_all(labels[rows].float(), samples.primary, hierarchy)
    return found / found.sum(-1, keepdim=True)  # recorded in half precision


def _shown(hierarchy: Hierarchy) -> str:
    each = [f"{name} of {slots}" for name, slots in zip(hierarchy.class_names, hierarchy.slots, strict=True)]
    return ", ".join([*each[:5], *["..."] * (len(each) > 5)])
