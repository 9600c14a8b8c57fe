"""The folder of one run: what is in it, how it is written, how a finished one is read.

`<out>/runs/<method>-<seed>/` holds

- `settings.yaml`: every field of `Settings`, the method and the seed;
- `records.jsonl`: one object per epoch (`epoch`, counted from 1, `test_accuracy`, ...);
- `outputs.safetensors`: what the trained network says of every test and training sample;
- `weights.safetensors`: the trained network; or `classifier.skops`, a classical model;
- `manifest.json`: the format's version, and a digest of each of these files, which every reader checks;
- `result.json`, written last: the run is finished if it is there.

Accuracies are fractions, not per cent.
"""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from metaux.errors import InputError
from metaux.files import to_json, write_bytes_atomic, write_tensors, write_text_atomic
from metaux.runs.reading import (
    check_digests,
    damaged,
    opened,
    parse_json,
    read_mapping,
    read_records,
    read_tensors,
    write_last,
)
from metaux.runs.trial import Trial
from metaux.runs.validity import OF_A_RESULT, OF_OUTPUTS, check_output, check_outputs, check_records, check_result
from metaux.settings import Settings, from_mapping, to_mapping
from metaux.strict_yaml import parse_yaml

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


SETTINGS = "settings.yaml"
RECORDS = "records.jsonl"
RESULT = "result.json"
OUTPUTS = "outputs.safetensors"
WEIGHTS = "weights.safetensors"
CLASSIFIER = "classifier.skops"
# What `metaux compare` and `metaux recommend` leave in the folder of their runs.
COMPARISON, RECOMMENDED = "comparison.json", "recommend.json"

_GIVE_ONE = "give one such as OUT/runs/maxl-0"


def is_finished(folder: Path) -> bool:
    """Return whether the run in this folder has come to its end."""
    return (folder / RESULT).is_file()


def write_settings(folder: Path, settings: Settings, **more: object) -> None:
    """Make a folder, and write what defines its run, with its `method` and `seed`; or what all of its runs share."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text_atomic(folder / SETTINGS, yaml.safe_dump({**more, **to_mapping(settings)}, sort_keys=False))


def write_records(folder: Path, records: Iterable[Mapping[str, object]]) -> None:
    """Write the records of all epochs so far, one JSON object per line.

    The whole file is written each time: a run that is stopped never leaves half a line.
    """
    write_text_atomic(folder / RECORDS, "".join(to_json(record) + "\n" for record in records))


def write_finished(
    folder: Path,
    result: Mapping[str, object],
    outputs: "Mapping[str, Tensor]",
    model: "Mapping[str, Tensor] | bytes",
) -> None:
    """Write what a finished run leaves; `result.json` comes last, and makes it finished.

    Args:
        folder: the run's folder, with settings and records in it.
        result: `method`, `seed`, `accuracy`, `balanced_accuracy`, `seconds_per_epoch`, `epochs`,
            `class_names`, `versions` and whatever else describes the run.
        outputs: `test_probabilities` float32 `[n_test, classes]`; `test_correct` float32 `[n_test]`, the mean
            over the reported epochs, so that its mean is `accuracy`; `test_primary` int64 `[n_test]`;
            `train_labels` float16 `[n_train, max psi]`, the generated label over the slots of the sample's
            own class; `train_ids` int64 `[n_train]`; and whatever else a report may want.
        model: the weights of the trained network, or a classical model as a file.

    Raises:
        ValueError: if one of the values that `Run` needs is missing.
    """
    missing = [name for name in OF_A_RESULT if name not in result]
    missing += [name for name in OF_OUTPUTS if name not in outputs]
    if missing:
        raise ValueError(f"expected {', '.join(missing)} among the results of a run; add what is missing")
    if isinstance(model, bytes):
        trained = CLASSIFIER
        write_bytes_atomic(folder / trained, model)
    else:
        trained = WEIGHTS
        write_tensors(folder / trained, model)
    write_tensors(folder / OUTPUTS, outputs)
    write_last(folder, RESULT, result, (SETTINGS, RECORDS, OUTPUTS, trained))


@dataclass(frozen=True)
class Run:
    """A finished run, read from its folder; tensors are read when asked for.

    Args:
        folder: where it lies.
        method: the label source's name.
        seed: what it drew its random numbers from.
        settings: every field of `Settings`, as plain values.
        epochs: the records, one per epoch.
        result: the content of `result.json`.
    """

    folder: Path
    method: str
    seed: int
    settings: Mapping[str, Any]
    epochs: Sequence[Mapping[str, Any]]
    result: Mapping[str, Any]

    @classmethod
    def read(cls, folder: str | Path) -> "Run":
        """Read a finished run.

        Raises:
            InputError: if the folder holds no run, an unfinished one, a damaged file, or files that do not agree.
        """
        folder = Path(folder)
        _check_present(folder)
        check_digests(folder, (SETTINGS, RECORDS, RESULT))
        settings = read_mapping(folder / SETTINGS, parse_yaml)
        result = read_mapping(folder / RESULT, parse_json)
        check_result(folder / RESULT, result)
        epochs = read_records(folder / RECORDS)
        check_records(folder / RECORDS, epochs, result["epochs"])
        with opened(folder / OUTPUTS) as file:
            check_outputs(folder / OUTPUTS, file, result)
        return cls(folder, result["method"], result["seed"], settings, epochs, result)

    @property
    def trial(self) -> Trial:
        """The run that was to be done.

        Raises:
            InputError: for settings that this version doesn't know.
        """
        try:
            settings, _ = from_mapping(self.settings, {"method": str, "seed": int})
        except InputError as error:
            raise InputError(f"{error} (in '{self.folder / SETTINGS}')") from None
        return Trial(settings, self.method, self.seed)

    def labelled(self, method: str) -> "Run":
        """Return the same run under another method's name, such as that of a variant in a figure."""
        return replace(self, method=method)

    @property
    def accuracy(self) -> float:
        """Test accuracy, the mean over the reported epochs; NaN without test samples."""
        return _number(self.result["accuracy"])

    @property
    def balanced_accuracy(self) -> float:
        """The mean of the classes' test accuracies, likewise."""
        return _number(self.result["balanced_accuracy"])

    @property
    def kind(self) -> str:
        """The kind of its data: image, table, text or other."""
        return str(self.result.get("model", {}).get("preprocessing", {}).get("kind", "other"))

    @property
    def seconds_per_epoch(self) -> float:
        """Mean duration of an epoch."""
        return float(self.result["seconds_per_epoch"])

    @property
    def test_groups(self) -> "np.ndarray[Any, Any] | None":
        """The group of each test sample, int64 `[n_test]`; None where the data has no groups."""
        return self.output("test_groups") if "test_groups" in self.outputs() else None

    @property
    def training_seconds(self) -> float:
        """What training took, from preparation to the last epoch.

        Epochs count by their median, since the first of a process pays for what is set up once.
        """
        each = statistics.median(float(record["seconds"]) for record in self.epochs)
        return float(self.result.get("preparation_seconds", 0.0)) + len(self.epochs) * each

    @property
    def train_size(self) -> int:
        """The number of training samples, those of a meta split among them."""
        if "train_size" in self.result:
            return int(self.result["train_size"])
        with opened(self.folder / OUTPUTS) as file:
            return int(file.get_slice("train_ids").get_shape()[0])

    def curve(self, name: str) -> "np.ndarray[Any, np.dtype[np.float64]]":
        """Return one value of every epoch's record, float64 `[epochs]`; NaN where an epoch has none."""
        import numpy as np

        values = (record.get(name) for record in self.epochs)
        return np.array([np.nan if value is None else value for value in values], dtype=np.float64)

    def output(self, name: str) -> "np.ndarray[Any, np.dtype[Any]]":
        """Read one of the outputs as an array (see `write_finished` for names and shapes).

        Raises:
            InputError: if the run has no such output, or a damaged one.
        """
        with opened(self.folder / OUTPUTS) as file:
            if name not in (names := file.keys()):
                raise InputError(
                    f"expected '{name}' among the outputs of {self.folder}, found {', '.join(names)}; "
                    "ask for one of those, or train again with this version"
                )
            return check_output(self.folder / OUTPUTS, file, name, self.result)

    def outputs(self) -> tuple[str, ...]:
        """Return the names of the outputs that the run recorded."""
        with opened(self.folder / OUTPUTS) as file:
            return tuple(file.keys())

    def weights(self) -> "dict[str, Tensor]":
        """Read the trained network's parameters and buffers, on the CPU.

        Raises:
            InputError: if the file is missing or damaged.
        """
        return read_tensors(self.folder / WEIGHTS)


def read_runs(out: str | Path) -> list[Run]:
    """Read every finished run below `<out>/runs`, in order of method and seed.

    Raises:
        InputError: if there is none, or one is damaged.
    """
    folders = [folder.parent for folder in Path(out).glob(f"runs/*/{RESULT}")]
    if (Path(out) / RECORDS).is_file():
        _check_present(Path(out))  # a single run, and not a finished one
    if not folders:
        raise InputError(
            f"expected finished runs in {Path(out) / 'runs'}, found none; "
            "give the output folder of a comparison that has finished runs"
        )
    return sorted(map(Run.read, folders), key=lambda run: (run.method, run.seed))


def _check_present(folder: Path) -> None:
    if not folder.is_dir():
        found = "a file" if folder.exists() else "nothing"
        raise InputError(f"expected the folder of a run at {folder}, found {found}; {_GIVE_ONE}")
    if (folder / "runs").is_dir():
        runs = sorted(path for path in (folder / "runs").iterdir() if path.is_dir())
        found = f"expected the folder of one run, found {folder} with {len(runs)} of them"
        if (folder / RECOMMENDED).is_file() and (model := read_mapping(folder / RECOMMENDED, parse_json).get("model")):
            raise InputError(f"{found}; the recommended one is {folder / 'runs' / Path(model).name}")
        raise InputError(f"{found}; " + (f"give one, such as {runs[0]}" if runs else "train one first"))
    if not (folder / SETTINGS).is_file():
        raise InputError(f"expected the folder of a run, found no {SETTINGS} in {folder}; {_GIVE_ONE}")
    if not is_finished(folder):
        raise InputError(
            f"expected a finished run, found no {RESULT} in {folder}; "
            "repeat the command that started the run, and it goes on from its last epoch"
        )
    for name in (RECORDS, OUTPUTS):
        if not (folder / name).is_file():
            raise damaged(folder, f"without {name}")


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)  # JSON has no NaN
