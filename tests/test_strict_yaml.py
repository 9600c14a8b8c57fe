"""YAML that others wrote: one meaning for each word, and refused before it grows."""

import time
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from metaux.errors import InputError
from metaux.strict_yaml import LONGEST, parse_yaml

WORDS: list[tuple[str, Any]] = [
    *(("10", 10), ("-3", -3), ("0", 0), ("1.5", 1.5), ("1.0e-05", 1e-5), ("2.", 2.0)),
    *(("true", True), ("False", False), ("null", None), ("~", None), ("", None)),
    *((word, word) for word in ("010", "0x10", "0o7", "1_000", "1:30", "1:30.5", "190:20:30", "1e5", "1.5e3", ".5")),
    *((word, word) for word in ("yes", "no", "On", "off", "y", "2020-01-01", "<<", "=", ".inf", ".nan", "nUll")),
    *((f'"{word}"', word) for word in ("10", "true", "null", "")),
]


@pytest.mark.parametrize(("word", "meaning"), WORDS)
def test_each_word_has_one_meaning(word: str, meaning: Any) -> None:
    found = (
        parse_yaml(f"{{a: [{word}], {word or 'x'}: b}}") if word not in ("", "~") else parse_yaml(f"a: {word}\nx: b")
    )
    value = found["a"][0] if isinstance(found["a"], list) else found["a"]
    assert (value, type(value)) == (meaning, type(meaning))
    assert all(isinstance(key, str) for key in found)
    assert parse_yaml(f"a: {word}", as_written=True) == {"a": word.strip('"')}


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    )
)
def test_what_yaml_wrote_comes_back(value: Any) -> None:
    assert parse_yaml(yaml.safe_dump(value, sort_keys=False)) == value


def bomb() -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    return "\n".join(lines)


@pytest.mark.parametrize("as_written", [False, True])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (bomb(), r"expected YAML without aliases, found \*a0; write out"),
        ("a: &x [*x]", "without aliases"),
        ("a: &x {b: 1}\nc: {<<: *x}", "without aliases"),
        ("[" * 2000 + "]" * 2000, "expected YAML of at most 50 levels, found more"),
        ("[" * 100_000, "at most 50 levels"),
        ("{a: " * 2000, "at most 50 levels"),
        ("- " * 2000, "at most 50 levels"),
        ("a: 1\nb: 2\na: 3", "expected each name once, found 'a' twice"),
        ("{a: {b: 1, 'b': 2}}", "found 'b' twice"),
        ("? [a, b]\n: c", "expected names as the keys of YAML, found a sequence"),
        ("a: !!python/object/apply:os.system [id]", "expected YAML without tags, found tag:yaml.org,2002:python"),
        ("a: !!bool maybe", "without tags"),
        ("a: !x y", "without tags"),
        (f"a: {'b' * LONGEST}", "at most 10,000,000 characters"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_is_refused_at_once(text: str, message: str, as_written: bool) -> None:
    start = time.process_time()
    with pytest.raises(InputError, match=message) as caught:
        parse_yaml(text, as_written)
    assert time.process_time() - start < 2
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300
