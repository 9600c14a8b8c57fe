"""What MAXL's meta-gradient asks of the labels: is it more than the same for every sample of a class?

    python benchmarks/mechanism.py --root data --out results/leads/mechanism.csv

Trains MAXL on the contest's first bed (CIFAR-100 with 3 classes, validation data) and takes, at several ages of the
network, the derivative of the outer loss with respect to each label of 1,000 training samples, over the sub-classes of
the sample's own class and less its mean over them. Of that derivative it records:

- shared: the part of its energy that is the same for all samples of a class;
- human: the part that differs between the human sub-classes of a class, and human_shuffled: the same with those
  sub-classes shuffled among the samples of the class;
- again_batch, again_train, again_held_out: the part of what is left (a sample's own wish) that is the same whichever
  the outer samples are: eight times 100 training samples as in a meta step, four times 1,000, and 1,000 held out;
- own_later: the cosine of a sample's own wish with that at the age before.
"""

import argparse
import csv
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from metaux.labels.base import Auxiliary, Batch, MetaStep
from metaux.labels.generated import Learned
from metaux.metagradient import LookAhead, forward_mode
from metaux.runs.loading import load_once
from metaux.runs.plan import make_plan
from metaux.studies.benchmark.datasets import BEDS, found
from metaux.training.devices import computing, make_fabric
from metaux.training.learner import Learner, make_learner
from metaux.training.loader import Loader
from metaux.training.loop import fit

BED = "cifar100-3-10k"
INNER, BATCH = 1000, 100


def wishes(made: Learner, outer: Batch) -> Tensor:
    """Return minus the derivative of the outer loss with respect to each label, `[INNER, K]`."""
    assert isinstance(made.source, Learned)
    gradients = []
    for rows in torch.arange(INNER).split(BATCH):
        inner = made.batches.train.load(rows)
        labels = made.source.labels(inner)
        assert labels is not None
        look_ahead = LookAhead.from_optimizer(made.optimizer, made.network)
        step = MetaStep(made.network, inner, outer, made.primary_loss, look_ahead, forward_mode, 1.0, 0, made.average)
        label = labels.detach().requires_grad_()
        gradients.append(-torch.autograd.grad(made.source.through_look_ahead(step, Auxiliary(label)), label)[0])
    return torch.cat(gradients)


def by_class(made: Learner, wish: Tensor) -> list[Tensor]:
    """Return for each class its samples' wishes over its sub-classes, without their mean over the sub-classes."""
    primary, hierarchy = made.plan.train.primary[:INNER], made.plan.data.hierarchy
    own = []
    for class_, (offset, slots) in enumerate(zip(hierarchy.offsets.tolist(), hierarchy.slots, strict=True)):
        part = wish[primary == class_, offset : offset + slots]
        own.append(part - part.mean(1, keepdim=True))
    return own


def between(wish: Tensor, groups: Tensor) -> float:
    """Return the energy of the groups' means."""
    return float(sum((groups == g).sum() * wish[groups == g].mean(0).square().sum() for g in groups.unique()))


def cosine(first: list[Tensor], second: list[Tensor]) -> float:
    """Return the cosine of two sets of wishes, over all samples at once."""
    a, b = (torch.cat([part.flatten() for part in parts]) for parts in (first, second))
    return float(torch.nn.functional.cosine_similarity(a, b, dim=0))


def common(several: list[list[Tensor]]) -> float:
    """Return the part of the energy that several sets of wishes have in common: 0 if they are independent."""
    flat = torch.stack([torch.cat([part.flatten() for part in parts]) for parts in several])
    products = flat @ flat.T
    energy, count = products.trace(), len(flat)
    return float((products.sum() - energy) / (count - 1) / energy)


def measure(made: Learner, before: list[Tensor] | None) -> tuple[dict[str, float], list[Tensor]]:
    """Return what is recorded at this age, and each sample's own wish."""
    buffers = [*made.network.buffers(), *made.source.buffers()]
    kept = [buffer.clone() for buffer in buffers]
    made.network.train()
    found = {}
    held_out = Loader(made.plan.data.test, made.plan.preprocess, made.fabric.device)
    for name, loader, start, count, size in (
        ("batch", made.batches.train, INNER, 8, BATCH),
        ("train", made.batches.train, INNER, 4, 1000),
        ("held_out", held_out, 0, 4, 1000),
    ):
        outers = [loader.load(torch.arange(start + k * size, start + (k + 1) * size)) for k in range(count)]
        several = [by_class(made, wishes(made, outer)) for outer in outers]
        own = [[part - part.mean(0) for part in parts] for parts in several]
        found[f"again_{name}"] = common(own)
        if name == "train":
            wish, left = ([torch.stack(parts).mean(0) for parts in zip(*sets, strict=True)] for sets in (several, own))
    for buffer, value in zip(buffers, kept, strict=True):
        buffer.copy_(value)
    primary, human = made.plan.train.primary[:INNER], made.plan.train.human
    assert human is not None
    total = sum(float(part.square().sum()) for part in wish)
    groups = [human[:INNER][primary == class_] for class_ in range(len(wish))]
    mixed = [own[torch.randperm(len(own), generator=torch.Generator().manual_seed(0))] for own in groups]
    found["shared"] = sum(len(part) * float(part.mean(0).square().sum()) for part in wish) / total
    found["human"] = sum(map(between, left, groups)) / total
    found["human_shuffled"] = sum(map(between, left, mixed)) / total
    if before is not None:
        found["own_later"] = cosine(left, before)
    return found, left


def main() -> None:
    """Train, measure and write one line per seed and age."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default="data")
    parser.add_argument("--out", type=Path, default=Path("mechanism.csv"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=12)
    given = parser.parse_args()
    beds, _ = found({BED: BEDS[BED]}, given.root, "auto")
    settings = replace(beds[BED], epochs=given.epochs, evaluate_on="validation")
    ages = sorted({1, given.epochs // 3, 2 * given.epochs // 3, given.epochs - 1})
    names = ("shared", "human", "human_shuffled", "again_batch", "again_train", "again_held_out", "own_later")
    with given.out.open("w", encoding="utf-8", newline="") as file, computing(settings.threads):
        writer = csv.writer(file)
        writer.writerow(["seed", "epoch", "validation_accuracy", *names])
        for seed in range(given.seeds):
            made = make_learner(make_plan(settings, "maxl", seed, load_once(settings)), make_fabric(settings))
            own: list[list[Tensor]] = []

            def look(records: list[dict[str, float]], made: Learner = made, own: list[list[Tensor]] = own) -> None:
                if (epoch := len(records)) in ages:
                    numbers, left = measure(made, own[-1] if own else None)
                    own.append(left)
                    values = [f"{numbers[name]:.3f}" if name in numbers else "" for name in names]
                    writer.writerow([made.plan.seed, epoch, f"{records[-1]['test_accuracy']:.4f}", *values])
                    file.flush()
                    print(made.plan.seed, epoch, *values, flush=True)

            fit(made, on_epoch=look)


if __name__ == "__main__":
    main()
