"""A classifier's way to a folder, to a hub and back, and from the folder of a run; nothing is pickled.

It is a little longer than 300 lines, since what is written and what is read back stand side by side.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from metaux.data.in_memory import Form
from metaux.data.transforms import Preprocessing
from metaux.errors import InputError
from metaux.estimator.hub import card, client, refused
from metaux.estimator.parts import auxiliary_names, make_source, make_trunk
from metaux.files import write_tensors
from metaux.hierarchy import Hierarchy
from metaux.labels.base import LabelSource, MakeSource
from metaux.labels.sources import SOURCES
from metaux.networks.multitask import MultiTaskNetwork, to_channels_last
from metaux.protocols import Protocol
from metaux.runs.model import Model, named_weights, rebuild
from metaux.runs.reading import check_digests, damaged, parse_json, read_mapping, read_tensors, write_last
from metaux.runs.record import RESULT, WEIGHTS, Run
from metaux.runs.results import describe_outputs
from metaux.settings import Settings

CLASSIFIER = "classifier.json"
CARD = "README.md"


class SavingMixin:
    """Saves a classifier and reads it back."""

    def save(self, folder: str | Path) -> None:
        """Write a fitted classifier into a folder: `classifier.json`, `weights.safetensors` and their digests.

        Parameters that are objects of the program's own (a callable, a module, callbacks) are left out, with a warning.

        Args:
            folder: a new one, or one with a classifier that was saved before.

        Raises:
            InputError: for another folder, or labels that JSON doesn't hold: tuples, bytes.
        """
        check_is_fitted(self)
        folder = Path(folder)
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())) and not (folder / CLASSIFIER).exists():
            raise InputError(f"expected a new folder or that of a saved classifier, found '{folder}'; give another")
        described, left_out = _description(self)
        folder.mkdir(parents=True, exist_ok=True)
        write_tensors(folder / WEIGHTS, _tensors(self))
        write_last(folder, CLASSIFIER, described, (WEIGHTS,))
        if left_out:
            warnings.warn(
                f"left out of '{folder}', since they are objects of the program's own: {', '.join(left_out)}",
                stacklevel=2,
            )

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        backbone: nn.Module | Callable[[], nn.Module] | None = None,
        method: MakeSource | None = None,
    ) -> Self:
        """Read a classifier that `save` wrote; it predicts to the same bits.

        Args:
            folder: where it lies.
            backbone: as it was for the fit, where that was no name.
            method: likewise.

        Raises:
            InputError: for a folder without one, a damaged or changed file, or a part that has to be given.
        """
        folder = Path(folder)
        if not (folder / CLASSIFIER).is_file():
            what = "a finished run; use from_run" if (folder / RESULT).is_file() else f"no {CLASSIFIER}; give another"
            raise InputError(f"expected the folder of a saved classifier, found in '{folder}' {what}")
        check_digests(folder, (CLASSIFIER, WEIGHTS))
        own = {name: part for name, part in (("backbone", backbone), ("method", method)) if part is not None}
        try:
            described, tensors = read_mapping(folder / CLASSIFIER, parse_json), read_tensors(folder / WEIGHTS)
            made: Self = _restored(cls, described, tensors, own)
        except InputError:
            raise
        except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise damaged(folder / CLASSIFIER, f"without what a classifier needs, or of another ({error})") from None
        return made

    @classmethod
    def from_run(cls, folder: str | Path) -> Self:
        """Return the network of a finished run, such as `metaux train` leaves it, as a fitted classifier.

        Its classes are the names that the run has for them, and it predicts as `metaux predict` does. Its parameters
        are the run's settings, so that a further `fit` trains in the same way.

        Args:
            folder: of the run.

        Raises:
            InputError: if it isn't one, or one of a classical model.
        """
        run = Run.read(folder)
        model = Model.of(run)
        settings = run.trial.settings
        known: Any = cls
        parameters = {name: v for name, v in vars(settings).items() if v is not None}
        parameters = {name: parameters[name] for name in known._get_param_names() if name in parameters}
        parameters |= {"method": run.method, "random_state": run.seed, "device": "auto"}
        if settings.epochs == "auto":
            parameters["epochs"] = run.result["epochs"]
        parameters["class_weight"] = "balanced" if settings.class_weights == "balanced" else None
        made: Self = known(**parameters)
        like = model.preprocessing
        labels = run.output("train_labels").astype(np.float32) if "train_labels" in run.outputs() else None
        form = Form(like.kind, (tuple(run.result["model"]["shape"]),), like.pixel_range, like.columns, like.tokenizer)
        classes, names = np.array(model.hierarchy.class_names), [column.name for column in form.columns]
        _fill(made, classes, model.network, model.source, like, form, [*map(dict, run.epochs)], labels, names)
        return made

    def push_to_hub(self, name: str, *, private: bool | None = None, token: str | None = None) -> str:
        """Upload a fitted classifier, as `save` writes it, with a card that says how to load it (`metaux[hub]`).

        Args:
            name: of the repository, OWNER/NAME; it is made if it isn't there.
            private: whether a new one is; the owner's default if None.
            token: of the hub; by default the one that its own login keeps.

        Returns:
            Where it is.

        Raises:
            InputError: if the package is missing, or the hub refuses or can't be reached.
        """
        hub = client()
        with TemporaryDirectory() as folder:
            self.save(folder)
            (Path(folder) / CARD).write_text(card(self, name), encoding="utf-8")
            try:
                api = hub.HfApi(token=token)
                url = api.create_repo(name, private=private, exist_ok=True)
                api.upload_folder(repo_id=url.repo_id, folder_path=folder, commit_message="A classifier of metaux")
            except Exception as error:  # the client's errors have no base in common, and change with its version
                raise refused(name, error) from error
        return str(url)

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        *,
        revision: str | None = None,
        token: str | None = None,
        backbone: nn.Module | Callable[[], nn.Module] | None = None,
        method: MakeSource | None = None,
    ) -> Self:
        """Read a classifier that `push_to_hub` uploaded, or that lies in a folder as `save` or a run left it.

        Args:
            name: of the repository, OWNER/NAME, or a folder.
            revision: a branch, a tag or a commit of the repository.
            token: of the hub; by default the one that its own login keeps.
            backbone: as of `load`.
            method: likewise.

        Raises:
            InputError: as `load`, or if there is no such repository or the hub can't be reached.
        """
        folder = Path(name)
        if not folder.is_dir():
            try:
                wanted = [CLASSIFIER, WEIGHTS, "manifest.json"]
                folder = Path(
                    client().snapshot_download(str(name), revision=revision, token=token, allow_patterns=wanted)
                )
            except InputError:
                raise
            except Exception as error:
                raise refused(str(name), error) from error
        elif (folder / RESULT).is_file():
            return cls.from_run(folder)
        return cls.load(folder, backbone=backbone, method=method)


def _description(classifier: Any) -> tuple[dict[str, Any], list[str]]:
    """Return all of a classifier but its tensors as plain values, and the parameters that are none."""
    parameters = {name: _plain(value) for name, value in classifier.get_params(deep=False).items()}
    left_out = [name for name, value in parameters.items() if value is ...]
    classes = _plain(classifier.classes_.tolist())
    if classes is ... or any(isinstance(label, list | dict) for label in classes):
        raise InputError(
            f"expected labels that are numbers, texts or truth values to save, found {classifier.classes_[0]!r} among "
            "others; fit with other labels"
        )
    kind, source = classifier.classes_.dtype, classifier._source
    described = {
        "parameters": {name: value for name, value in parameters.items() if name not in left_out},
        "left_out": left_out,
        "classes": classes,
        "class_type": "object" if kind.hasobject else kind.str,
        "shapes": [list(shape) for shape in classifier._form.shapes],
        "types": list(classifier._form.types),
        "feature_names": list(getattr(classifier, "feature_names_in_", [])),
        **describe_outputs(classifier.hierarchy_, source.auxiliary_names, classifier._preprocess),
        "protocol": asdict(source.protocol),
        "history": classifier.history_,
    }
    return described, left_out


def _tensors(classifier: Any) -> dict[str, Tensor]:
    """Return the tensors of a classifier by name: the network's, the labels', and those of a rule of predicting."""
    source = classifier._source
    own_rule = source.predict is not None and not isinstance(classifier.method, str)
    tensors = named_weights(classifier.network_, source if own_rule else None)
    if classifier.labels_ is not None:
        tensors["labels"] = torch.from_numpy(classifier.labels_)
    return tensors


def _restored(cls: type, described: Mapping[str, Any], tensors: Mapping[str, Tensor], own: Mapping[str, Any]) -> Any:
    """Return a fitted classifier from what `_description` and `_tensors` returned, and the program's own parts."""
    if missing := [name for name in ("backbone", "method") if name in described["left_out"] and name not in own]:
        raise InputError(
            f"expected the program's own {' and '.join(missing)} of the saved classifier, found none; give it to load"
        )
    made = cls(**{**described["parameters"], **own})
    hierarchy = Hierarchy(described["slots"], described["class_names"], described["subclass_names"])
    like = Preprocessing.from_dict(described["preprocessing"])
    shapes, types = tuple(map(tuple, described["shapes"])), tuple(described["types"])
    like.check_shape(shapes[0])
    form = Form(like.kind, shapes, like.pixel_range, like.columns, like.tokenizer, types)
    # One of a run too, which no fit takes.
    known = SOURCES.get(made.method) if isinstance(made.method, str) else None
    make: MakeSource = known or make_source(made.method, like.kind)
    source = make(hierarchy, Protocol(**described["protocol"]))
    source.auxiliary_names = tuple(described["auxiliary_names"])
    kinds = types or (("int64",) if like.kind == "text" else ("float32",) * len(shapes))
    example = tuple(
        torch.zeros(1, *shape, dtype=getattr(torch, kind)) for shape, kind in zip(shapes, kinds, strict=True)
    )
    network = rebuild(make_trunk(made.backbone, Settings(), shapes[0], like.kind), example, source, tensors)
    to_channels_last(network, torch.device("cpu"))
    _take_state(source, {name[7:]: value for name, value in tensors.items() if name.startswith("source.")})
    classes = np.array(described["classes"], dtype=described["class_type"])
    labels = tensors["labels"].numpy() if "labels" in tensors else None
    _fill(made, classes, network, source, like, form, described["history"], labels, described["feature_names"])
    return made


def _fill(
    made: Any,
    classes: Any,
    network: MultiTaskNetwork,
    source: LabelSource,
    like: Preprocessing,
    form: Form,
    history: list[dict[str, float]],
    labels: Any,
    feature_names: Sequence[str],
) -> None:
    """Give a classifier what a fit would have left in it."""
    made.classes_, made.hierarchy_, made.network_, made.history_ = classes, source.hierarchy, network, history
    made.labels_, made.auxiliary_names_ = labels, auxiliary_names(source)
    made._source, made._preprocess, made._form = source, like, form
    made.n_features_in_ = len(feature_names) or prod(form.shapes[0])
    if feature_names:
        made.feature_names_in_ = np.array(feature_names, dtype=object)


def _take_state(source: LabelSource, state: Mapping[str, Tensor]) -> None:
    """Give a source that is not prepared the tensors of one that was."""
    if not state:
        return
    for name in state.keys() - {name for name, _ in (*source.named_parameters(), *source.named_buffers())}:
        if "." not in name:  # what `prepare` registers
            source.register_buffer(name, state[name])
    unknown = source.load_state_dict(dict(state), strict=False).unexpected_keys
    if unknown:
        raise RuntimeError(f"the source has no {', '.join(unknown)} before it is prepared")


def _plain(value: Any) -> Any:
    """Return a value as JSON has it; `...` for one that JSON doesn't hold.

    >>> _plain((1, np.float64(0.5))), _plain([print])
    ([1, 0.5], Ellipsis)
    """
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, list | tuple):
        items = [_plain(item) for item in value]
        return ... if ... in items else items
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        values = [_plain(item) for item in value.values()]
        return ... if ... in values else dict(zip(value, values, strict=True))
    return value if value is None or isinstance(value, str | int | float | bool) else ...
