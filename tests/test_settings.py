"""The one configuration: typed, frozen, and the same after a trip through a file."""

from dataclasses import FrozenInstanceError, fields
from typing import Any, get_type_hints

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from metaux.errors import InputError
from metaux.settings import Settings, from_mapping, to_mapping
from metaux.strict_yaml import parse_yaml

HINTS = get_type_hints(Settings)


@settings(deadline=None)
@given(st.fixed_dictionaries({}, optional={name: st.from_type(hint) for name, hint in HINTS.items()}))
def test_comes_back_from_yaml_as_it_was(values: dict[str, Any]) -> None:
    try:
        settings, _ = from_mapping(values)
    except InputError:  # from_type gives infinite numbers too
        return
    text = yaml.safe_dump(to_mapping(settings), sort_keys=False)
    again, rest = from_mapping(parse_yaml(text))
    assert (again, rest) == (settings, {})


def test_is_frozen_and_has_a_default_for_everything() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings().epochs = 3  # type: ignore[misc]
    assert set(to_mapping(Settings())) == {field.name for field in fields(Settings)}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epocs": 3}, "found 'epocs'; did you mean 'epochs'?"),
        ({"zzz": 3}, "expected known settings, found 'zzz'; correct or remove it"),
        ({3: 3}, "found '3'"),
        ({"epochs": "three"}, "expected epochs to be a whole number or 'auto' or null, found 'three'"),
        ({"epochs": 3.5}, "a whole number"),
        ({"epochs": True}, "a whole number"),
        ({"threads": None}, "expected threads to be a whole number, found None"),
        ({"learning_rate": "fast"}, "expected learning_rate to be a number or null, found 'fast'"),
        ({"learning_rate": float("nan")}, "a number"),
        ({"learning_rate": "inf"}, "a number"),
        ({"augment": "flip"}, "one of 'auto', 'none', 'crop', 'crop-flip', found 'flip'"),
        ({"augment": ["none"]}, "one of 'auto'"),
        ({"subclasses": 5}, "a list, each of it a whole number"),
        ({"subclasses": ["a"]}, "a list, each of it a whole number"),
        ({"data": 5}, "expected data to be text, found 5"),
        ({"seeds": "many"}, "expected seeds to be a whole number"),
    ],
)
def test_refuses(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        from_mapping(values, {"seeds": int})
    assert message in str(caught.value)


def test_reads_numbers_as_they_were_meant() -> None:
    """YAML reads 1e-5 as text, and a decimal number may be written without its point."""
    settings, rest = from_mapping(parse_yaml("{learning_rate: 1e-5, focal_gamma: 2, seeds: 4}"), {"seeds": int})
    assert (settings.learning_rate, settings.focal_gamma, rest) == (1e-5, 2.0, {"seeds": 4})
    assert isinstance(settings.focal_gamma, float)


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("data: 010", "data", "010"),
        ("data: 2020-01-01", "data", "2020-01-01"),
        ("primary: no", "primary", "no"),
        ("auxiliary: 1:30", "auxiliary", "1:30"),
        ("epochs: 010", "epochs", 10),
        ("epochs: 1_000", "epochs", 1000),
        ("subclasses: [3, 010]", "subclasses", (3, 10)),
        ("pretrained: yes", "pretrained", True),
        ("pretrained: Off", "pretrained", False),
        ("hierarchy:", "hierarchy", None),
    ],
)
def test_words_are_read_as_what_the_setting_is(text: str, name: str, value: Any) -> None:
    assert getattr(from_mapping(parse_yaml(text))[0], name) == value


@pytest.mark.parametrize("text", ["epochs: 1:30", "epochs: 0x10", "pretrained: maybe", "data: 10", "epochs: yes"])
def test_words_of_another_kind_are_refused(text: str) -> None:
    with pytest.raises(InputError, match=f"expected {text.partition(':')[0]} to be"):
        from_mapping(parse_yaml(text))
