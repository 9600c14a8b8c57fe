"""A data frame with columns of categories: the classifier takes numbers, a ColumnTransformer makes them."""

import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from metaux import MetauxClassifier

random = np.random.default_rng(0)
frame = pd.DataFrame({"height": random.normal(size=120), "colour": random.choice(["red", "blue", "green"], 120)})
kind = np.where((frame["height"] > 0) ^ (frame["colour"] == "red"), "cat", "dog")

encoder = make_column_transformer(
    (OneHotEncoder(handle_unknown="ignore", sparse_output=False), make_column_selector(dtype_exclude="number")),
    remainder="passthrough",
)
classifier = make_pipeline(encoder, MetauxClassifier(method="maxl", epochs=20, batch_size=20, random_state=0))
accuracies = cross_val_score(classifier, frame, kind, cv=3)
print(f"accuracy {accuracies.mean():.3f}")
