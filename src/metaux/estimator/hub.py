"""The hub that classifiers are shared on: its client, the card of a model, and what it refuses."""

from typing import Any

from metaux.data.transforms import HUB_TASKS
from metaux.errors import InputError
from metaux.words import counted, few


def card(classifier: Any, name: str) -> str:
    """Return a model card in the hub's format."""
    like, names = classifier._preprocess, [str(label) for label in classifier.classes_.tolist()]
    task = HUB_TASKS.get(like.kind)
    return f"""---
library_name: metaux
tags: [metaux, auxiliary-learning]
{f"pipeline_tag: {task}" if task else ""}
---

# A classifier of {counted(len(names), "class")}

It takes {like.describe()} and was trained with metaux, method {classifier.method}, for
{counted(len(classifier.history_), "epoch")}. Its classes are {few(names, 50)}.

```python
from metaux import MetauxClassifier

classifier = MetauxClassifier.from_pretrained({name!r})
classifier.predict(x)
```
"""


def client() -> Any:
    """Return the package that talks to the hub, or raise `InputError` where it is missing."""
    try:
        import huggingface_hub
    except ImportError:
        raise InputError(
            "expected the package huggingface_hub for the hub, found that it isn't installed; pip install 'metaux[hub]'"
        ) from None
    return huggingface_hub


def refused(name: str, error: Exception) -> InputError:
    """Return what to say of a hub that refused or could not be reached."""
    reason = " ".join(str(error).split())[:300]
    return InputError(
        f"expected to reach '{name}' on the hub, found {type(error).__name__} ({reason}); correct the name or the "
        "token, or give a folder"
    )
