"""How was it made? Settings, versions, and the command that makes it again."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from metaux.report.html.methods import Recorded
from metaux.settings import Settings, as_words, to_mapping


@dataclass(frozen=True)
class Provenance:
    """Where the numbers come from.

    Args:
        command: what makes them again.
        settings: every setting, with whether it is another than the default; where methods differ, the value of each.
        versions: of the software.
        devices: the processors or GPUs that the runs were trained on.
        runs: method, seeds and epochs of each.
    """

    command: str
    settings: Sequence[tuple[str, str, bool]]
    versions: Mapping[str, str]
    devices: Sequence[str]
    runs: Sequence[tuple[str, str, int]]


def provenance(recorded: Recorded) -> Provenance:
    """Make the section."""
    first = recorded.runs[0]
    settings = {key: value for key, value in first.settings.items() if key not in ("method", "seed")}
    return Provenance(
        command=recorded.search.command if recorded.search else command(recorded, settings),
        settings=[_setting(key, recorded) for key in settings],
        versions={
            str(name): ", ".join(dict.fromkeys(str(run.result.get("versions", {}).get(name)) for run in recorded.runs))
            for name in first.result.get("versions", {})
        },
        devices=list(dict.fromkeys(str(run.result["device"]) for run in recorded.runs if "device" in run.result)),
        runs=[
            (row.method, ", ".join(map(str, row.seeds)), recorded.comparison.epochs) for row in recorded.comparison.rows
        ],
    )


def command(recorded: Recorded, settings: Mapping[str, Any]) -> str:
    """Return the command line that trains the same; of settings, those that aren't the defaults are named."""
    words = ["metaux", "train" if recorded.single else "compare", *as_words(settings)]
    if recorded.single:
        words += ["--method", recorded.runs[0].method, "--seed", str(recorded.runs[0].seed)]
    else:
        seeds = max(seed for row in recorded.comparison.rows for seed in row.seeds) + 1
        words += ["--methods", *recorded.methods, "--seeds", str(seeds)]
    return shlex.join(words)


def _setting(key: str, recorded: Recorded) -> tuple[str, str, bool]:
    """Return a setting's name, its value in words, and whether it is another than the default."""
    default = to_mapping(Settings()).get(key)
    values = {
        row.method: recorded.of_method(row.method)[0].settings.get(key, default) for row in recorded.comparison.rows
    }
    methods: dict[str, list[str]] = {}
    for method, value in values.items():
        methods.setdefault(_told(value), []).append(method)
    told = [value if len(methods) == 1 else f"{value} ({', '.join(own)})" for value, own in methods.items()]
    return key, "; ".join(told), any(value != default for value in values.values())


def _told(value: object) -> str:
    if value is None:
        return "default"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
