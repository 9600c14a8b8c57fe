"""Writes the recorded results into the README: `python results/tables.py`, after copying what a command recorded.

A folder here holds what the command in its `command.txt` left in its output folder: `comparison.json`,
`comparison.csv`, `settings.yaml` and the two figures. The README's tables are made from these files alone.
"""

import json
import re
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
README = HERE.parent / "README.md"
BEDS = {
    "digits": "digits, even against odd",
    "cifar100-3": "CIFAR-100, 3 classes (human: 100)",
    "cifar100-20": "CIFAR-100, 20 classes (human: 100)",
    "fashion-mnist": "Fashion-MNIST, 10 classes of 5",
}


def points(difference: dict[str, Any] | None) -> str:
    """Return a difference in percentage points with its interval over seeds."""
    if difference is None:
        return "-"
    seeds = difference["seeds"]
    return f"{100 * seeds['mean']:+.1f} [{100 * seeds['low']:+.1f}, {100 * seeds['high']:+.1f}]"


def table(bed: str) -> str:
    """Return one bed's comparison as a Markdown section."""
    found = json.loads((HERE / bed / "comparison.json").read_text())
    command = (HERE / bed / "command.txt").read_text().strip()
    lines = [
        f"**{BEDS[bed]}**: {found['train_size']:,} training samples, {found['epochs']} epochs",
        f"(`{command}`)",
        "",
        "| method | n | test accuracy, % | minus single | minus uniform | minus frozen | s/epoch |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in found["rows"]:
        accuracy, differences = row["accuracy"], row["differences"]
        interval = f"{100 * accuracy['mean']:.1f} [{100 * accuracy['low']:.1f}, {100 * min(accuracy['high'], 1):.1f}]"
        cells = [row["method"], str(len(row["seeds"])), interval]
        cells += [points(differences.get(name)) for name in ("single", "uniform", "frozen")]
        lines.append("| " + " | ".join([*cells, f"{row['seconds_per_epoch']:.2g}"]) + " |")
    return "\n".join([*lines, "", f"> {found['verdict']}"])


def sections() -> dict[str, str]:
    """Return the generated parts of the README by name."""
    speed, start = (json.loads((HERE / "benchmarks" / f"{name}.json").read_text()) for name in ("meta-step", "startup"))
    return {
        "results": "\n\n".join(table(bed) for bed in BEDS if bed != "digits"),
        "digits": table("digits"),
        "speed": speed_table(speed, start),
    }


def speed_table(found: dict[str, Any], start: dict[str, Any]) -> str:
    """Return the benchmarks' figures that have a target, as a Markdown table."""
    lines = [f"{found['setting']}; {found['processor']}, {found['cores']} cores.", ""]
    lines += ["| | measured | target: at most |", "| --- | --- | --- |"]
    lines += [f"| {name} | {found['ratios'][name]:.2f} | {bound:.2f} |" for name, bound in found["targets"].items()]
    lines += [
        f"| {name}, s | {start['median_s'][name]:.2f} | {bound:.2f} |" for name, bound in start["targets_s"].items()
    ]
    commands = f"`{found['command']}` and `{start['command']}`"
    return "\n".join([*lines, "", f"({commands}; what each pass costs: [docs/performance.md](docs/performance.md))"])


def filled(readme: str) -> str:
    """Return the README with its generated parts renewed."""
    for name, text in sections().items():
        readme = re.sub(
            rf"(<!-- {name}:begin -->\n).*?(<!-- {name}:end -->)",
            lambda match, text=text: f"{match[1]}{text}\n{match[2]}",  # type: ignore[misc]
            readme,
            flags=re.DOTALL,
        )
    return readme


if __name__ == "__main__":
    README.write_text(filled(README.read_text()))
