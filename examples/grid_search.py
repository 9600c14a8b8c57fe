"""scikit-learn's GridSearchCV over methods and sub-classes."""

from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV

from metaux import MetauxClassifier

X, y = load_iris(return_X_y=True)
search = GridSearchCV(
    MetauxClassifier(epochs=6, batch_size=20, random_state=0),
    [{"method": ["single"]}, {"method": ["maxl"], "subclasses": [2, 3]}],
    cv=3,
)
search.fit(X, y)
print(f"best: {search.best_params_}, accuracy {search.best_score_:.3f}")
