"""An ordinary PyTorch loop turned into MAXL: the README's diff, applied."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from metaux import Hierarchy, LabelGenerator, LookAhead, MultiTaskNetwork, entropy_loss, focal_loss, forward_mode

torch.manual_seed(0)
pixels, digits = (torch.as_tensor(array) for array in load_digits(return_X_y=True))
loader = DataLoader(TensorDataset(pixels.float() / 16, digits), batch_size=100, shuffle=True)


def trunk() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 128), nn.ReLU())


network = MultiTaskNetwork(trunk(), nn.Linear(128, 10), nn.Linear(128, 30))
generator = LabelGenerator(trunk(), nn.Linear(128, 30), Hierarchy([3] * 10))
generator_optimizer = torch.optim.Adam(generator.parameters())
optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
for _ in range(10):
    for x, y in loader:
        labels = generator(x, primary=y)
        primary = lambda outputs, y=y: cross_entropy(outputs.primary, y)  # noqa: E731
        both = lambda outputs, labels, primary=primary: primary(outputs) + focal_loss(outputs.auxiliary, labels)  # noqa: E731
        loss = both(network(x), labels.detach())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        meta = forward_mode(network, labels, (x,), both, (x,), primary, LookAhead(learning_rate=0.1))
        generator_optimizer.zero_grad()
        ((labels * meta.gradient).sum() + 0.2 * entropy_loss(labels)).backward()
        generator_optimizer.step()

accuracy = (network(pixels.float() / 16).primary.argmax(-1) == digits).float().mean()
print(f"accuracy {accuracy:.3f}")
