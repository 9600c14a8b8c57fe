"""MAXL in a LightningModule of one's own, by manual optimisation, on two processes.

DDP averages the gradients of what passes through its own forward. The meta-gradient does not pass through it. So one
function averages every gradient here, and all processes take the same step.
"""

from collections.abc import Sequence

import lightning
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from metaux import Hierarchy, LabelGenerator, LookAhead, MultiTaskNetwork, entropy_loss, focal_loss, forward_mode
from metaux.networks.multitask import Outputs


class Maxl(lightning.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False

        def trunk() -> nn.Module:
            return nn.Sequential(nn.Linear(64, 128), nn.ReLU())

        self.network = MultiTaskNetwork(trunk(), nn.Linear(128, 10), nn.Linear(128, 30))
        self.generator = LabelGenerator(trunk(), nn.Linear(128, 30), Hierarchy([3] * 10))

    def configure_optimizers(self) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
        return torch.optim.SGD(self.network.parameters(), lr=0.2), torch.optim.Adam(self.generator.parameters())

    def average(self, tensors: Sequence[Tensor], count: int) -> list[Tensor]:  # noqa: ARG002
        # All processes have batches of one size here, so that the count is none of the mean's business.
        mean = self.trainer.strategy.reduce(torch.cat([tensor.flatten() for tensor in tensors]), reduce_op="mean")
        parts = mean.split([tensor.numel() for tensor in tensors])
        return [part.view_as(tensor) for part, tensor in zip(parts, tensors, strict=True)]

    def step(self, optimizer: torch.optim.Optimizer, module: nn.Module) -> None:
        gradients = [parameter.grad for parameter in module.parameters() if parameter.grad is not None]
        for gradient, mean in zip(gradients, self.average(gradients, 1), strict=True):
            gradient.copy_(mean)
        optimizer.step()

    def training_step(self, batch: tuple[Tensor, Tensor], _index: int) -> None:
        x, y = batch
        optimizer, generator_optimizer = self.optimizers()
        optimizer.zero_grad()
        generator_optimizer.zero_grad()
        labels = self.generator(x, primary=y)

        def primary(outputs: Outputs) -> Tensor:
            return cross_entropy(outputs.primary, y)

        def both(outputs: Outputs, labels: Tensor) -> Tensor:
            assert outputs.auxiliary is not None
            return primary(outputs) + focal_loss(outputs.auxiliary, labels)

        self.manual_backward(both(self.network(x), labels.detach()))
        self.step(optimizer, self.network)
        look_ahead = LookAhead(learning_rate=0.2)
        meta = forward_mode(self.network, labels, (x,), both, (x,), primary, look_ahead, average=self.average)
        self.manual_backward((labels * meta.gradient).sum() + 0.2 * entropy_loss(labels))
        self.step(generator_optimizer, self.generator)


def main() -> None:
    lightning.seed_everything(0, verbose=False)
    x, y = (torch.as_tensor(array) for array in load_digits(return_X_y=True))
    data = TensorDataset(x.float() / 16, y)
    loader = DataLoader(data, batch_size=50, shuffle=True, drop_last=True)
    module = Maxl()
    trainer = lightning.Trainer(
        devices=2,
        accelerator="cpu",
        strategy="ddp_find_unused_parameters_true",
        max_epochs=5,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, loader)
    weights = torch.cat([parameter.detach().flatten() for parameter in module.parameters()])
    [mean] = module.average([weights.clone()], 1)
    if trainer.is_global_zero:
        accuracy = (module.network(x.float() / 16).primary.argmax(-1) == y).float().mean()
        print(f"accuracy {accuracy:.3f} on {trainer.world_size} processes; same weights: {mean.allclose(weights)}")


if __name__ == "__main__":
    main()
