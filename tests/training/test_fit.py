"""The loop: what a seed means, stopping and going on, what the test set may not do, and what is left untouched."""

import multiprocessing
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from metaux.data.samples import Samples
from metaux.errors import InputError, TrainingError
from metaux.hierarchy import Hierarchy
from metaux.labels.base import Auxiliary, Batch, SubclassSource
from metaux.labels.sources import SOURCES
from metaux.losses import mask_softmax
from metaux.protocols import Protocol
from metaux.training.batches import Loader, shuffled
from metaux.training.devices import computing
from metaux.training.fabric import Fabric
from metaux.training.fit import Trainer
from small import digits, plan, trainer


def same_weights(first: Trainer, second: Trainer) -> bool:
    ours, theirs = first.network.state_dict(), second.network.state_dict()
    return all(ours[name].equal(theirs[name]) for name in ours)


class TestSeed:
    def test_another_seed_changes_the_weights(self) -> None:
        first, second = (trainer(SOURCES["single"], epochs=1, seed=seed) for seed in (0, 1))
        assert not same_weights(first, second)

    def test_batches_do_not_depend_on_the_method(self) -> None:
        """MAXL draws many more numbers; the batches and their augmentation stay those of single task."""

        def seen(method: str) -> list[Tensor]:
            made = trainer(SOURCES[method], epochs=1)
            images: list[Tensor] = []
            original = made._train

            def train(batch: Any) -> Tensor:
                images.append(batch.inputs[0])
                return original(batch)

            made._train = train  # type: ignore[method-assign]
            made.fit()
            return images

        single, maxl = seen("single"), seen("maxl")
        assert len(single) == len(maxl) == 8
        assert all(a.equal(b) for a, b in zip(single, maxl, strict=True))

    def test_permuting_the_test_set_changes_no_weight(self) -> None:
        data = digits()
        permuted = replace(data, test=replace(data.test, primary=data.test.primary.flip(0)))
        first, second = (trainer(SOURCES["maxl"], epochs=1, data=d) for d in (data, permuted))
        records = [made.fit().records for made in (first, second)]
        assert same_weights(first, second)
        assert records[0][0]["test_accuracy"] != records[1][0]["test_accuracy"]

    @pytest.mark.parametrize("method", ["single", "maxl"])
    def test_measuring_changes_no_weight(self, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
        measured = trainer(SOURCES[method])
        measured.fit()
        monkeypatch.setattr(Trainer, "_measure", lambda self, epoch: {"test_accuracy": 0.0})
        blind = trainer(SOURCES[method])
        while len(blind.records) < 2:
            blind._epoch(len(blind.records))
        assert same_weights(measured, blind)


class TestMetaStep:
    @pytest.mark.parametrize("protocol", ["tuned", "iclr", "neurips"])
    def test_leaves_the_network_as_it_was(self, protocol: str) -> None:
        made = trainer(SOURCES["maxl"], protocol)
        made.network.train()
        before = {name: value.clone() for name, value in made.network.state_dict().items()}
        random_state = torch.get_rng_state()
        made._meta(made._orders(0), 0, 0, 1.0)
        assert all(before[name].equal(value) for name, value in made.network.state_dict().items())
        assert all(parameter.grad is None for parameter in made.network.parameters())
        assert torch.get_rng_state().equal(random_state)

    def test_order_of_steps_is_the_protocols(self) -> None:
        kinds = {
            protocol: "".join(kind[0] for kind, _ in trainer(SOURCES["maxl"], protocol)._sequence(3))
            for protocol in ("iclr", "neurips", "tuned")
        }
        assert kinds == {"iclr": "tmtmtm", "neurips": "tttmmm", "tuned": "tmtmtm"}

    @pytest.mark.parametrize(
        ("protocol", "inner_is_training_batch", "same"), [("iclr", False, True), ("tuned", True, False)]
    )
    def test_batches_of_the_look_ahead(self, protocol: str, inner_is_training_batch: bool, same: bool) -> None:
        made = trainer(SOURCES["maxl"], protocol)
        steps: list[Any] = []
        made.source.meta_step = steps.append
        orders = made._orders(0)
        made._meta(orders, 0, 1, 1.0)
        [step] = steps
        training = made.loader.augmented(orders["train"][1], "train", 0, 1)
        assert step.inner.inputs[0].equal(training.inputs[0]) is inner_is_training_batch
        assert (step.outer is step.inner) is same
        if not same:  # the outer batch is the one that the next training step will see, augmentation and all
            following = made.loader.augmented(orders["train"][2], "train", 0, 2)
            assert step.outer.inputs[0].equal(following.inputs[0])


class TestGoingOn:
    @pytest.mark.parametrize("method", ["maxl", "vector", "random", "given", "prototypical"])
    def test_an_interrupted_run_ends_in_the_same_bits(self, method: str, tmp_path: Path) -> None:
        whole = trainer(SOURCES[method], epochs=3)
        expected = whole.fit()

        def interrupt(records: list[Any]) -> None:
            if len(records) == 2:
                raise KeyboardInterrupt

        stopped = trainer(SOURCES[method], epochs=3, checkpoint=tmp_path / "checkpoint.pt")
        with pytest.raises(KeyboardInterrupt):
            stopped.fit(interrupt)
        goes_on = trainer(SOURCES[method], epochs=3, checkpoint=tmp_path / "checkpoint.pt")
        found = goes_on.fit()
        assert same_weights(whole, goes_on)
        assert found.test_correct.equal(expected.test_correct)
        times = ("seconds",)
        assert [{k: v for k, v in r.items() if k not in times} for r in found.records] == [
            {k: v for k, v in r.items() if k not in times} for r in expected.records
        ]

    @pytest.mark.parametrize(
        ("method", "work"), [("kmeans", "assign"), ("distilled", "distribute"), ("self-distilled", "_opinions")]
    )
    def test_what_was_learned_before_the_training_is_not_learned_again(
        self, method: str, work: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        begun = trainer(SOURCES[method], epochs=2, checkpoint=tmp_path / "checkpoint.pt")
        begun._epoch(0)
        begun._save()
        monkeypatch.delattr(next(kind for kind in type(begun.source).__mro__ if work in vars(kind)), work)
        goes_on = trainer(SOURCES[method], epochs=2, checkpoint=tmp_path / "checkpoint.pt")
        assert goes_on.preparation > 0.99 * begun.preparation > 0
        goes_on.fit()
        begun._epoch(1)
        assert same_weights(begun, goes_on)

    def test_a_killed_run_goes_on(self, tmp_path: Path) -> None:
        checkpoint = tmp_path / "checkpoint.pt"
        process = multiprocessing.get_context("spawn").Process(target=_train_and_die, args=(checkpoint,))
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        whole, goes_on = trainer(SOURCES["maxl"]), trainer(SOURCES["maxl"], checkpoint=checkpoint)
        whole.fit()
        goes_on.fit()
        assert len(goes_on.records) == 2
        assert same_weights(whole, goes_on)
        assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]

    @pytest.mark.parametrize("content", [b"", b"PK\x03\x04 nonsense"])
    def test_refuses_a_damaged_checkpoint(self, content: bytes, tmp_path: Path) -> None:
        checkpoint = tmp_path / "checkpoint.pt"
        checkpoint.write_bytes(content)
        with pytest.raises(InputError, match="expected this run's checkpoint"):
            trainer(SOURCES["single"], checkpoint=checkpoint).fit()

    def test_a_pickle_with_code_is_never_run(self, tmp_path: Path) -> None:
        class Bomb:
            def __reduce__(self) -> Any:
                return (os.mkdir, (str(tmp_path / "exploded"),))

        torch.save({"network": Bomb()}, tmp_path / "checkpoint.pt")
        with pytest.raises(InputError, match="expected this run's checkpoint"):
            trainer(SOURCES["single"], checkpoint=tmp_path / "checkpoint.pt").fit()
        assert not (tmp_path / "exploded").exists()


def _train_and_die(checkpoint: Path) -> None:
    torch.set_num_threads(1)
    trainer(SOURCES["maxl"], checkpoint=checkpoint).fit(lambda _: os.kill(os.getpid(), signal.SIGKILL))


def test_a_loss_that_is_no_longer_finite_stops_the_run(tmp_path: Path) -> None:
    made = trainer(SOURCES["uniform"], learning_rate=1e6, epochs=30, checkpoint=tmp_path / "checkpoint.pt")
    with pytest.raises(TrainingError, match=r"training loss became (nan|inf) in epoch \d+; .*smaller learning rate"):
        made.fit()


def test_reported_correctness_is_the_mean_of_the_last_epochs() -> None:
    fitted = trainer(SOURCES["single"], "neurips", epochs=6).fit()
    last = [record["test_accuracy"] for record in fitted.records[-5:]]
    assert float(fitted.test_correct.mean()) == pytest.approx(sum(last) / 5)


def test_balanced_class_weights() -> None:
    train = digits().train
    few = train.take(torch.cat([(train.primary == 0).nonzero()[:10, 0], (train.primary == 1).nonzero()[:40, 0]]))
    made = trainer(SOURCES["single"], train=few, balanced=True, focal_gamma=0.0)
    batch = made.loader.load(torch.arange(50))
    logits = torch.zeros(50, 2)
    each = [made.primary_loss(logits[:1], made.loader.load(torch.tensor([row]))) for row in (0, 49)]
    assert float(each[0] / each[1]) == pytest.approx(4)
    assert float(made.primary_loss(logits, batch)) == pytest.approx(torch.log(torch.tensor(2.0)).item())


def test_a_batch_of_one_sample_is_for_networks_that_can_learn_from_one() -> None:
    def batch_norm() -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.BatchNorm1d(4))

    odd = digits().train.take(torch.arange(51))
    for changes in ({"batch_size": 1}, {"batch_size": 2, "train": odd}):
        with pytest.raises(InputError, match=r"two samples or more .* found one of 1 .*; give a larger batch size"):
            trainer(SOURCES["single"], trunk=batch_norm, **changes)
        trainer(SOURCES["single"], **changes)
    trainer(SOURCES["single"], trunk=batch_norm, batch_size=2)


class TestBatches:
    def test_every_sample_once_and_no_tiny_batch(self) -> None:
        for count in (1, 2, 99, 100, 101, 150, 1437):
            rows = shuffled(count, 100, 0, "order", 0)
            assert torch.cat(rows).sort().values.equal(torch.arange(count))
            assert min(map(len, rows)) >= min(count, 50)

    def test_index_survives_the_shuffle(self) -> None:
        data = digits()
        loader = Loader(data.train, lambda inputs: inputs, None, 0, torch.device("cpu"))
        rows = torch.tensor([5, 3, 199])
        batch = loader.augmented(rows, "train", 0)
        assert batch.index.equal(rows)
        assert batch.inputs[0].equal(data.train.inputs[0][rows])

    def test_processes_share_a_batch(self) -> None:
        data, rows = digits(), torch.arange(7)
        shares = [
            Loader(data.train, lambda inputs: inputs, None, 0, torch.device("cpu"), (rank, 2)).augmented(rows, "train")
            for rank in range(2)
        ]
        assert torch.cat([share.index for share in shares]).sort().values.equal(rows)


def test_few_training_samples_are_measured_less_often(tmp_path: Path) -> None:
    """With ten test samples for each that is trained on, after every second epoch; the reported ones always."""
    made = trainer(SOURCES["single"], epochs=5, train=digits().train.take(torch.arange(10)), reported_epochs=1)
    fitted = made.fit()
    assert [record["epoch"] for record in fitted.records if "test_accuracy" in record] == [2, 4, 5]
    whole = trainer(SOURCES["single"], epochs=1).fit()
    assert "test_accuracy" in whole.records[0]


@pytest.mark.parametrize("name", ["single", "frozen", "maxl", "vector"])
@pytest.mark.parametrize("all_of_it", [False, True])
def test_layers_that_do_not_learn(name: str, all_of_it: bool) -> None:
    """Some of the trunk, as users freeze them, or all of it: a linear probe."""

    def partly_frozen() -> nn.Module:
        trunk = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU())
        (trunk if all_of_it else trunk[1]).requires_grad_(False)
        return trunk

    fitted = trainer(SOURCES[name], trunk=partly_frozen, epochs=2).fit()
    assert [record["epoch"] for record in fitted.records] == [1, 2]


def test_measuring_on_the_way_changes_nothing() -> None:
    made = [
        Trainer(plan(SOURCES["maxl"], epochs=3), Fabric(accelerator="cpu", devices=1), None, on) for on in (True, False)
    ]
    curve, end = (trainer.fit() for trainer in made)
    assert [sorted(record) for record in end.records[:2]] == 2 * [sorted(PLAIN)]
    assert end.records[2] == {**curve.records[2], "seconds": end.records[2]["seconds"]}
    assert end.test_logits.equal(curve.test_logits)


class Brighter(SubclassSource):
    """Labels by whether a sample is brighter than those before it, by a scale that could be learned."""

    before: Tensor

    def __init__(self, hierarchy: Hierarchy, protocol: Protocol) -> None:
        super().__init__(hierarchy, protocol)
        self.register_buffer("before", torch.zeros(()))
        self.scale = nn.Parameter(torch.tensor(20.0))

    def target(self, batch: Batch) -> Tensor:
        brightness = batch.inputs[0].flatten(1).mean(1)
        if self.training:
            self.before.mul_(0.5).add_(0.5 * brightness.mean())
        logits = torch.zeros(len(brightness), self.hierarchy.size)
        logits[:, ::2] = (self.scale * (brightness - self.before)).unsqueeze(1)
        return mask_softmax(logits, self.hierarchy.mask(batch.primary))

    def auxiliary(self, batch: Batch) -> Auxiliary:
        return Auxiliary(self.target(batch).detach())

    def labels(self, batch: Batch) -> Tensor:
        return self.target(batch)


def test_measuring_leaves_what_a_source_keeps_in_buffers_of_its_own() -> None:
    found = []
    for curve in (True, False):
        made = Trainer(plan(Brighter, epochs=3), Fabric(accelerator="cpu", devices=1), None, curve)
        fitted = made.fit()
        assert fitted.labels is not None
        assert not fitted.labels.requires_grad
        found.append([made.source.before, *made.network.parameters()])
    assert all(on.equal(off) for on, off in zip(*found, strict=True))


PLAIN = ("epoch", "seconds", "learning_rate", "train_loss", "train_accuracy")


def test_a_run_does_not_go_on_with_other_data(tmp_path: Path) -> None:
    trainer(SOURCES["single"], epochs=1, checkpoint=tmp_path / "checkpoint.pt").fit()
    data = digits()
    changed = replace(data, train=replace(data.train, inputs=(255 - data.train.inputs[0],)))
    with pytest.raises(InputError, match=r"expected the data that the run in .* began with, found that it has changed"):
        trainer(SOURCES["single"], data=changed, checkpoint=tmp_path / "checkpoint.pt").fit()


def test_too_little_memory_is_told_in_a_line() -> None:
    with pytest.raises(TrainingError, match="too little memory; use a smaller batch size"), computing(1):
        torch.empty(2**55)
    with pytest.raises(RuntimeError, match="shape"), computing(1):
        torch.zeros(2).view(3)


def test_any_tensors_have_a_digest() -> None:
    base = torch.arange(24).view(4, 6)
    variants = [
        base,
        base.float(),
        base[:, ::2],
        base.half(),
        base.bool(),
        base.to(torch.bfloat16),
        base.int(),
        base[:0],
    ]
    data = [replace(digits(), train=Samples((x,), torch.zeros(len(x), dtype=torch.int64))) for x in variants]
    assert len({own.digest for own in data}) == len(variants)
    assert data[0].digest == replace(data[0], notices=("read otherwise",)).digest
