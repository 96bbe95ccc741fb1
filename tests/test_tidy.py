"""The code's own form: what a reader may rely on in every file."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("raftsql", "driver/raftsql_driver", "shell/raftsql_shell")
LINES_MAX = 600
FUNCTION_LINES_MAX = 70


def sources() -> list[Path]:
    """Every Python file of the product."""
    found = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
    assert len(found) > 50, "the sources are where this test looks for them"
    return found


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@pytest.mark.parametrize("path", sources(), ids=name_of)
def test_a_file_is_one_noun(path: Path) -> None:
    lines = path.read_text().count("\n")
    assert lines <= LINES_MAX, f"{name_of(path)} has {lines} lines: it is two nouns"


@pytest.mark.parametrize("path", sources(), ids=name_of)
def test_a_function_fits_a_screen(path: Path) -> None:
    for function in functions(path):
        assert function.end_lineno is not None
        lines = function.end_lineno - function.lineno + 1
        assert lines <= FUNCTION_LINES_MAX, f"{function.name} has {lines} lines"


@pytest.mark.parametrize("path", sources(), ids=name_of)
def test_a_module_says_why_it_exists(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree) or not tree.body, f"{name_of(path)} has no docstring"


def test_every_source_file_is_met_by_a_test_of_its_own() -> None:
    """By a test file of its name, or by one that imports it."""
    tests = {path.stem: path.read_text() for path in (ROOT / "tests").rglob("*.py")}
    texts = "\n".join(tests.values())
    missing = [
        name_of(path)
        for path in sources()
        if not path.name.startswith("__")
        and f"test_{path.stem}" not in tests
        and module_of(path) not in texts
    ]
    assert not missing, f"no test is named after, or imports: {', '.join(missing)}"


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts if parts[0] == "raftsql" else parts[1:])


def test_no_line_names_a_registry() -> None:
    words = ("pypi" + ".org", "files.pythonhosted", "registry" + ".npmjs", "proxy.golang")
    for path in [*sources(), ROOT / "pyproject.toml", ROOT / "README.md"]:
        text = path.read_text()
        assert not any(word in text for word in words), f"{name_of(path)} names a registry"
