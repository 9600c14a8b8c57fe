"""K-Means: clusters of each primary class, the NeurIPS version's baseline; and balanced clusters."""

from collections.abc import Callable
from typing import Any, final

import torch
from torch import Tensor

from metaux.errors import InputError
from metaux.hierarchy import Hierarchy
from metaux.labels.base import Preparation
from metaux.labels.fixed import FixedLabels
from metaux.protocols import Protocol
from metaux.rng import derive_seed
from metaux.threads import as_many_as_torch

ROUNDS = 5
SINKHORN_STEPS = 20
HALVINGS = 14  # of the entropy's weight, from the mean squared distance on


@final
class KMeans(FixedLabels):
    """Each primary class is clustered by itself, on the features the user chose.

    The NeurIPS version clusters the latent space of an autoencoder: `--features autoencoder`.

    Args:
        balanced: make clusters of nearly equal size (`balanced_clusters`).
    """

    def __init__(self, hierarchy: Hierarchy, protocol: Protocol, balanced: bool = False):
        super().__init__(hierarchy, protocol)
        self.clusters = balanced_clusters if balanced else k_means

    def assign(self, preparation: Preparation) -> Tensor:
        """Cluster with scikit-learn.

        Raises:
            InputError: if a class has fewer samples than sub-classes.
        """
        features = preparation.features(preparation.samples).to("cpu", torch.float32).numpy()
        return clusters_within(features, preparation.samples.primary, self.hierarchy, preparation.seed, self.clusters)


def balanced_clusters(features: Any, count: int, seed: int) -> Tensor:
    """Return the cluster of each sample, int64 `[m]`, from features `[m, features]`; no cluster is left almost empty.

    Assignment and centres take turns, as in k-means, from whose clusters they start; see `balanced_assignment`.

    Source: Asano, Rupprecht, Vedaldi, *Self-labelling via simultaneous clustering and representation learning* (ICLR
    2020), which alternates it with the training of the features.
    """
    x = torch.from_numpy(features).double()
    cluster = k_means(features, count, seed)
    for _ in range(ROUNDS):
        share = torch.nn.functional.one_hot(cluster, count).double()
        centres = share.T @ x / share.sum(0).clamp(min=1).unsqueeze(-1)
        cluster = balanced_assignment(torch.cdist(x, centres).square())
    return cluster


def balanced_assignment(distance: Tensor) -> Tensor:
    """Return the cluster of each sample, int64 `[m]`, of nearly equal sizes.

    Each cluster has a price, and each sample goes where the sum of distance and price is least. Sinkhorn-Knopp finds
    the prices that make all clusters equally large for an assignment with some entropy; the entropy's weight is halved
    again and again, down to almost 0. Sizes differ by a few per cent, since the number of rounds is limited.

    Args:
        distance: squared, of samples to centres, float64 `[m, count]`.

    >>> balanced_assignment(torch.tensor([[0.0, 9.0], [1.0, 7.0], [2.0, 5.0], [3.0, 4.0]]).double()).tolist()
    [0, 0, 1, 1]
    """
    price = distance.new_zeros(distance.shape[1])
    scale = distance.mean().clamp(min=torch.finfo(distance.dtype).tiny)
    for _ in range(HALVINGS):
        for _ in range(SINKHORN_STEPS):
            row = ((-distance - price) / scale).logsumexp(1, keepdim=True)
            price = scale * (-distance / scale - row).logsumexp(0)
        scale = scale / 2
    return (distance + price).argmin(-1)


def k_means(features: Any, count: int, seed: int) -> Tensor:
    """Return the cluster of each sample, int64 `[m]`, from an array or a sparse matrix `[m, features]`."""
    from sklearn.cluster import KMeans as ScikitKMeans

    with as_many_as_torch():
        return torch.from_numpy(ScikitKMeans(count, random_state=seed).fit_predict(features)).long()


def clusters_within(
    features: Any,
    primary: Tensor,
    hierarchy: Hierarchy,
    seed: int,
    clusters: Callable[[Any, int, int], Tensor] = k_means,
) -> Tensor:
    """Return the flat sub-class of each sample, int64 `[n]`: its cluster among the samples of its class.

    Args:
        features: an array or a sparse matrix, `[n, features]`.
        primary: the classes, int64 `[n]`.
        hierarchy: of the classes.
        seed: the run's.
        clusters: makes clusters: features of a class's samples, the number of clusters, and a seed.

    Raises:
        InputError: if a class has fewer samples than sub-classes.
    """
    slot = torch.zeros_like(primary)
    for class_, slots in enumerate(hierarchy.slots):
        rows = (primary == class_).nonzero().squeeze(-1)
        if len(rows) < slots:
            raise InputError(
                f"class '{hierarchy.class_names[class_]}' has {len(rows)} training samples, "
                f"too few for {slots} clusters; ask for fewer sub-classes, or leave out the methods that cluster"
            )
        slot[rows] = clusters(features[rows.numpy()], slots, derive_seed(seed, "k-means", class_))
    return hierarchy.flat(primary, slot)
