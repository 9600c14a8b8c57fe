"""Changed copies of valid files, near enough to them that a reader gets behind its first check.

Half of the changes are blind: bits, bytes, cuts, and splices of two files. The others know the form of a file: a word
of a text, a value of a JSON file, the header of an array or of tensors, a member of an archive, whose checksums are
made anew.
"""

import io
import json
import re
import struct
import zipfile
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

WORDS = (
    *(b"NaN", b"nan", b"inf", b"-Infinity", b"1e999", b"-1e999", b"1e-400", b"-0", b"-0.0", b"0", b"-1", b"1", b"2"),
    *(b"255", b"65536", b"2147483648", b"4294967296", b"9223372036854775808", b"-9223372036854775809", b"9" * 5000),
    *(b"null", b"~", b"true", b"no", b"010", b"0x10", b"1:30", b"1_000", b"2026-01-01", b"'", b'"', b"", b" ", b","),
    *(b"[", b"]", b"{", b"}", b"[]", b"{}", b"[" * 2000, b"{a: " * 200, b"[" * 100_000, b"&a [*a]", b"*a", b"<<: *a"),
    *(b"!!python/object/apply:os.system [x]", b"!!binary aGk=", b"---", b"...", b"%YAML 9.9", b"|", b">", b"? ", b": "),
    *(b"\0", b"\x1b[2J", b"\x07", b"\x85", b"\r", b"\n", b"\t", b"\xef\xbb\xbf", b"\xff\xfe", b"\xed\xa0\x80", b"\xff"),
    *(b"\\ud800", b"\\u0000", "\u2028".encode(), "\u202e".encode(), "a\u0301".encode(), "\U0001f40d".encode()),
    *(b"../../x", b"/dev/zero", b"/etc/passwd", b"C:\\x", b"=1+1", b"a" * 10_000, b"%s%n", b"__class__", b"sep=;\n"),
    *(b"file", b"text", b"label", b"split", b"group", b"test", b"hf:a/b"),
)
"""What readers take for something else, or forget."""
ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 3, 2**31, 2**63, 2**64, -(2**63), 10**30, 10**400, 0.5, -0.0, 1e300, 1e-300),
    *(float("nan"), float("inf"), "", "a", "1", "\0", "\ud800", "\x1b[2J", "../../x", "a" * 10_000, "image", "text"),
    *(
        [],
        [[]],
        [None],
        [0],
        [-1],
        [2**40],
        ["a", "a"],
        [1.5],
        {},
        {"a": 1},
        [[[[1]]]],
        "F64",
        "I64",
        "BOOL",
        "BF16",
        "int64",
    ),
)
"""Values of JSON."""
_WORD = re.compile(rb"[\w.+-]+")
_SHAPE = re.compile(rb"'shape': \([^)]*\)|'descr': [^,]+,|'fortran_order': \w+")
_HEADERS = tuple(
    f"'shape': {shape}".encode()
    for shape in ("()", "(0,)", "(-1,)", "(1,)", "(2, 0)", "(10**30,)", f"({2**62},)", f"({2**40}, {2**40})", "(3.5,)")
) + tuple(
    f"'descr': {kind},".encode()
    for kind in ("'|O'", "'<U1'", "'<U0'", "'<M8[D]'", "'<c16'", "'>f2'", "'|V0'", "[('a', '<f8')]", "'<f16'", "5", "")
)

_NUMBERS = (
    *(struct.pack("<d", number) for number in (float("nan"), float("inf"), 1e308, -1e308, 1e-320, -0.0, 0.5, 7.0)),
    *(struct.pack("<f", number) for number in (float("nan"), float("-inf"), 3e38, 1e-45, -1.0, 2.0)),
    *(struct.pack("<q", number) for number in (-1, 1, 7, 10**6, 2**31, 2**62, 2**63 - 1, -(2**63))),
)


def mutate(name: str, content: bytes, others: Sequence[bytes], random: Random) -> bytes:
    """Return a changed copy of a file.

    Args:
        name: of the file, whose suffix says what form it has.
        content: of the file.
        others: other files of this form, to splice with.
        random: what decides.
    """
    informed = _INFORMED.get(name[name.rfind(".") :], _word)
    for _ in range(random.choice((1, 1, 1, 1, 2, 4))):
        change = random.choice(_BLIND) if random.random() < 0.5 else informed
        try:
            content = change(content, others, random)
        except Exception:  # an earlier change has broken the form: whatever reads it here may fail
            content = _bits(content, others, random)
    return content


Change = Callable[[bytes, Sequence[bytes], Random], bytes]


def _place(content: bytes, random: Random) -> int:
    """Return a place, near the beginning as often as anywhere: that is where headers are."""
    return random.randrange(1 + (len(content) if random.random() < 0.5 else min(len(content), 200)))


def _bits(content: bytes, _: Sequence[bytes], random: Random) -> bytes:
    changed = bytearray(content)
    for _time in range(random.choice((1, 1, 2, 8))):
        if changed:
            changed[min(_place(content, random), len(changed) - 1)] ^= 1 << random.randrange(8)
    return bytes(changed)


def _insertion(content: bytes, _: Sequence[bytes], random: Random) -> bytes:
    place = _place(content, random)
    return content[:place] + random.randbytes(random.choice((1, 2, 4, 8, 100))) + content[place:]


def _deletion(content: bytes, _: Sequence[bytes], random: Random) -> bytes:
    place = _place(content, random)
    return content[:place] + content[place + random.choice((1, 2, 4, 8, 100)) :]


def _repetition(content: bytes, _: Sequence[bytes], random: Random) -> bytes:
    start = _place(content, random)
    part = content[start : start + random.choice((1, 8, 64, 500))]
    return content[:start] + part * random.choice((2, 3, 20)) + content[start:]


def _cut(content: bytes, _: Sequence[bytes], random: Random) -> bytes:
    return content[: _place(content, random)]


def _splice(content: bytes, others: Sequence[bytes], random: Random) -> bytes:
    other = random.choice([*others, content])
    return content[: _place(content, random)] + other[_place(other, random) :]


def _token(content: bytes, _: Sequence[bytes], random: Random) -> bytes:
    place = _place(content, random)
    return content[:place] + random.choice(WORDS) + content[place:]


def _word(content: bytes, others: Sequence[bytes], random: Random) -> bytes:
    """Put another word in the place of one: of the list, of the text, of another file; or exchange two lines."""
    if random.random() < 0.2:
        lines = content.splitlines(keepends=True)
        first, second = random.randrange(len(lines)), random.randrange(len(lines))
        lines[first], lines[second] = lines[second], random.choice((lines[first], lines[second], b""))
        return b"".join(lines)
    found = random.choice([*_WORD.finditer(content)])
    other: bytes = random.choice([*_WORD.findall(random.choice([content, *others])), *WORDS])
    return content[: found.start()] + other + content[found.end() :]


def _json(content: bytes, _: Sequence[bytes], random: Random) -> bytes:
    """Put another value in the place of one, or leave out, rename or repeat a key."""
    return json.dumps(_with_other(json.loads(content), random)).encode(errors="replace")


def _jsonl(content: bytes, others: Sequence[bytes], random: Random) -> bytes:
    lines = content.splitlines()
    place = random.randrange(len(lines))
    lines[place] = _json(lines[place], others, random)
    return b"\n".join(lines) + b"\n"


def _with_other(value: Any, random: Random) -> Any:
    """Return a copy of a value of JSON in which one part, drawn from above, is another."""
    if isinstance(value, str) and value.startswith("{") and random.random() < 0.8:
        return json.dumps(_with_other(json.loads(value), random))
    if not value or not isinstance(value, list | dict) or random.random() < 0.1:
        if isinstance(value, int | float) and random.random() < 0.3:
            return random.choice((value + 1, -value, str(value), [value], float(value)))
        return random.choice(ODD)
    if isinstance(value, list):
        place = random.randrange(len(value))
        return random.choice(
            [
                [*value[:place], _with_other(value[place], random), *value[place + 1 :]],
                [*value[:place], *value[place + 1 :]] if random.random() < 0.3 else value + value[place:],
            ][: random.choice((1, 1, 1, 2))]
        )
    name = random.choice([*value])
    changed = {**value, name: _with_other(value[name], random)}
    if random.random() < 0.1:
        changed.pop(name)
    if random.random() < 0.05:
        changed[random.choice(("a", "", "__class__", random.choice([*value])))] = value[name]
    return changed


def _tensors(content: bytes, others: Sequence[bytes], random: Random) -> bytes:
    """Change a number of a file of tensors; or of its header a shape, a type, an offset, its length."""
    if random.random() < 0.1:
        return struct.pack("<Q", random.choice((0, 1, 8, 2**31, 2**63, 2**64 - 1))) + content[8:]
    (size,) = struct.unpack("<Q", content[:8])
    if random.random() < 0.4:
        number = random.choice(_NUMBERS)
        place = 8 + size + len(number) * random.randrange(max(1, (len(content) - 8 - size) // len(number)))
        return content[:place] + number + content[place + len(number) :]
    header = content[8 : 8 + size]
    header = _json(header, others, random) if random.random() < 0.7 else _word(header, (), random)
    return struct.pack("<Q", len(header)) + header + content[8 + size :]


def _array(content: bytes, _: Sequence[bytes], random: Random) -> bytes:
    """Change the header of an array."""
    kind = random.random()
    if kind < 0.1:
        return content[:6] + bytes((random.choice((0, 1, 2, 3, 9)), 0)) + content[8:]
    if kind < 0.3:  # numbers that are none, or huge
        number = random.choice(_NUMBERS)
        place = 128 + len(number) * random.randrange(max(1, (len(content) - 128) // len(number)))
        return content[:place] + number + content[place + len(number) :]
    found = random.choice([*_SHAPE.finditer(content[:500])])
    return content[: found.start()] + random.choice(_HEADERS) + content[found.end() :]


def _archive(content: bytes, others: Sequence[bytes], random: Random) -> bytes:
    """Change a member of an archive, its name or its packing, and write the archive with new checksums."""
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        members = [(info.filename, info.compress_type, file.read(info)) for info in file.infolist()]
    # The programs and headers of archives are small, what they hold is large.
    place = min(random.randrange(len(members)), random.randrange(len(members)))
    name, packing, own = members[place]
    kind = random.random()
    if kind < 0.8:
        if random.random() < 0.3:
            own = random.choice(_BLIND)(own, [content for *_, content in members], random)
        else:
            suffix = name[name.rfind(".") :]
            own = (_pickle if suffix == ".pkl" else _INFORMED.get(suffix, _word))(own, others, random)
    elif kind < 0.9:
        name = random.choice(("x", "../../x", "x.npy", "y.npy", "a" * 300, "\x1b[2J", members[-1][0]))
    else:
        packing = random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
    members[place] = (name, packing, own)
    if random.random() < 0.1:
        members.pop(random.randrange(len(members)))
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        for name, packing, own in {member[0]: member for member in members}.values():
            file.writestr(name, own, packing)
    return made.getvalue()


def _pickle(content: bytes, _: Sequence[bytes], random: Random) -> bytes:
    """Change a number, a name or an instruction of a pickle."""
    kind = random.random()
    if kind < 0.4:  # a whole number: K, M and J are of 1, 2 and 4 bytes
        found = random.choice([*re.finditer(rb"K.|M..|J....", content, re.DOTALL)])
        number = random.choice((0, 1, -1, 255, 65535, 2**31 - 1, -(2**31)))
        return content[: found.start()] + b"J" + struct.pack("<i", number) + content[found.end() :]
    if kind < 0.7:
        found = random.choice([*re.finditer(rb"[a-z_]{3,}", content)])
        names = (b"os", b"system", b"float64", b"DoubleStorage", b"cuda:99", b"meta", b"eval", b"Tensor", b"int", b"0")
        other = random.choice(names).ljust(len(found[0]), b"_")[: len(found[0])]
        return content[: found.start()] + other + content[found.end() :]
    place = _place(content, random)
    return (
        content[:place]
        + bytes((random.choice(b"(.01289NOPQRX}]abcdeghijlopqrstu\x80\x85\x86\x87\x88\x8a\x8b"),))
        + content[place + random.choice((0, 1)) :]
    )


_BLIND: tuple[Change, ...] = (_bits, _insertion, _deletion, _repetition, _cut, _splice, _token)
_INFORMED: dict[str, Change] = {
    ".json": _json,
    ".jsonl": _jsonl,
    ".safetensors": _tensors,
    ".npy": _array,
    **dict.fromkeys((".npz", ".pt", ".pth", ".skops", ".xlsx"), _archive),
}
