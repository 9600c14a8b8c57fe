"""The exact meta-gradient beside other ways to it: time, memory and error of one meta step.

    pip install higher==0.2.1 torchopt==0.7.3
    python benchmarks/peers.py --out results/speed/peers.csv

On equal weights and one batch of random images, as in `metaux.studies.papers.meta_step`: the generator's forward pass,
the meta-gradient, the generator's backward pass and SGD step, in float32 on one thread.

- metaux: `forward_mode`;
- metaux, double backward: `double_backward`, of the targets alone;
- as released: one backward pass into everything, as the paper's code has it;
- higher, torchopt: the look-ahead by their differentiable SGD, the generator's gradient alone by `autograd.grad`.

Each row is of a process of its own: the least CPU time of the steps after the first, since other programs may run
beside it; the peak memory beyond that of the networks and the batch; and the relative error of the generator's gradient
to double backward in float64. What is recorded is not measured again.
"""

import argparse
import csv
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from recording import peak_memory
from torch import Tensor

from metaux.files import to_csv, write_text_atomic
from metaux.losses import entropy_loss
from metaux.metagradient import double_backward, forward_mode
from metaux.studies.papers.meta_step import RATE, Bench

BACKBONES, BATCHES, STEPS = ("small-cnn", "resnet32", "vgg16"), (50, 100, 250), 3
OURS = "metaux"
VERSIONS = ("torch", "higher", "torchopt")


def learn(bench: Bench, labels: Tensor, outer_loss: Tensor) -> None:
    """Step the generator down the outer loss and the entropy, whose graphs go back to it."""
    objective = outer_loss + bench.entropy_weight * entropy_loss(labels)
    parameters = [*bench.generator.parameters()]
    for parameter, gradient in zip(parameters, torch.autograd.grad(objective, parameters), strict=True):
        parameter.grad = gradient
    bench.generator_optimizer.step()


def by_higher(bench: Bench) -> None:
    """Take the look-ahead with `higher`."""
    import higher

    labels = bench.generator(bench.images, primary=bench.classes)
    with higher.innerloop_ctx(bench.network, bench.optimizer) as (network, optimizer):
        optimizer.step(bench.inner_loss(network(bench.images), labels))
        learn(bench, labels, bench.outer_loss(network(bench.images)))


def by_torchopt(bench: Bench) -> None:
    """Take the look-ahead with `torchopt`, in the network's place, which is put back."""
    import torchopt

    labels = bench.generator(bench.images, primary=bench.classes)
    optimizer = torchopt.MetaSGD(bench.network, lr=RATE)
    before = torchopt.extract_state_dict(bench.network, by="reference")
    optimizer.step(bench.inner_loss(bench.network(bench.images), labels))
    learn(bench, labels, bench.outer_loss(bench.network(bench.images)))
    torchopt.recover_state_dict(bench.network, before)


WAYS: dict[str, Callable[[Bench], None]] = {
    OURS: partial(Bench.meta_step, method=forward_mode),
    "metaux, double backward": partial(Bench.meta_step, method=double_backward),
    "as released": Bench.released,
    "higher": by_higher,
    "torchopt": by_torchopt,
}


def gradient(bench: Bench, way: str) -> Tensor:
    """Return the generator's gradient of a step, without that of the entropy loss, `[parameters]` in float64."""
    bench.entropy_weight = 0.0
    WAYS[way](bench)
    found = [parameter.grad for parameter in bench.generator.parameters() if parameter.grad is not None]
    return torch.cat([own.double().flatten() for own in found])


def measure(backbone: str, batch: int, way: str) -> dict[str, float]:
    """Return what a step of this process costs, and how exact it is."""
    torch.set_num_threads(1)
    bench = Bench("cpu", backbone=backbone, batch=batch)
    start, seconds = peak_memory(), []
    for _ in range(STEPS):
        begin = time.process_time()
        WAYS[way](bench)
        seconds.append(time.process_time() - begin)
    peak = peak_memory() - start
    own = gradient(Bench("cpu", backbone=backbone, batch=batch), way)
    exact = gradient(Bench("cpu", torch.float64, backbone, batch), "metaux, double backward")
    return {"seconds": min(seconds[1:]), "peak_mb": peak, "error": float((own - exact).norm() / exact.norm())}


def rows(known: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield what is not known yet, the small networks first."""
    there = {(row["backbone"], int(row["batch"]), row["way"]) for row in known}
    for backbone in BACKBONES:
        for batch in BATCHES:
            for way in WAYS:
                if (backbone, batch, way) not in there:
                    words = [sys.executable, __file__, "--one", backbone, str(batch), way]
                    found = subprocess.run(words, capture_output=True, text=True)
                    if found.returncode:
                        raise SystemExit(f"{backbone}, {batch}, {way}: {found.stderr}")
                    yield {"backbone": backbone, "batch": batch, "way": way, **json.loads(found.stdout)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("results/speed/peers.csv"), help="file of the records")
    parser.add_argument("--one", nargs=3, metavar=("BACKBONE", "BATCH", "WAY"), help="measure one row in this process")
    arguments = parser.parse_args()
    if arguments.one:
        backbone, batch, way = arguments.one
        print(json.dumps(measure(backbone, int(batch), way)))
        return
    with_versions = {name: version(name) for name in VERSIONS}
    known: list[dict[str, Any]] = list(csv.DictReader(arguments.out.open())) if arguments.out.exists() else []
    for row in rows(known):
        known.append({**row, **with_versions})
        print(row, flush=True)
        write_text_atomic(arguments.out, to_csv(known))


if __name__ == "__main__":
    main()
