"""Classical models as runs: what scikit-learn says by itself, kept without pickle, and named where they are better."""

import io
import json
import shutil
import zipfile
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from making import first_right, make_run
from metaux.data.samples import Samples
from metaux.data.sources import load, read_unlabelled
from metaux.data.transforms import Preprocessing
from metaux.errors import InputError
from metaux.evidence.comparison import compare_runs
from metaux.evidence.verdict import judge
from metaux.runs import numbers
from metaux.runs.classical import STRENGTHS, ClassicalModel, read_model
from metaux.runs.record import CLASSIFIER, Run
from metaux.settings import Settings
from shell import assert_refused, done, metaux

COLUMNS = 4


def rows(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return numbers whose first column says the class, with noise."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(count, COLUMNS)) * [1, 10, 100, 1] + [0, 5, 0, 0]
    return x, (x[:, 0] + 0.5 * random.normal(size=count) > 0).astype(int)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("table")
    lines = ["split,label," + ",".join(f"c{place}" for place in range(COLUMNS))]
    for part, seed in (("train", 0), ("test", 1)):
        x, y = rows(80, seed)
        lines += [
            f"{part},{['no', 'yes'][label]}," + ",".join(f"{value:.6f}" for value in own)
            for own, label in zip(x, y, strict=True)
        ]
    (folder / "table.csv").write_text("\n".join(lines), encoding="utf-8")
    return folder / "table.csv"


@pytest.fixture(scope="module")
def trained(table: Path) -> dict[str, Run]:
    found = {}
    for method in ("logistic-regression", "gradient-boosting"):
        done("train", table, "--method", method, "--out", table.parent / method)
        found[method] = Run.read(table.parent / method)
    return found


def test_a_table_gives_what_scikit_learn_gives(trained: dict[str, Run], table: Path) -> None:
    data = load(Settings(data=str(table)))
    x, y = data.train.inputs[0].double().numpy(), data.train.primary.numpy()
    grid = {"logisticregression__C": STRENGTHS["table"]}
    regression = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    expected = {
        "logistic-regression": GridSearchCV(regression, grid, scoring="neg_log_loss", cv=3),
        "gradient-boosting": HistGradientBoostingClassifier(random_state=0),
    }
    for name, classifier in expected.items():
        probabilities = classifier.fit(x, y).predict_proba(data.test.inputs[0].double().numpy())
        np.testing.assert_allclose(trained[name].output("test_probabilities"), probabilities, atol=1e-4)
        assert trained[name].accuracy == (probabilities.argmax(1) == data.test.primary.numpy()).mean()


def test_what_is_read_back_predicts_the_same_to_the_bit(trained: dict[str, Run], table: Path) -> None:
    test = load(Settings(data=str(table))).test
    for run in trained.values():
        found = read_model(run).predict(test).logits.exp()
        assert torch.equal(found, torch.from_numpy(run.output("test_probabilities")))


def test_the_command_line_takes_it_like_a_network(trained: dict[str, Run], table: Path) -> None:
    run = trained["logistic-regression"]
    assert json.loads(done("evaluate", run.folder, "--json"))["accuracy"] == pytest.approx(run.accuracy)
    (table.parent / "new.csv").write_text("c0,c1,c2,c3\n3,5,0,0\n-3,5,0,0\n", encoding="utf-8")
    lines = done("predict", run.folder, table.parent / "new.csv").splitlines()
    assert [line.split(",")[1] for line in lines[1:]] == ["yes", "no"]
    done("report", run.folder)
    for command in (
        ("labels", run.folder),
        *(("export", run.folder, "--to", to) for to in ("safetensors", "torch-export")),
    ):
        assert_refused(metaux(*command))


def assert_exported(run: Run, table: Path) -> dict[str, str]:
    """Assert that the model in ONNX gives the run's probabilities; return what the file says of itself."""
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(run.folder / "onnx" / "model.onnx")
    test = load(Settings(data=str(table))).test.inputs[0].numpy()
    [found] = session.run(None, {"table": test})
    np.testing.assert_allclose(found, run.output("test_probabilities"), atol=1e-5)
    said: dict[str, str] = session.get_modelmeta().custom_metadata_map
    return said


def test_logistic_regression_on_a_table_is_exported_to_onnx(trained: dict[str, Run], table: Path) -> None:
    pytest.importorskip("onnxruntime")
    run = trained["logistic-regression"]
    done("export", run.folder, "--to", "onnx")
    assert json.loads(assert_exported(run, table)["class_names"]) == ["no", "yes"]
    assert "no network" in (run.folder / "onnx" / "README.md").read_text(encoding="utf-8")


def test_boosted_trees_are_exported_to_onnx_or_refused(trained: dict[str, Run], table: Path) -> None:
    """Which of the two depends on the versions of scikit-learn and skl2onnx."""
    pytest.importorskip("onnxruntime")
    run = trained["gradient-boosting"]
    result = metaux("export", run.folder, "--to", "onnx")
    if result.code:
        assert_refused(result)
    else:
        assert_exported(run, table)


def test_texts_give_what_tf_idf_and_logistic_regression_give(tmp_path: Path) -> None:
    texts = [f"{word} film number{i % 7}" for i in range(40) for word in ("good fine", "bad dull")]
    lines = [
        f"{part},{text},{'pn'['bad' in text]}"
        for part, own in (("train", texts[:60]), ("test", texts[60:]))
        for text in own
    ]
    (tmp_path / "texts.csv").write_text("\n".join(["split,text,label", *lines]), encoding="utf-8")
    done("train", tmp_path / "texts.csv", "--method", "logistic-regression", "--out", tmp_path / "run")
    run = Run.read(tmp_path / "run")
    pipeline = make_pipeline(
        TfidfVectorizer(sublinear_tf=True, token_pattern=r"\w+"), LogisticRegression(max_iter=1000)
    )
    grid = {"logisticregression__C": STRENGTHS["text"]}
    labels = ["pn".index("pn"["bad" in text]) for text in texts]
    order = ["n", "p"]
    expected = GridSearchCV(pipeline, grid, scoring="neg_log_loss", cv=3).fit(
        texts[:60], [1 - label for label in labels[:60]]
    )
    assert run.result["class_names"] == order
    np.testing.assert_allclose(run.output("test_probabilities"), expected.predict_proba(texts[60:]), atol=1e-4)
    [sample] = [read_unlabelled([tmp_path / "texts.csv"], read_model(run).preprocessing)]
    assert len(read_model(run).predict(sample).logits) == 80


def test_a_file_that_holds_anything_else_is_refused(trained: dict[str, Run], tmp_path: Path) -> None:

    run = trained["logistic-regression"]
    skops = import_module("skops.io")  # takes a second, so that it is not imported while tests are collected
    for path in run.folder.iterdir():
        if path.is_file() and path.name not in ("manifest.json", CLASSIFIER):
            (tmp_path / path.name).write_bytes(path.read_bytes())
    hostile = {
        "another type": skops.dumps(LogisticRegression),
        "no archive": b"not an archive",
        "a call": _calls_system(),
        "another model": skops.dumps(DecisionTreeClassifier().fit([[0.0] * 4, [1.0] * 4], [0, 1])),
        "a tree that leads back": skops.dumps(_with_a_cycle(trained["gradient-boosting"])),
    }
    for content in hostile.values():
        (tmp_path / CLASSIFIER).write_bytes(content)
        with pytest.raises(InputError, match="classifier"):
            ClassicalModel.of(Run.read(tmp_path))


def _with_a_cycle(run: Run) -> Any:
    """Return a model in one of whose trees the second node has the first as a child."""
    classifier: Any = read_model(run)
    nodes = classifier.classifier._predictors[0][0].nodes
    nodes["left"][1], nodes["is_leaf"][1] = 0, 0
    return classifier.classifier


def test_a_model_of_other_columns_is_refused_when_it_predicts(trained: dict[str, Run], table: Path) -> None:
    skops = import_module("skops.io")
    folder = table.parent / "other-columns"
    shutil.copytree(trained["logistic-regression"].folder, folder)
    (folder / "manifest.json").unlink()
    x, y = rows(80, 0)
    (folder / CLASSIFIER).write_bytes(skops.dumps(make_pipeline(LogisticRegression()).fit(x[:, :2], y)))
    refused = metaux("evaluate", folder)
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "expected a model of logistic-regression that takes tables of 4 columns, found one that" in refused.err


def _calls_system() -> bytes:
    """Return a file whose schema names os.system as the type to make."""
    schema = {
        "__class__": "system",
        "__module__": "os",
        "__loader__": "ObjectNode",
        "__id__": 1,
        "content": None,
        "protocol": 2,
        "_skops_version": import_module("skops").__version__,
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("schema.json", json.dumps(schema))
    return buffer.getvalue()


def test_the_verdict_names_a_classical_model_that_is_better_than_all_networks(tmp_path: Path) -> None:
    methods = {"single": 0.7, "uniform": 0.7, "frozen": 0.7, "maxl": 0.75, "logistic-regression": 0.8}
    runs = []
    for method, accuracy in methods.items():
        for seed in range(3):
            correct = first_right(accuracy + 0.001 * seed * (method == "single"), 1000)
            epochs = 1 if method == "logistic-regression" else 3
            runs.append(make_run(tmp_path, method, seed, correct, epochs, settings=Settings(data="toy", epochs=3)))
    found = judge(compare_runs(runs))
    assert found.simpler == "logistic-regression"
    assert found.says.startswith("Simpler is better here: use logistic-regression (+9.9 points [")
    assert found.winners == ("maxl",)
    assert [row.name for row in compare_runs(runs).rows if row.gain] == ["maxl"]
    assert judge(compare_runs([run for run in runs if run.method != "logistic-regression"])).simpler == ""


def test_a_classical_model_that_is_as_good_as_a_network_is_not_named(tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path, method, seed, first_right(0.8 + 0.01 * seed, 1000))
        for method in ("single", "uniform", "frozen", "maxl", "gradient-boosting")
        for seed in range(3)
    ]
    assert judge(compare_runs(runs)).simpler == ""


def test_a_class_with_one_sample_is_said_to_have_no_cross_validation(tmp_path: Path) -> None:
    lines = ["split,label,c0"] + [f"train,{'rare' if row < 2 else 'often'},{row}" for row in range(12)]
    lines += [f"test,{name},{row}" for row, name in enumerate(("rare", "often"))]
    file = tmp_path / "table.csv"
    file.write_text("\n".join(lines), encoding="utf-8")
    said = done("train", file, "--train-size", 3, "--method", "logistic-regression", "--out", tmp_path / "run")
    assert "no cross-validation chose the regularisation" in " ".join(said.split())


def test_features_of_images_are_made_once_for_all_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    data, asked = load(Settings()), []

    def features(samples: Samples) -> torch.Tensor:
        asked.append(len(samples))
        return samples.inputs[0].flatten(1).float()

    monkeypatch.setattr(numbers, "pretrained_features", lambda *_: features)
    preprocessing = Preprocessing.fit(data, "data")
    some = data.train.take(torch.arange(30))
    for samples in (some, some.take(torch.arange(30)), data.train.take(torch.arange(40))):
        found = numbers.kept_numbers("of a test", preprocessing, samples, torch.device("cpu"), data.digest)
        assert found.shape == (len(samples), 64)
    assert asked == [30, 40]


def test_a_model_whose_categories_are_impossible_is_refused_when_it_predicts(
    trained: dict[str, Run], table: Path
) -> None:
    skops = import_module("skops.io")
    folder = table.parent / "impossible-categories"
    shutil.copytree(trained["gradient-boosting"].folder, folder)
    (folder / "manifest.json").unlink()
    boosting = HistGradientBoostingClassifier(random_state=0).fit(*rows(80, 0))
    boosting._bin_mapper.is_categorical_[:] = 1  # of columns that have negative numbers
    (folder / CLASSIFIER).write_bytes(skops.dumps(boosting))
    assert_refused(metaux("evaluate", folder), "expected a model of gradient-boosting that takes", "train it anew")
