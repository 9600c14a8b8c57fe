"""Leaves: clusters of samples that fall into the same leaves of trees that never saw them, for tables."""

from typing import final

import numpy as np
import torch
from torch import Tensor

from metaux.labels.base import Preparation
from metaux.labels.fixed import SoftLabels
from metaux.labels.kmeans import clusters_within
from metaux.labels.matching import cross_fitted
from metaux.rng import derive_seed

FOLDS = 5
TREES = 100
LEAVES = 32  # per tree, at most: in small ones, two samples hardly ever meet


@final
class Leaves(SoftLabels):
    """Each class is clustered by the leaves of a random forest that predicts the classes without the sample.

    A forest of 100 trees is fitted to the classes of four fifths of the training samples. Its leaves are features
    (one-hot leaf indices): the squared distance of two samples counts the trees that separate them. Each class is
    clustered by k-means on these features. Only the clusters of the samples that the forest has not seen are used;
    `cross_fitted` matches the clusters of the five forests.

    The forest takes what `--features` makes; of a table, its columns.
    """

    def distribute(self, preparation: Preparation) -> Tensor:
        """Fit the forests, and return the clusters of the samples that each has not seen, one-hot `[n, K]`.

        Raises:
            InputError: if a class has fewer samples than sub-classes.
        """
        from sklearn.ensemble import RandomForestClassifier
        from sklearn.preprocessing import OneHotEncoder

        primary, seed = preparation.samples.primary, preparation.seed
        features = preparation.features(preparation.samples).to("cpu", torch.float32).numpy()

        def label(rows: Tensor) -> Tensor:
            forest = RandomForestClassifier(TREES, max_leaf_nodes=LEAVES, random_state=derive_seed(seed, "forest"))
            forest.fit(features[rows.numpy()], primary[rows].numpy())
            leaves = OneHotEncoder(dtype=np.float32).fit_transform(forest.apply(features))
            subclass = clusters_within(leaves, primary, self.hierarchy, seed)
            return torch.nn.functional.one_hot(subclass, self.hierarchy.size).float()

        return cross_fitted(primary, FOLDS, self.hierarchy, seed, label)
