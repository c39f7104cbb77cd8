"""Style that a machine can check is not left to reviewers."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted(path for room in ("rollout", "loadgen") for path in (ROOT / room).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))

FILE_LINES_MAX = 400  # what one screenful of outline can hold; aim at 150
FUNCTION_LINES_MAX = 60  # aim at 10
BANNED_ROOMS = {"utils", "util", "common", "helpers", "misc"}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_files_and_functions_fit_in_a_head(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= FILE_LINES_MAX
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            lines = node.end_lineno - node.lineno + 1
            assert lines <= FUNCTION_LINES_MAX, f"{node.name} has {lines} lines"


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_every_module_opens_with_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())), f"{name_of(path)} has no module docstring"


def test_no_room_is_named_after_nothing() -> None:
    assert not [path for path in SOURCES if {path.stem, *path.parent.parts} & BANNED_ROOMS]


@pytest.mark.parametrize("path", TESTS, ids=name_of)
def test_every_test_asserts_something(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            assert any(asserts(inner) for inner in ast.walk(node)), f"{node.name} cannot fail"


def asserts(node: ast.AST) -> bool:
    if isinstance(node, ast.Assert):
        return True
    called = getattr(node, "func", None)
    name = getattr(called, "attr", getattr(called, "id", ""))
    return isinstance(node, ast.Call) and (name in {"raises", "fail"} or name.startswith(("assert_", "check_")))
