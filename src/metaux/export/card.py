"""The model card: what the network is, how it was trained, how good it is, and how to load it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from metaux.data.pixels import Array
from metaux.data.transforms import HUB_TASKS
from metaux.evidence.quality import calibration_error
from metaux.evidence.statistics import mean_over_samples, over_groups
from metaux.export.forms import FORMS
from metaux.export.rebuilt import Rebuilt
from metaux.runs.classical import AnyModel
from metaux.runs.record import Run
from metaux.settings import Settings, changed
from metaux.training.evaluate import class_recalls
from metaux.words import counted, data_name, listed, percent

# Where things lay and how it was computed: they say nothing of the network.
_NOT_SHOWN = ("data", "root", "device", "processes", "threads")
# Which may be paths; of these, the last part is enough.
_PATHS = ("hierarchy", "features", "embedding", "labels", "weights")
_MOST_NAMES = 50


def card(run: Run, model: AnyModel, about: Mapping[str, Any], to: str, made: Rebuilt | None) -> str:
    """Return a model card in the Hugging Face format: YAML, then Markdown.

    Args:
        run: the network's.
        model: the network, or a classical model.
        about: the content of `metaux.json`.
        to: the form's name.
        made: how to make the network that weights are loaded into, where the form needs it.
    """
    form, settings, name = FORMS[to], model.settings, data_name(model.settings.data)
    front = {
        "library_name": "metaux",
        "pipeline_tag": HUB_TASKS[model.preprocessing.kind],
        "tags": ["metaux", "auxiliary-learning", to, (about["backbone"] or run.method).partition(":")[0]],
        "datasets": [name],
        "metrics": ["accuracy"],
    }
    packages = (*form.packages, made.package) if made else form.packages
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["plain"] = _plain
    return environment.get_template("card.md.jinja").render(
        front=yaml.safe_dump(front, sort_keys=False, allow_unicode=True).rstrip(),
        run=run,
        about={"tokens": None, "columns": None, **about},
        name=name,
        takes=model.preprocessing.describe(),
        epochs=counted(run.result["epochs"], "epoch"),
        settings=_shown(settings),
        part=settings.evaluate_on,
        measured=_measured(run),
        is_mixed_precision=settings.precision != "32-true",
        form=form,
        to=to,
        made=made,
        packages=listed([f"`{package}`" for package in packages]),
        most=_MOST_NAMES,
    )


def _plain(text: str) -> str:
    """Return a name as Markdown shows it: nothing in it is markup."""
    return " ".join("".join(f"\\{c}" if c in "\\`*_[]<>#|" else c for c in text).split())


def _shown(settings: Settings) -> dict[str, Any]:
    return {
        name: Path(value).name if isinstance(value, str) and name in _PATHS else value
        for name, value in changed(settings, _NOT_SHOWN).items()
    }


def _measured(run: Run) -> dict[str, str] | None:
    """Return what the card says of the run's test samples; None if there are none."""
    probabilities, primary = (torch.from_numpy(run.output(f"test_{name}")) for name in ("probabilities", "primary"))
    if len(primary) == 0:
        return None
    correct = probabilities.argmax(-1) == primary
    low, high, over = _interval(correct.numpy(), run.test_groups)
    return {
        "accuracy": percent(float(correct.double().mean()), 2),
        "interval": "" if low is None or high is None else f"{percent(low, 2)}, {percent(high, 2)}",
        "balanced_accuracy": percent(float(class_recalls(correct, primary).mean()), 2),
        "n": f"{len(primary):,}",
        "over": over,
        "calibration_error": f"{calibration_error(probabilities, primary):.3f}",
    }


def _interval(correct: Array, groups: Array | None) -> tuple[float | None, float | None, str]:
    """Return the bounds of the accuracy's interval, and in words what it is over."""
    if groups is None:
        from scipy.stats import binomtest

        bounds = binomtest(int(correct.sum()), len(correct)).proportion_ci(method="wilson")
        return bounds.low, bounds.high, "in brackets, the 95 % interval over these samples (Wilson)"
    by_group = over_groups(correct, groups)
    found = mean_over_samples(by_group)
    if found.low is None:
        return None, None, f"their {counted(len(by_group), 'group')} of related samples are too few for an interval"
    over = f"in brackets, the 95 % interval over the {len(by_group):,} groups of related samples (bootstrap)"
    return found.low, found.high, over
