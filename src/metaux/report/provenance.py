"""How was it made? Settings, versions, and the command that makes it again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from metaux.report.recorded import Recorded
from metaux.settings import Settings, as_words, to_mapping
from metaux.words import shell_command


@dataclass(frozen=True)
class Provenance:
    """Where the numbers come from.

    Args:
        command: what makes them again.
        settings: every setting, with whether it is another than the default; where methods differ, the value of each.
        versions: of the software.
        devices: the CPUs or GPUs that the runs were trained on.
    """

    command: str
    settings: Sequence[tuple[str, str, bool]]
    versions: Mapping[str, str]
    devices: Sequence[str]


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
    )


def command(recorded: Recorded, settings: Mapping[str, Any]) -> str:
    """Return the command line that trains the same; of settings, those that aren't the defaults are named."""
    words = ["metaux", "train" if recorded.single else "compare", *as_words(settings)]
    if recorded.single:
        words += ["--method", recorded.runs[0].method, "--seed", str(recorded.runs[0].seed)]
    else:
        seeds = max(seed for row in recorded.comparison.rows for seed in row.seeds) + 1
        words += ["--methods", *recorded.by_method, "--seeds", str(seeds)]
    return shell_command(words)


def _setting(key: str, recorded: Recorded) -> tuple[str, str, bool]:
    """Return a setting's name, its value in words, and whether it is another than the default."""
    default = to_mapping(Settings()).get(key)
    values = {method: runs[0].settings.get(key, default) for method, runs in recorded.by_method.items()}
    methods: dict[str, list[str]] = {}
    for method, value in values.items():
        methods.setdefault(_in_words(value), []).append(method)
    parts = [value if len(methods) == 1 else f"{value} ({', '.join(own)})" for value, own in methods.items()]
    return key, "; ".join(parts), any(value != default for value in values.values())


def _in_words(value: object) -> str:
    if value is None:
        return "default"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
