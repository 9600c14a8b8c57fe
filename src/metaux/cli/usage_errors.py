"""What the parser of the command line says of arguments that it can't take, said as all our messages are."""

import re

# What the parser says, in this order, and how we say it.
_SAID: tuple[tuple[str, str], ...] = (
    (
        r"Error parsing (--\S+): .*(?:float|FLOAT).*[ \[]'([^']*)'\]?\.?$",
        r"expected a number after \1, found '\2'; correct it",
    ),
    (r"Error parsing (--\S+): .*[ \[]'([^']*)'\]?\.?$", r"expected a whole number after \1, found '\2'; correct it"),
    (r"Missing value for argument '(--[\w-]+).*", r"expected a value after \1, found none; give one"),
    (
        r"invalid choice '([^']*)' for argument '([^']*)'\. Expected one of \((.*)\)\.?",
        r"expected one of \3 after \2, found '\1'; give one of these",
    ),
    (
        r".*Unrecognized options: ([^\s,]+).* Available subcommands: (.*)",
        r"expected a command (\2), found '\1'; see metaux --help",
    ),
    (
        r"Unrecognized options: ([^;]*?),? Perhaps you meant: (--[\w-]+).*",
        r"expected known options, found \1; did you mean \2? (see --help)",
    ),
    (
        r"Unrecognized options: (-[^;]*)",
        r"expected known options, found \1; see --help for all",
    ),
    (r"Unrecognized options: (.*)", r"expected no more words, found '\1'; see --help"),
    (r"Missing from (metaux \w+): (\S+) .*", r"expected \2, found nothing; see \1 --help"),
)


def in_one_line(box: str) -> str:
    """Return the message in a box that the parser draws, said as all our messages are; without frame and help."""
    # Where the terminal can't draw a frame, the title is underlined.
    box = re.sub(r"\A [^\n]*\n -+ *\n", "", box)
    lines = [line.strip(" │") for line in box.splitlines() if not re.match(r"\s*[╭╰]", line)]
    told: list[str] = []
    for line in lines:
        if line.startswith(("Argument helptext", "For full helptext", "Got errors")):
            break
        if line and not set(line) <= set("─-"):
            told.append(line)
    message = re.sub(r"\s+", " ", " ".join(told))
    for pattern, ours in _SAID:
        if re.search(pattern, message):
            return re.sub(pattern, ours, message)
    return f"expected other arguments, found: {message}; see metaux --help"
