"""Optuna looks for the learning rates; give it validation data, never the test set."""

import optuna
from sklearn.datasets import load_iris
from sklearn.model_selection import cross_val_score

from metaux import MetauxClassifier

X, y = load_iris(return_X_y=True)


def objective(trial: optuna.Trial) -> float:
    classifier = MetauxClassifier(
        method="maxl",
        epochs=6,
        batch_size=20,
        learning_rate=trial.suggest_float("learning_rate", 1e-3, 0.2, log=True),
        generator_learning_rate=trial.suggest_float("generator_learning_rate", 1e-4, 1e-2, log=True),
        random_state=0,
    )
    return float(cross_val_score(classifier, X, y, cv=3).mean())


optuna.logging.set_verbosity(optuna.logging.WARNING)
study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0))
study.optimize(objective, n_trials=5)
print(f"best: {study.best_params}, accuracy {study.best_value:.3f}")
