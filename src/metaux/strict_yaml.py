"""YAML that others wrote: each word has one meaning, and reading takes no more than the text is long.

PyYAML's safe loader runs no program, but it reads `010` as 8, `1:30` as 90 and `no` as false, keeps the last of two
equal keys, multiplies what aliases repeat, and fails on deep nesting. Here a word is a number, a truth value or null
only if every version of YAML says so, and is text otherwise; the rest is refused.
"""

import re
from typing import Any

import yaml

from metaux.errors import InputError

DEEPEST = 50
"""Levels of lists and mappings in each other."""
LONGEST = 10_000_000
"""Characters of a text."""
TEXT = "tag:yaml.org,2002:str"


def parse_yaml(text: str, as_written: bool = False) -> Any:
    """Return what a YAML text says; the keys of its mappings are text.

    Args:
        text: one YAML document.
        as_written: whether every word is text; if not, numbers, `true`, `false` and `null` are what they are.

    Raises:
        InputError: for a key that comes twice, an alias, a tag, deep nesting, or a text that is too long.
        ValueError: for a number with thousands of digits.
        yaml.YAMLError: for what isn't YAML.

    >>> parse_yaml("{a: 10, b: 010, c: 1:30, no: yes, d: true}")
    {'a': 10, 'b': '010', 'c': '1:30', 'no': 'yes', 'd': True}
    >>> parse_yaml("[10, true]", as_written=True)
    ['10', 'true']
    """
    if len(text) > LONGEST:
        raise InputError(f"expected YAML of at most {LONGEST:,} characters, found {len(text):,}; shorten it")
    return yaml.load(text, _AsWritten if as_written else _Strict)


class _AsWritten(yaml.SafeLoader):
    """A safe loader that refuses what is ambiguous or grows, and takes every word for text."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012
    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            raise InputError(f"expected YAML without aliases, found *{event.anchor}; write out what it stands for")
        if event.tag is not None:
            raise InputError(f"expected YAML without tags, found {event.tag}; leave it out")
        self.depth += 1
        if self.depth > DEEPEST:
            raise InputError(f"expected YAML of at most {DEEPEST} levels, found more; nest it less")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        names = set[str]()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise InputError(f"expected names as the keys of YAML, found a {key.id}; correct it")
            if key.value in names:
                raise InputError(f"expected each name once, found '{key.value}' twice; rename or remove one")
            names.add(key.value)
            key.tag = TEXT
        return super().construct_mapping(node, deep)


class _Strict(_AsWritten):
    """The same, with numbers, truth values and null."""


# All of these are quoted by `yaml.safe_dump` where they are text, so that what it wrote is read back as it was.
for _name, _pattern, _first in (
    ("null", "|~|null|Null|NULL", ["", *"~nN"]),
    ("bool", "true|True|TRUE|false|False|FALSE", [*"tTfF"]),
    ("int", "[-+]?(?:0|[1-9][0-9]*)", [*"-+0123456789"]),
    ("float", r"[-+]?(?:0|[1-9][0-9]*)\.[0-9]*(?:[eE][-+][0-9]+)?", [*"-+0123456789"]),
):
    _Strict.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(rf"(?:{_pattern})\Z"), _first)
