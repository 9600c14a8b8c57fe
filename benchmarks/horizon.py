"""How far back must a gradient go, so that it says something of a sample? The horizon of `unrolled`, by its gradient.

    python benchmarks/horizon.py --root data --out results/horizon

CIFAR-100 in three classes at 16x16 pixels, 3,000 images to learn and two halves of 1,000 others for the outer loss,
which are drawn anew by each seed. A small CNN learns both tasks, with labels over eight sub-classes near uniform (small
noise). The gradient of the outer loss at the end goes back through the last 1, 5, 20 or 100 steps of the training, or
through all of them, in a short and in a long training. Shorter horizons than an epoch are measured from the same state
with one part of the epoch after another, so that each sample has a gradient. What differs within a class is looked at:

- agreement: the cosine of the gradients by the two halves; what is of the outer samples alone does not agree;
- human: which share of its energy differs between human sub-classes, and between as many random ones;
- smoothness: the cosine of a sample's gradient and the mean of its ten nearest of the class, in the network's features.

One row per seed, training and horizon is recorded (`gradients.csv`), then a figure is drawn. What is recorded is not
measured again.
"""

import argparse
import csv
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import fmean

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, cross_entropy, normalize
from unrolled_labels import CIFAR

from metaux.data.samples import Samples
from metaux.evidence.statistics import mean_over_seeds
from metaux.files import to_csv, write_text_atomic
from metaux.hierarchy import Hierarchy
from metaux.labels.fixed import over_all, own_slots
from metaux.labels.unrolled import CAP
from metaux.losses import focal_loss
from metaux.networks.backbones import make_backbone
from metaux.networks.multitask import MultiTaskNetwork, Outputs
from metaux.rng import generator
from metaux.runs.loading import load_once
from metaux.studies.benchmark.datasets import found
from metaux.trajectory import OuterBatch, Step
from metaux.unrolling import unrolled

TRAININGS = {"short": 8, "long": 40}  # epochs
HORIZONS = (1, 5, 20, 100)
WHOLE = "all"
LEARNED, OUTER, BATCH, SUBCLASSES = 3000, 1000, 100, 8
RATE, MOMENTUM, DECAY, NOISE = 0.05, 0.9, 5e-4, 0.3
NEAREST, DRAWS = 10, 5
PER_EPOCH = LEARNED // BATCH


class Study:
    """One training of a seed, and the gradients through it.

    Args:
        samples: of the data set, all of them.
        epochs: of the training.
        seed: of samples, labels, start and order.
    """

    def __init__(self, samples: Samples, epochs: int, seed: int):
        self.epochs, self.seed, self.steps = epochs, seed, epochs * PER_EPOCH
        drawn = torch.randperm(len(samples), generator=generator(seed, "samples"))
        own, *outer = drawn[: LEARNED + 2 * OUTER].split([LEARNED, OUTER, OUTER])
        images = samples.inputs[0].float() / 255
        images = (images - images[own].mean((0, 2, 3), keepdim=True)) / images[own].std((0, 2, 3), keepdim=True)
        assert samples.human is not None
        self.images, self.primary, self.human = images[own], samples.primary[own], samples.human[own]
        self.outer = [(images[half], samples.primary[half]) for half in outer]
        self.hierarchy = Hierarchy([SUBCLASSES] * (int(samples.primary.max()) + 1))
        noise = torch.randn(LEARNED, SUBCLASSES, generator=generator(seed, "labels"))
        self.labels = (NOISE * noise).softmax(-1)
        torch.manual_seed(seed)
        trunk = make_backbone("small-cnn", tuple(images.shape[1:]))
        width = trunk(images[:2]).shape[1]
        heads = nn.Linear(width, self.hierarchy.classes), nn.Linear(width, self.hierarchy.size)
        self.network = MultiTaskNetwork(trunk, *heads)
        self.optimizer = torch.optim.SGD(self.network.parameters(), RATE, MOMENTUM, weight_decay=DECAY)
        self.done = 0

    def rows(self, number: int) -> Tensor:
        """Return the samples of a step."""
        order = torch.randperm(LEARNED, generator=generator(self.seed, f"epoch {number // PER_EPOCH}"))
        start = BATCH * (number % PER_EPOCH)
        return order[start : start + BATCH]

    def rate(self, number: int) -> float:
        """Return the schedule's factor on the learning rate: an epoch of warm-up, then half a cosine."""
        return min(1.0, (number + 1) / PER_EPOCH) * (1 + math.cos(math.pi * number / self.steps)) / 2

    def step(self, rows: Tensor, number: int) -> Step:
        """Return the step of that number on the samples at these rows."""
        primary = self.primary[rows]

        def loss(outputs: Outputs, target: Tensor) -> Tensor:
            assert outputs.auxiliary is not None
            return cross_entropy(outputs.primary, primary) + focal_loss(outputs.auxiliary, target, 0.0)

        target = over_all(self.labels[rows], primary, self.hierarchy)
        return Step((self.images[rows],), target, loss, self.rate(number))

    def batches(self, half: int) -> list[OuterBatch]:
        """Return the outer batches of a half."""
        images, primary = self.outer[half]

        def loss(own: Tensor, outputs: Outputs) -> Tensor:
            return cross_entropy(outputs.primary, primary[own])

        return [((images[own],), partial(loss, own)) for own in torch.arange(OUTER).split(BATCH)]

    def train(self, until: int) -> None:
        """Train the network on, up to a step."""
        for number in range(self.done, until):
            step = self.step(self.rows(number), number)
            for group in self.optimizer.param_groups:
                group["lr"] = RATE * step.rate
            self.optimizer.zero_grad()
            step.loss(self.network(*step.inputs), step.target).backward()
            self.optimizer.step()
        for group in self.optimizer.param_groups:
            group["lr"] = RATE  # `unrolled` has the schedule's factor from the step
        self.done = until

    def gradients(self, rows: Callable[[int], Tensor], half: int) -> tuple[list[Tensor], float]:
        """Return the gradient of a half's loss at the end for the logits of the labels, from where the network is.

        Args:
            rows: the samples of each step that is left, of its number.
            half: of the outer samples.

        Returns:
            The gradient of each step that is left, `[LEARNED, SUBCLASSES]`; and how much larger the gradient for the
            parameters became than at the end.
        """
        steps = self.steps - self.done

        def step(number: int) -> Step:
            return self.step(rows(self.done + number), self.done + number)

        found = unrolled(self.network, self.optimizer, step, steps, self.batches(half), cap=CAP)
        by_step = list[Tensor]()
        for number in range(steps):
            index, gradient = rows(self.done + number), found.gradient[number]
            assert isinstance(gradient, Tensor)
            labels, own = self.labels[index], own_slots(gradient, self.primary[index], self.hierarchy)
            through = labels * (own - (labels * own).sum(-1, keepdim=True))  # the softmax that made the labels
            by_step.append(torch.zeros(LEARNED, SUBCLASSES).index_add(0, index, through))
        return by_step, max(found.norms.values()) / found.norms[steps - 1]

    def of_every_part(self, half: int) -> tuple[Tensor, float]:
        """Return the gradient through the steps that are left, taken on one part of the last epoch after another."""
        left, last = self.steps - self.done, self.steps - PER_EPOCH
        total, largest = torch.zeros(LEARNED, SUBCLASSES), 0.0
        for start in range(0, PER_EPOCH, left):

            def rows(number: int, start: int = start) -> Tensor:
                return self.rows(last + (start + number - self.done) % PER_EPOCH)

            by_step, norm = self.gradients(rows, half)
            total, largest = total + sum(by_step), max(largest, norm)
        return total, largest

    def through_every_horizon(self) -> Iterator[tuple[int | str, list[Tensor], float]]:
        """Yield the gradients by both halves for each horizon, from the longest; the network is trained on the way."""
        found = [self.gradients(self.rows, half) for half in (0, 1)]
        largest = max(norm for _, norm in found)
        yield WHOLE, [torch.stack(by_step).sum(0) for by_step, _ in found], largest
        for horizon in (horizon for horizon in HORIZONS if horizon > PER_EPOCH):
            yield horizon, [torch.stack(by_step[-horizon:]).sum(0) for by_step, _ in found], largest
        for horizon in sorted((horizon for horizon in HORIZONS if horizon <= PER_EPOCH), reverse=True):
            self.train(self.steps - horizon)
            parts = [self.of_every_part(half) for half in (0, 1)]
            yield horizon, [total for total, _ in parts], max(norm for _, norm in parts)
        self.train(self.steps)

    def measured(self, halves: Sequence[Tensor]) -> dict[str, float]:
        """Return the measures of the gradient by each half of the outer samples; of a network that is trained."""
        first, second = (half - means(half, self.primary) for half in halves)
        both, chance = first + second, generator(self.seed, "random sub-classes")
        return {
            "agreement": cosine(first, second),
            "human": share(both, self.human),
            "human_by_chance": fmean(share(both, self.shuffled(chance)) for _ in range(DRAWS)),
            "smoothness": cosine(both, self.near(both)),
        }

    def shuffled(self, chance: torch.Generator) -> Tensor:
        """Return the human sub-classes in another order within each class."""
        mixed = self.human.clone()
        for class_ in range(self.hierarchy.classes):
            rows = (self.primary == class_).nonzero().squeeze(-1)
            mixed[rows] = self.human[rows[torch.randperm(len(rows), generator=chance)]]
        return mixed

    @torch.no_grad()
    def near(self, values: Tensor) -> Tensor:
        """Return the mean value of the nearest samples of each one's class, by the cosine of the network's features."""
        features = normalize(torch.cat([self.network(part).features for part in self.images.split(BATCH)]))
        alike = (features @ features.T).masked_fill(self.primary[:, None] != self.primary, -torch.inf)
        return values[alike.fill_diagonal_(-torch.inf).topk(NEAREST).indices].mean(1)

    @torch.no_grad()
    def accuracy(self) -> float:
        """Return the accuracy on all outer samples, in training mode as their loss is."""
        right = [
            self.network(images[own]).primary.argmax(-1) == primary[own]
            for images, primary in self.outer
            for own in torch.arange(OUTER).split(BATCH)
        ]
        return float(torch.cat(right).float().mean())


def cifar(root: str) -> Samples:
    """Return the training samples of CIFAR-100 in three classes, with its own classes as human sub-classes."""
    there, lost = found({"cifar100": replace(CIFAR, auxiliary="100", subclasses=None)}, root, "cpu")
    if lost:
        raise SystemExit("; ".join(lost))
    return load_once(there["cifar100"]).train


def means(values: Tensor, kind: Tensor) -> Tensor:
    """Return for each sample the mean of the values over the samples of its kind, of values `[n, ...]`."""
    total = torch.zeros(int(kind.max()) + 1, values.shape[1]).index_add(0, kind, values)
    return (total / kind.bincount().clamp(min=1).unsqueeze(-1))[kind]


def share(values: Tensor, kind: Tensor) -> float:
    """Return the share of the values' energy that differs between kinds of samples."""
    return float(means(values, kind).square().sum() / values.square().sum())


def cosine(first: Tensor, second: Tensor) -> float:
    """Return the cosine of two gradients."""
    return float(cosine_similarity(first.flatten(), second.flatten(), 0))


def draw(rows: Sequence[Mapping[str, str]], path: Path) -> None:
    """Draw the measures by horizon, with intervals over the seeds."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.6), layout="constrained")
    names = ("agreement", "human", "smoothness")
    titles = ("two halves of outer samples agree", "energy between human sub-classes", "like the nearest samples")
    for axes, name, title in zip(figure.subplots(1, 3), names, titles, strict=True):
        for training, color in zip(TRAININGS, ("C0", "C1"), strict=True):
            for measure, style in ((name, "-"), *([("human_by_chance", ":")] if name == "human" else [])):
                own = [
                    mean_over_seeds(
                        [
                            float(row[measure])
                            for row in rows
                            if row["training"] == training and row["horizon"] == str(horizon)
                        ]
                    )
                    for horizon in (*HORIZONS, WHOLE)
                ]
                label = f"{training} ({TRAININGS[training]} epochs){', by chance' if style == ':' else ''}"
                low, high = ([getattr(e, side) for e in own] for side in ("low", "high"))
                line = axes.plot(range(len(own)), [e.mean for e in own], style, color=color, marker="o", label=label)
                if None not in low and style == "-":
                    axes.fill_between(range(len(own)), low, high, color=line[0].get_color(), alpha=0.15)
        axes.set_xticks(range(len(HORIZONS) + 1), [*map(str, HORIZONS), WHOLE])
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("horizon, steps")
        axes.axhline(0, color="0.7", linewidth=0.8, zorder=0)
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default="data", help="folder of the data sets (default: data)")
    parser.add_argument("--seeds", type=int, default=5, help="how many (default: 5)")
    parser.add_argument("--trainings", nargs="+", choices=TRAININGS, default=[*TRAININGS], help="default: both")
    parser.add_argument("--out", type=Path, default=Path("results/horizon"), help="folder of the record")
    options = parser.parse_args()
    torch.set_num_threads(1)
    samples = cifar(options.root)
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "gradients.csv"
    rows = [*csv.DictReader(path.open(encoding="utf-8"))] if path.exists() else []
    for training, seed in ((training, seed) for training in options.trainings for seed in range(options.seeds)):
        if any(row["training"] == training and row["seed"] == str(seed) for row in rows):
            continue
        study = Study(samples, TRAININGS[training], seed)
        gradients = [*study.through_every_horizon()]
        accuracy = study.accuracy()
        for horizon, halves, largest in gradients:
            values = study.measured(halves) | {"largest_norm": largest, "accuracy": accuracy}
            row = {"training": training, "seed": str(seed), "horizon": str(horizon)}
            rows.append(row | {name: f"{value:.4f}" for name, value in values.items()})
            print(rows[-1], flush=True)
        write_text_atomic(path, to_csv(rows))
    draw(rows, options.out / "horizon.png")


if __name__ == "__main__":
    main()
