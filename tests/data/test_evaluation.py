from pathlib import Path

import numpy as np
import pytest
from pictures import class_folders, picture

from metaux.data.samples import Samples
from metaux.data.sources import load, load_for_evaluation
from metaux.data.transforms import Preprocessing
from metaux.errors import InputError
from metaux.settings import Settings

RGB = Preprocessing("image", 3, (6, 6), (0.5,) * 3, (0.2,) * 3)
CLASSES = ("cat", "dog")


def evaluate(settings: Settings, data: Path) -> Samples:
    return load_for_evaluation(settings, CLASSES, RGB, str(data))[0]


@pytest.fixture
def own(tmp_path: Path) -> Settings:
    return Settings(data=str(class_folders(tmp_path / "own", {"cat": 10, "dog": 10})))


def test_a_plain_folder_is_measured_whole(own: Settings, tmp_path: Path) -> None:
    other = class_folders(tmp_path / "other", {"dog": 3, "cat": 1}, size=(9, 12), channels=1)
    found = evaluate(own, other)
    assert found.inputs[0].shape == (4, 3, 6, 6)
    assert found.primary.tolist() == [0, 1, 1, 1]


def test_of_parts_the_test_part_is_measured(own: Settings, tmp_path: Path) -> None:
    class_folders(tmp_path / "other" / "train", {"dog": 3, "cat": 3})
    class_folders(tmp_path / "other" / "test", {"dog": 2})
    found = evaluate(own, tmp_path / "other")
    assert found.primary.tolist() == [1, 1]
    assert all("/test/" in name for name in found.names)


def test_finer_labels_are_translated(own: Settings, tmp_path: Path) -> None:
    (tmp_path / "pets.csv").write_text("kind,breed\ncat,tabby\ndog,pug\ndog,boxer\n")
    other = class_folders(tmp_path / "other", {"pug": 1, "tabby": 1})
    settings = Settings(data=own.data, hierarchy=str(tmp_path / "pets.csv"))
    assert evaluate(settings, other).primary.tolist() == [1, 0]


def test_labels_outside_of_the_run_s_classes(own: Settings, tmp_path: Path) -> None:
    other = class_folders(tmp_path / "other", {"cat": 1, "owl": 1})
    with pytest.raises(InputError, match=r"among the run's classes \(cat, dog\), found 'owl' .*; rename it"):
        evaluate(own, other)


def test_inputs_of_another_kind(own: Settings, tmp_path: Path) -> None:
    np.savez(tmp_path / "table.npz", x=np.zeros((4, 5)), y=np.array(["cat", "dog"] * 2))
    with pytest.raises(InputError, match="expected images, found a table in"):
        evaluate(own, tmp_path / "table.npz")
    table = Preprocessing("table", 4, None, (0.0,) * 4, (1.0,) * 4)
    with pytest.raises(InputError, match=r"data like the run's \(tables of 4 columns\), found table inputs of shape"):
        load_for_evaluation(own, CLASSES, table, str(tmp_path / "table.npz"))
    with pytest.raises(InputError, match="found image inputs of shape"):
        load_for_evaluation(own, CLASSES, table, "digits")


def test_known_names(own: Settings) -> None:
    grey = Preprocessing("image", 1, (8, 8), (0.5,), (0.2,))
    digits, part = load_for_evaluation(own, ("even", "odd"), grey, "digits")
    assert (len(digits), part) == (1797, "all")
    assert digits.primary.bincount().tolist() == [891, 906]


def test_images_in_memory(own: Settings, tmp_path: Path) -> None:
    x = np.stack([picture(seed, (12, 12)) for seed in range(3)])
    np.savez(tmp_path / "images.npz", x=x, y=np.array(["dog", "cat", "dog"]))
    found = evaluate(own, tmp_path / "images.npz")
    assert found.inputs[0].shape == (3, 3, 6, 6)
    assert found.primary.tolist() == [1, 0, 1]


def test_of_several_columns_the_runs_own_is_measured(tmp_path: Path) -> None:
    rows = [f"{row % 7},{row % 2},{row // 2 % 2}" for row in range(40)]
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["a,label,risk_label", *rows]))
    settings = Settings(data=str(path), primary="risk_label", subclasses=(2,), epochs=1)
    data = load(settings)
    other = path.rename(tmp_path / "other.csv")
    preprocessing = Preprocessing.fit(data, "data")
    samples, _ = load_for_evaluation(settings, data.hierarchy.class_names, preprocessing, str(other))
    assert samples.primary.tolist() == [row // 2 % 2 for row in range(40)]
    other.write_text("\n".join(["a,label,risk_label", *rows, "3,1,often"]))
    with pytest.raises(InputError, match=r"expected labels among the run's classes .* found 'often'"):
        load_for_evaluation(settings, data.hierarchy.class_names, preprocessing, str(other))
    settings = Settings(data=str(path), subclasses=(2,), epochs=1)  # the first column, label
    other.write_text("\n".join(["a,label,risk_label", *rows, "3,often,1"]))
    with pytest.raises(InputError, match="found 'often'"):
        load_for_evaluation(settings, data.hierarchy.class_names, preprocessing, str(other))
