"""K-Means: clusters of each primary class, the NeurIPS version's baseline."""

import numpy as np
import torch
from torch import Tensor

from metaux.errors import InputError
from metaux.labels.base import Preparation
from metaux.labels.fixed import FixedLabels
from metaux.streams import stream_seed


class KMeans(FixedLabels):
    """Each primary class is clustered by itself, on the features the user chose.

    The NeurIPS version clusters the latent space of an autoencoder: `--features autoencoder`.
    """

    def assign(self, preparation: Preparation) -> Tensor:
        """Cluster with scikit-learn.

        Raises:
            InputError: if a class has fewer samples than sub-classes.
        """
        from sklearn.cluster import KMeans as ScikitKMeans

        primary = preparation.samples.primary
        features = preparation.features(preparation.samples).cpu().numpy().astype(np.float32)
        slot = torch.zeros_like(primary)
        for class_, slots in enumerate(self.hierarchy.slots):
            rows = (primary == class_).nonzero().squeeze(-1)
            if len(rows) < slots:
                raise InputError(
                    f"class '{self.hierarchy.class_names[class_]}' has {len(rows)} training samples, "
                    f"too few for {slots} clusters; ask for fewer sub-classes"
                )
            clusters = ScikitKMeans(slots, random_state=stream_seed(preparation.seed, "k-means", class_))
            slot[rows] = torch.from_numpy(clusters.fit_predict(features[rows.numpy()])).long()
        return self.hierarchy.flat(primary, slot)
