"""The arrows of docs/design.md: which room may import which, imports inside functions and for typing counted."""

import ast
from collections.abc import Iterator
from pathlib import Path

import metaux

SOURCE = Path(metaux.__file__).parent
# From the top of the house to its ground; a room may import those after it, and no other.
ROOMS = (
    "cli",
    "estimator",
    "studies",
    "export",
    "report",
    "evidence",
    "runs",
    "training",
    "labels",
    "networks",
    "data",
)
GROUND = (
    "protocols",
    "settings",
    "terminal",
    "files",
    "strict_yaml",
    "words",
    "unrolling",
    "trajectory",
    "metagradient",
    "updates",
    "optimizer_state",
    "dual_layers",
    "allocation",
    "threads",
    "functional",
    "losses",
    "hierarchy",
    "transfer",
    "rng",
)
HOUSE = (*ROOMS, *GROUND, "errors")


def imports(path: Path) -> Iterator[str]:
    """Yield the full name of every module of the package that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("metaux"))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "metaux":
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if exists(whole) else str(node.module)


def exists(module: str) -> bool:
    place = SOURCE.parent / Path(*module.split("."))
    return place.with_suffix(".py").is_file() or (place / "__init__.py").is_file()


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__")


def graph() -> dict[str, set[str]]:
    return {name_of(path): {m for m in imports(path) if m != name_of(path)} for path in SOURCE.rglob("*.py")}


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def test_no_room_imports_one_above_it() -> None:
    wrong = {
        (module, other)
        for module, others in graph().items()
        for other in others
        if room(module) in HOUSE and room(other) in HOUSE and HOUSE.index(room(other)) < HOUSE.index(room(module))
    }
    assert not wrong, "\n".join(f"{module} imports {other}" for module, other in sorted(wrong))


def test_no_modules_import_each_other_in_a_circle() -> None:
    arrows = graph()
    seen: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join((*path[path.index(module) :], module))
        if module not in seen:
            for other in sorted(arrows.get(module, ())):
                visit(other, (*path, module))
            seen.add(module)

    for module in sorted(arrows):
        visit(module, ())
