"""Writes the recorded results into the pages: `python results/tables.py`, after copying what a command recorded.

A folder here holds what the command in its `command.txt` left in its output folder: `comparison.json`,
`comparison.csv`, `settings.yaml` and the two figures; a folder in `reproduce`, what `metaux reproduce` left in that
item's; one in `contest`, what `metaux contest` left in a bed's; one in `recommend`, the `recommend.json` that the
command in its `command.txt` left. The tables of the README, docs/reproduction.md and docs/does-it-help.md are made from
these files alone.
"""

import csv
import json
import re
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from metaux import words as wording
from metaux.evidence import intervals
from metaux.evidence.statistics import Estimate, mean_over_seeds
from metaux.studies.benchmark.measured import Row
from metaux.studies.benchmark.table import alternatives

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
    estimate = Estimate(**difference["seeds"])
    return f"{wording.points(estimate.mean)} {intervals.interval_of_points(estimate)}".strip()


def percents(accuracy: dict[str, Any]) -> str:
    """Return an accuracy in per cent with its interval over seeds."""
    estimate = Estimate(**accuracy)
    return f"{wording.percent(estimate.mean)} {intervals.interval_of_accuracy(estimate)}"


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
        cells = [row["method"], str(len(row["seeds"])), percents(accuracy)]
        cells += [points(differences.get(name)) for name in ("single", "uniform", "frozen")]
        lines.append("| " + " | ".join([*cells, f"{row['seconds_per_epoch']:.2g}"]) + " |")
    return "\n".join([*lines, "", f"> {found['verdict']}"])


def sections() -> dict[str, str]:
    """Return the generated parts of the README by name."""
    speed = json.loads((HERE / "reproduce" / "gradient" / "gradient.json").read_text())
    start = json.loads((HERE / "benchmarks" / "startup.json").read_text())
    return {
        "study": study(),
        "results": "\n\n".join(table(bed) for bed in BEDS if bed != "digits"),
        "digits": table("digits"),
        "speed": speed_table(speed, start),
    }


def speed_table(found: dict[str, Any], start: dict[str, Any]) -> str:
    """Return the benchmarks' figures that have a target, as a Markdown table."""
    lines = [f"{found['setting']}; {found['device']}, {found['threads']} threads.", ""]
    lines += ["| | measured | target: at most |", "| --- | --- | --- |"]
    lines += [f"| {name} | {found['ratios'][name]:.2f} | {bound:.2f} |" for name, bound in found["targets"].items()]
    lines += [
        f"| {name}, s | {start['median_s'][name]:.2f} | {bound:.2f} |" for name, bound in start["targets_s"].items()
    ]
    commands = f"`{found['command']}` and `{start['command']}`"
    return "\n".join([*lines, "", f"({commands}; what each pass costs: [docs/performance.md](docs/performance.md))"])


def reproduction() -> dict[str, str]:
    """Return the generated parts of docs/reproduction.md: the table, and a section for each item."""
    verdicts = json.loads((HERE / "reproduce" / "verdicts.json").read_text())
    found = {
        path.parent.name: json.loads(path.read_text()) for path in sorted((HERE / "reproduce").glob("*/summary.json"))
    }
    lines = ["| item | the papers | here | command | time | verdict |", "| --- | --- | --- | --- | --- | --- |"]
    parts = []
    for name, verdict in verdicts.items():
        item = found[name]
        link = f"[{name}](#{name})"
        claim = item["claim"] or "-"
        lines.append(f"| {link} | {claim} | {_short(item)} | `{item['command']}` | {_time(item)} | {verdict} |")
        notes = "".join(f"- {note}\n" for note in item["notes"])
        figures = "".join(
            f"![{item['shows']}](../results/reproduce/{name}/{path.name})\n\n"
            for path in sorted((HERE / "reproduce" / name).glob("*.png"))
        )
        parts.append(
            f"### {name}\n\n{item['shows'][0].upper()}{item['shows'][1:]}.\n\n{notes}\n{figures}{item['found']}"
        )
    return {"items": "\n".join(lines), "sections": "\n\n".join(parts)}


def _short(item: dict[str, Any]) -> str:
    return f"{item['runs']} runs, {item['seeds']} seeds" if item["runs"] else "no runs"


def _time(item: dict[str, Any]) -> str:
    seconds = item["training_seconds"] + item["drawing_seconds"]
    return f"{seconds / 60:.0f} min" if seconds > 90 else f"{seconds:.0f} s"


CONTESTS = {
    "cifar100-3-10k": "CIFAR-100, 3 classes, 10,000 images, 40 epochs",
    "cifar100-3-10k-again": "CIFAR-100, 3 classes, 10,000 images, 40 epochs, once more",
    "cifar100-3-50k": "CIFAR-100, 3 classes, 50,000 images, 20 epochs",
    "cifar100-3-50k-again": "CIFAR-100, 3 classes, 50,000 images, 20 epochs, once more",
    "cifar100-20-10k": "CIFAR-100, 20 classes, 10,000 images, 40 epochs",
    "cifar100-20-10k-again": "CIFAR-100, 20 classes, 10,000 images, 40 epochs, once more",
    "cifar100-3-10k-short": "CIFAR-100, 3 classes, 10,000 images, 40 epochs in batches of 250",
    "fashion-500": "Fashion-MNIST, 500 images, 50 epochs",
    "wine": "wine, 142 samples, 36 to test",
    "breast-cancer": "breast cancer, 455 samples, 114 to test",
}
# Behind the name of a bed: rows that were run later, elsewhere, so that they can't be paired with the first ones.
AGAIN = "-again"
# The contest on whose processor the leads were trained, where it is not the bed's first.
BESIDE = {"cifar100-3-10k": f"cifar100-3-10k{AGAIN}"}


def contests() -> dict[str, str]:
    """Return the generated part of docs/does-it-help.md: one table for each bed that was recorded."""
    parts = []
    for name, title in CONTESTS.items():
        found = json.loads((HERE / "contest" / name / "contest.json").read_text())
        rows = {row["name"]: row for row in found["table"]}
        seeds = len(rows["single"]["seeds"])
        lines = [
            f"**{title}**, {seeds} paired seeds, {(HERE / 'contest' / name / 'made.txt').read_text().strip()}",
            "",
            "| row | test accuracy, % | minus single | minus uniform | minus frozen | minus its own controls | cost |",
            "| --- | --- | --- | --- | --- | --- | --- |",
        ]
        for row in rows.values():
            differences = row["differences"]
            twice = ("shuffled",) if f"{row['name']}, shuffled" in differences else ()
            own = [
                f"{other} {points({'seeds': difference})}"
                for other, difference in differences.items()
                if other not in (*_REFERENCES, *twice)
            ]
            cells = [row["name"], percents(row["accuracy"])]
            cells += [points({"seeds": differences[n]} if n in differences else None) for n in _REFERENCES]
            lines.append("| " + " | ".join([*cells, "; ".join(own) or "-", f"{row['cost']:.1f}"]) + " |")
        parts.append("\n".join(lines))
    return {"contests": "\n\n".join(parts)}


def instead() -> dict[str, str]:
    """Return the generated part of docs/does-it-help.md on what else could be had in place of each method."""
    found: dict[str, dict[str, dict[str, Estimate]]] = {}
    for name, title in CONTESTS.items():
        table = json.loads((HERE / "contest" / name / "contest.json").read_text())["table"]
        # An older file lacks fields that are not needed here.
        found[title] = alternatives(
            [Row(**{field.name: row.get(field.name) for field in fields(Row)}) for row in table]
        )
    columns = list(dict.fromkeys(column for bed in found.values() for own in bed.values() for column in own))
    lines = ["| bed | row | " + " | ".join(f"minus {column}" for column in columns) + " |"]
    lines.append("| --- " * (len(columns) + 2) + "|")
    for title, methods in found.items():
        for method, own in methods.items():
            cells = [points({"seeds": asdict(own[column])} if column in own else None) for column in columns]
            lines.append("| " + " | ".join([title, method, *cells]) + " |")
    return {"instead": "\n".join(lines)}


# The rows of the README's first table; beside them the best of the other methods.
STUDIED = ("single", "ensemble of two", "uniform", "frozen", "maxl", "human")


def studied() -> dict[str, dict[str, dict[str, Any]]]:
    """Return by bed the rows of `STUDIED` that it has, and before `human` the best of the other methods."""
    beds = {}
    for name in CONTESTS:
        if name.endswith(AGAIN):
            continue
        found = json.loads((HERE / "contest" / name / "contest.json").read_text())
        rows = {row["name"]: row for row in found["table"]}
        if (again := HERE / "contest" / f"{name}{AGAIN}" / "contest.json").is_file():
            # What a row gains is counted from single task of its own go.
            rows = {row["name"]: row for row in json.loads(again.read_text())["table"]} | rows
        validation = {row: values["validation_accuracies"] for row, values in found["plan"]["rows"].items()}
        # By validation data, as everything: the best on test data would be the luckiest.
        ours = [row for row in rows if rows[row]["role"] == "method" and row not in STUDIED]
        best = max(ours, key=lambda row: sum(validation[row]) / len(validation[row]))
        beds[name] = {row: rows[row] for row in (*STUDIED[:-1], best, STUDIED[-1]) if row in rows}
    return beds


def study() -> str:
    """Return the README's first table: for each bed what the rows gain over tuned single task at equal epochs."""
    columns = (
        "bed",
        "seeds",
        "single task, %",
        "ensemble of two",
        "uniform",
        "frozen",
        "MAXL",
        "best other",
        "human",
    )
    lines = ["| " + " | ".join(columns) + " |", "| --- " * len(columns) + "|"]
    for name, rows in studied().items():
        [best] = set(rows) - set(STUDIED)
        cells = [CONTESTS[name], str(len(rows["single"]["seeds"])), percents(rows["single"]["accuracy"])]
        for row in (*STUDIED[1:-1], best, STUDIED[-1]):
            gain = points({"seeds": rows[row]["differences"]["single"]}) if row in rows else "-"
            cells.append(f"{row} {gain}" if row == best else gain)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


_REFERENCES = ("single", "uniform", "frozen")


# Of the energy of what samples want; the last three, of what is left without the class's part.
SHARES = {
    "shared": "the same for the whole class",
    "human": "differs between human sub-classes",
    "human_shuffled": "so by chance",
    "again_batch": "the rest, the same by any 100 outer samples",
    "again_train": "by any 1,000",
    "again_held_out": "by any 1,000 held out",
}


def mechanism() -> dict[str, str]:
    """Return the generated part of docs/does-it-help.md on what the meta-gradient asks of the labels."""
    with (HERE / "leads" / "mechanism.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    titles = [*(f"{title}, %" for title in SHARES.values()), "cosine with the age before"]
    rows = ["| after epoch | " + " | ".join(titles) + " |", "| --- " * (len(titles) + 1) + "|"]
    for epoch in dict.fromkeys(line["epoch"] for line in lines):
        own = [line for line in lines if line["epoch"] == epoch]
        found = [mean_over_seeds([100 * float(line[name]) for line in own]) for name in SHARES]
        cells = [epoch, *(f"{share.mean:.1f} [{share.low:.1f}, {share.high:.1f}]" for share in found)]
        if cosines := [float(line["own_later"]) for line in own if line["own_later"]]:
            cosine = mean_over_seeds(cosines)
            cells.append(f"{cosine.mean:.2f} [{cosine.low:.2f}, {cosine.high:.2f}]")
        else:
            cells.append("-")
        rows.append("| " + " | ".join(cells) + " |")
    return {"mechanism": "\n".join(rows)}


def screen() -> dict[str, dict[str, float]]:
    """Return by labels and seed what the leads and their controls reached on validation data, the best first."""
    found: dict[str, dict[str, float]] = {}
    with (HERE / "leads" / "screen.csv").open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            found.setdefault(line["method"], {})[line["seed"]] = float(line["validation_accuracy"])
    # Those with more seeds first: a mean of one is luckier or unluckier than it looks.
    return dict(sorted(found.items(), key=lambda pair: (-len(pair[1]), -sum(pair[1].values()))))


def screened() -> dict[str, str]:
    """Return the generated part of docs/does-it-help.md on the leads: what each reached on validation data."""
    changes, found = json.loads((HERE / "leads" / "leads.json").read_text()), screen()
    rows = ["| labels | the change | n | validation accuracy, % | minus single | minus uniform | minus frozen |"]
    rows.append("| --- " * 7 + "|")
    for name, own in found.items():
        accuracy = wording.percent(mean_over_seeds(list(own.values())).mean)
        cells = [name.removeprefix("lead-"), changes.get(name, "-"), str(len(own)), accuracy]
        for other in _REFERENCES:
            difference = mean_over_seeds([value - found[other][seed] for seed, value in own.items()])
            cells.append("-" if other == name else points({"seeds": asdict(difference)}))
        rows.append("| " + " | ".join(cells) + " |")
    return {"screened": "\n".join(rows)}


def elsewhere() -> dict[str, str]:
    """Return the generated part of docs/does-it-help.md on the best leads on other beds: test data, paired by seed."""
    found: dict[str, dict[str, dict[int, float]]] = {}
    with (HERE / "leads" / "beds.csv").open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            own = found.setdefault(line["bed"], {}).setdefault(line["labels"], {})
            own[int(line["seed"])] = float(line["test_accuracy"])
    others = ("single", "frozen", "maxl")
    minus = [f"minus {other}" for other in (*others, "its own, shuffled")]
    columns = ["bed", "labels", "n", "test accuracy, %", *minus]
    rows = [f"| {' | '.join(columns)} |", "| --- " * len(columns) + "|"]
    for bed, leads in found.items():
        table = json.loads((HERE / "contest" / BESIDE.get(bed, bed) / "contest.json").read_text())["table"]
        contest = {row["name"]: dict(zip(row["seeds"], row["accuracies"], strict=True)) for row in table}
        known = {**contest, **leads}
        for name, own in leads.items():
            cells = [CONTESTS[bed], name.removeprefix("lead-"), str(len(own))]
            cells.append(percents(asdict(mean_over_seeds(list(own.values())))))
            for other in (*others, f"{name}, shuffled"):
                difference = None
                if other in known and other != name:
                    over_seeds = mean_over_seeds([value - known[other][seed] for seed, value in own.items()])
                    difference = {"seeds": asdict(over_seeds)}
                cells.append(points(difference))
            rows.append("| " + " | ".join(cells) + " |")
    return {"elsewhere": "\n".join(rows)}


def views() -> dict[str, str]:
    """Return the generated part of docs/does-it-help.md on views of an image, as they did on validation data."""
    what = json.loads((HERE / "views" / "views.json").read_text())
    found: dict[tuple[str, str], dict[str, dict[str, float]]] = {}
    with (HERE / "views" / "views.csv").open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            own = found.setdefault((line["bed"], line["epochs"]), {}).setdefault(line["labels"], {})
            own[line["seed"]] = float(line["validation_accuracy"])
    rows = ["| bed | epochs | labels | beside each image | n | validation accuracy, % | minus single |"]
    rows.append("| --- " * 7 + "|")
    for (bed, epochs), methods in found.items():
        single = methods["single"]
        for name, own in sorted(methods.items(), key=lambda pair: (-len(pair[1]), -sum(pair[1].values()))):
            difference = mean_over_seeds([value - single[seed] for seed, value in own.items()])
            accuracy = wording.percent(mean_over_seeds(list(own.values())).mean)
            minus_single = "-" if name == "single" else points({"seeds": asdict(difference)})
            rows.append(
                f"| {bed} | {epochs} | {name} | {what.get(name, '-')} | {len(own)} | {accuracy} | {minus_single} |"
            )
    return {"views": "\n".join(rows)}


def longer() -> dict[str, str]:
    """Return the generated part of docs/does-it-help.md on longer training, as it did on validation data."""
    found: dict[str, dict[int, dict[str, float]]] = {}
    with (HERE / "longer" / "longer.csv").open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            own = found.setdefault(line["labels"], {}).setdefault(int(line["epochs"]), {})
            own[line["seed"]] = float(line["validation_accuracy"])
    single, method = found["single"], found["transformation"]

    def minus(epochs: int, others: int) -> str:
        if epochs not in method or others not in single:
            return "-"
        values = [value - single[others][seed] for seed, value in method[epochs].items()]
        return points({"seeds": asdict(mean_over_seeds(values))})

    rows = ["| epochs | single task, % | transformation, % | minus single | minus single with 3 x the epochs |"]
    rows.append("| --- " * 5 + "|")
    for epochs in single:
        cells = [
            percents(asdict(mean_over_seeds(list(own[epochs].values())))) if epochs in own else "-"
            for own in (single, method)
        ]
        rows.append("| " + " | ".join([str(epochs), *cells, minus(epochs, epochs), minus(epochs, 3 * epochs)]) + " |")
    return {"longer": "\n".join(rows)}


SEARCHES = {
    "digits-200": "digits, 200 samples",
    "digits-200-short": "the same, at most 20 epochs",
    "fashion-2000": "Fashion-MNIST, 2,000 images",
    "cifar100-10-5k": "CIFAR-100, 10 classes, 5,000 images",
}


def searches() -> dict[str, str]:
    """Return the generated part of docs/does-it-help.md on searches: what was found, and what test data says of it."""
    columns = ("data", "epochs", "seeds", "single task, %", "best on validation data")
    against = (*(f"minus {name}" for name in _REFERENCES), "minus its own controls", "minus single, same time")
    lines = ["| " + " | ".join((*columns, *against)) + " |", "| --- " * (len(columns) + len(against)) + "|"]
    said = []
    for name, title in SEARCHES.items():
        found = json.loads((HERE / "recommend" / name / "recommend.json").read_text())
        rows = {row["method"]: row for row in found["comparison"]["rows"]}
        single, own = rows["single"], next(row for row in rows.values() if row["role"] != "control")
        cells = [title, str(found["plan"]["epochs"]), str(len(single["seeds"])), percents(single["accuracy"])]
        searched = [record for record in found["search"] if record["row"] != "single"]
        best = max(searched, key=lambda record: [record[key] for key in ("epochs", "seeds", "validation_accuracy")])
        cells += [best["row"], *(points(own["differences"].get(other)) for other in _REFERENCES)]
        controls = {other: value for other, value in own["differences"].items() if other not in _REFERENCES}
        minus = {other: {"seeds": estimate} for other, estimate in found["minus"].items()}
        same_time = next((value for other, value in minus.items() if "same time" in other), None)
        controls |= {other: value for other, value in minus.items() if value is not same_time}
        cells.append("; ".join(f"{other} {points(value)}" for other, value in controls.items()) or "-")
        lines.append("| " + " | ".join([*cells, points(same_time)]) + " |")
        command = (HERE / "recommend" / name / "command.txt").read_text().strip()
        said.append(f"`{command}`\n\n> {found['verdict']}")
    return {"searches": "\n\n".join(["\n".join(lines), *said])}


def does_it_help() -> dict[str, str]:
    """Return the generated parts of docs/does-it-help.md."""
    return contests() | instead() | longer() | mechanism() | screened() | elsewhere() | views() | searches()


def filled(page: str, parts: dict[str, str]) -> str:
    """Return a page with its generated parts renewed."""
    for name, text in parts.items():
        page = re.sub(
            rf"(<!-- {name}:begin -->\n).*?(<!-- {name}:end -->)",
            lambda match, text=text: f"{match[1]}{text}\n{match[2]}",  # type: ignore[misc]
            page,
            flags=re.DOTALL,
        )
    return page


DOCS = HERE.parent / "docs"
PAGES = {
    README: sections,
    DOCS / "reproduction.md": reproduction,
    DOCS / "does-it-help.md": does_it_help,
}

if __name__ == "__main__":
    for path, parts in PAGES.items():
        path.write_text(filled(path.read_text(), parts()))
