"""Hold the code to the order of layers in CONTRIBUTING.md: a layer may import those below it, never those above."""

import ast
from functools import cache
from graphlib import TopologicalSorter
from importlib.util import resolve_name
from pathlib import Path

ROOT = Path(__file__).parents[1]
# From the bottom up; "" is nlptasks/__init__.py. A folder not named is a task's, and above those stands nlpk.
LAYERS = ("errors", "places", "files", "rows", "backbone", "task", "", "writing", "inference", "training")
TASKS, COMMANDS = len(LAYERS), len(LAYERS) + 1
VAGUE = {"utils", "common", "core", "helpers"}


def modules(package: str, folder: Path) -> dict[str, Path]:
    dotted = {path: [package, *path.relative_to(folder).with_suffix("").parts] for path in folder.rglob("*.py")}
    return {".".join(parts).removesuffix(".__init__"): path for path, parts in dotted.items()}


MODULES = modules("nlpk", ROOT / "cli") | modules("nlptasks", ROOT / "nlptasks")


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text("utf-8"))


def part(module: str) -> str:
    """Name the file or folder directly in a package that a module belongs to."""
    return module.partition(".")[2].partition(".")[0]


def layer(module: str) -> int:
    if not module.startswith("nlptasks"):
        return COMMANDS
    return LAYERS.index(part(module)) if part(module) in LAYERS else TASKS


def imports(module: str) -> set[str]:
    """List our own modules that a module imports, at its top or inside its functions."""
    package = module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]
    found = set()
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            source = resolve_name("." * node.level + (node.module or ""), package)
            found |= {full if (full := f"{source}.{alias.name}") in MODULES else source for alias in node.names}
    return {name for name in found if name.split(".")[0] in {"nlpk", "cli", "nlptasks"}}


@cache
def graph() -> dict[str, set[str]]:
    return {module: imports(module) for module in MODULES}


def edges() -> list[tuple[str, str]]:
    return [(module, other) for module, others in graph().items() for other in others]


def test_the_imports_are_seen() -> None:
    assert {("nlpk", "nlptasks"), ("nlptasks", "nlptasks")} <= {(a.split(".")[0], b.split(".")[0]) for a, b in edges()}


def test_every_file_has_a_layer() -> None:
    assert not [path.name for path in (ROOT / "nlptasks").glob("*.py") if path.stem not in (*LAYERS, "__init__")]


def test_no_import_goes_up() -> None:
    assert not [f"{a} imports {b}" for a, b in edges() if layer(a) < layer(b)]


def test_no_task_folder_imports_another() -> None:
    assert not [f"{a} imports {b}" for a, b in edges() if layer(a) == layer(b) == TASKS and part(a) != part(b)]


def test_the_library_does_not_know_the_command_line() -> None:
    assert not [f"{a} imports {b}" for a, b in edges() if a.startswith("nlptasks") and not b.startswith("nlptasks")]


def test_the_command_line_goes_by_its_installed_name() -> None:
    assert not [f"{a} imports {b}" for a, b in edges() if b.split(".")[0] == "cli"]


def test_no_cycles() -> None:
    TopologicalSorter(graph()).prepare()  # raises CycleError, which names the modules


def test_no_vague_names() -> None:
    files = [path for folder in ("cli", "nlptasks", "tests") for path in ROOT.joinpath(folder).rglob("*")]
    assert not [str(path) for path in files if path.stem in VAGUE]


def test_the_library_never_prints() -> None:
    library = [module for module in MODULES if module.startswith("nlptasks")]
    names = [(module, node) for module in library for node in ast.walk(tree(module)) if isinstance(node, ast.Name)]
    assert not [f"{module}:{node.lineno}" for module, node in names if node.id == "print"]
