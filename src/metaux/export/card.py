"""The model card: what the network is, how it was trained, how good it is, and how to load it."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import yaml

from metaux.data.texts import VOCABULARY, WORD
from metaux.evidence.quality import calibration_error
from metaux.evidence.statistics import mean_over_samples, over_groups
from metaux.export.forms import Form
from metaux.runs.model import Model
from metaux.runs.record import Run
from metaux.settings import Settings, changed
from metaux.training.evaluate import class_recalls
from metaux.words import counted, data_name

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

_TASKS = {"image": "image-classification", "table": "tabular-classification", "text": "text-classification"}
# Where things lay and how it was computed: they say nothing of the network.
_NOT_SHOWN = ("data", "root", "device", "processes", "threads")
# Which may be paths; of these, the last part is enough.
_PATHS = ("hierarchy", "features", "embedding", "labels")
_SHOWN_CLASSES = 50


def card(run: Run, model: Model, about: Mapping[str, Any], to: str, form: Form, code: str) -> str:
    """Return a model card in the Hugging Face format: YAML, then Markdown.

    Args:
        run: the network's.
        model: the network.
        about: as `metaux.export.about.describe` returned it.
        to: the form's name.
        form: what it was exported in.
        code: the lines that load it.
    """
    name = data_name(model.settings.data)
    kind = model.preprocessing.kind
    front = {
        "library_name": "metaux",
        "pipeline_tag": _TASKS[kind],
        "tags": ["metaux", "auxiliary-learning", to, str(about["backbone"]).partition(":")[0]],
        "datasets": [name],
        "metrics": ["accuracy"],
    }
    return f"""---
# license: yours to choose
{yaml.safe_dump(front, sort_keys=False, allow_unicode=True)}---

# {_plain(name)}: {about["backbone"]}, trained with {run.method}

A classifier of {_input(model)} into {model.hierarchy.classes} classes: {_classes(model)}.

The backbone is `{about["backbone"]}`. {_auxiliary(run)}

## Training

{run.train_size:,} training samples of {_plain(name)}, {counted(run.result["epochs"], "epoch")}, seed {run.seed}, \
with metaux {about["versions"].get("metaux", "")}. Settings that are not the default: {_settings(model.settings)}.

## Accuracy

{_accuracy(run, name, model.settings)}

## Limits

- It was measured on the {model.settings.evaluate_on} part of the data set that it learned from: on other data it may \
be worse.
- It gives every input one of its classes, also an input of none of them.
- {_calibration(run)}
{_limits(model)}
## Loading

The input is {_raw(model, about)} The files `{form.file}` and `metaux.json` lie in the current folder; it takes \
{_packages(form, code)}.

```python
{code}
```

For example, `class_names[probabilities(x)[0].argmax()]` is the class of the first sample. \
`metaux.json` says the same of input, preprocessing and classes for any other program.
{_words(model)}"""


def _packages(form: Form, code: str) -> str:
    library = [name for name in ("timm", "torchvision", "metaux") if re.search(rf"^(import|from) {name}\b", code, re.M)]
    *others, last = (f"`{package}`" for package in [*form.packages, *library])
    return f"{', '.join(others)} and {last}" if others else last


def _input(model: Model) -> str:
    return model.preprocessing.describe()


def _plain(text: str) -> str:
    return " ".join("".join(f"\\{c}" if c in "\\`*_[]<>#|" else c for c in text).split())


def _classes(model: Model) -> str:
    names = [_plain(name) for name in model.hierarchy.class_names]
    more = f" and {len(names) - _SHOWN_CLASSES} more (see `metaux.json`)" if len(names) > _SHOWN_CLASSES else ""
    return ", ".join(names[:_SHOWN_CLASSES]) + more


def _settings(settings: Settings) -> str:
    shown = {
        name: Path(value).name if isinstance(value, str) and name in _PATHS else value
        for name, value in changed(settings, _NOT_SHOWN).items()
    }
    return ", ".join(f"`{name}: {value}`" for name, value in shown.items()) or "none"


def _final(run: Run) -> tuple[torch.Tensor, torch.Tensor]:
    probabilities = torch.from_numpy(run.output("test_probabilities"))
    return probabilities, torch.from_numpy(run.output("test_primary"))


def _auxiliary(run: Run) -> str:
    if run.method == "single":
        return "It learned its classes alone (method `single`)."
    return (
        f"Auxiliary labels may have helped to train it (method `{run.method}`); this is the primary network alone,\n"
        "with neither auxiliary head nor label generator."
    )


def _accuracy(run: Run, name: str, settings: Settings) -> str:
    probabilities, primary = _final(run)
    if len(primary) == 0:
        return "It was not measured: there were no test samples."
    correct = probabilities.argmax(-1) == primary
    low, high, over = _interval(correct.numpy(), run.test_groups)
    interval = "" if low is None or high is None else f" [{100 * low:.2f}, {100 * high:.2f}]"
    accuracy = f"{100 * float(correct.double().mean()):.2f} %{interval}"
    if settings.evaluate_on == "test":
        part = f"test samples of {_plain(name)}, which selected nothing"
    else:
        part = f"validation samples of {_plain(name)}, by which settings may have been chosen"
    return f"""| measure | value | n |
| --- | --- | --- |
| accuracy | {accuracy} | {len(primary):,} |
| balanced accuracy | {100 * float(class_recalls(correct, primary).mean()):.2f} % | {len(primary):,} |

Measured with these weights on the {len(primary):,} {part}; {over}. \
It is one run: another seed gives another network."""


def _interval(correct: "Array", groups: "Array | None") -> tuple[float | None, float | None, str]:
    """Return the bounds of the accuracy's interval, and in words what it is over."""
    if groups is None:
        from scipy.stats import binomtest

        bounds = binomtest(int(correct.sum()), len(correct)).proportion_ci(method="wilson")
        return bounds.low, bounds.high, "in brackets, the 95 % interval over these samples (Wilson)"
    by_group = over_groups(correct, groups)
    found = mean_over_samples(by_group)
    said = f"in brackets, the 95 % interval over the {len(by_group):,} groups of related samples (bootstrap)"
    few = f"their {counted(len(by_group), 'group')} of related samples are too few for an interval"
    return found.low, found.high, said if found.low is not None else few


def _calibration(run: Run) -> str:
    probabilities, primary = _final(run)
    if len(primary) == 0:
        return "Its probabilities are not calibrated."
    return (
        "Its probabilities are not calibrated: their expected calibration error on the measured samples is "
        f"{calibration_error(probabilities, primary):.3f}."
    )


def _limits(model: Model) -> str:
    limits = []
    if model.preprocessing.kind == "image":
        limits.append("- Images of another size have to be resized first, as those that it learned from were.")
    if model.preprocessing.kind == "text":
        limits.append(
            f"- It looks at the first {model.preprocessing.channels} words of a text, each hashed to a number."
        )
    if model.settings.precision != "32-true":
        limits.append("- It was trained and measured in mixed precision; exported, it computes in float32.")
    return "".join(f"{limit}\n" for limit in limits)


def _raw(model: Model, about: Mapping[str, Any]) -> str:
    kind, shape = model.preprocessing.kind, about["input"]["shape"]
    form = f"`{about['input']['dtype']} [{', '.join(map(str, shape))}]`"
    if kind == "image":
        return f"raw images, {form}: values from 0 to 255, not normalised."
    if kind == "text":
        return f"the ids of words, {form}, which the last lines of this card make of texts."
    if names := about["input"].get("features"):
        few = ", ".join(map(_plain, names[:_SHOWN_CLASSES])) + (", ..." if len(names) > _SHOWN_CLASSES else "")
        return f"a table, {form}, not normalised; its numbers are, in this order: {few} (1 or 0 for a category)."
    return f"a table, {form}, not normalised."


def _words(model: Model) -> str:
    if model.preprocessing.kind != "text":
        return ""
    length = model.preprocessing.channels
    return f"""
## Texts to ids

```python
import re
import zlib


def ids(text):
    words = [word.lower() for word in re.findall({WORD.pattern!r}, text)][:{length}]
    return [1 + zlib.crc32(word.encode()) % {VOCABULARY - 1} for word in words] + [0] * ({length} - len(words))
```

An input is `np.array` or `torch.tensor` of `[ids(text) for text in texts]`.
"""
