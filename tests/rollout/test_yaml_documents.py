import math
import time
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rollout.yaml_documents import (
    BYTES_MAX,
    DEPTH_MAX,
    NODES_MAX,
    YamlError,
    dump,
    first_not_finite,
    key_path,
    load,
    load_all,
    plain_scalar,
)

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(min_size=1), inner, max_size=4),
    max_leaves=12,
)


def problem_of(text: str | bytes, **options: Any) -> str:
    with pytest.raises(YamlError) as caught:
        load(text, **options)
    return str(caught.value)


def test_values_come_out_as_plain_json() -> None:
    document = load("a: {b: [1, -2, 0x1F, 1.5, 1e3, true, null, ~, x]}\nc: |\n  two\n  lines\n")

    assert document.value == {"a": {"b": [1, -2, 31, 1.5, 1000.0, True, None, None, "x"]}, "c": "two\nlines\n"}


@pytest.mark.parametrize(
    "text", ["yes", "NO", "on", "off", "y", "12:30:45", "2024-01-01", "0777", "1_000", "0b1", "=", "'5'", '"true"']
)
def test_yaml_1_1_traps_stay_strings(text: str) -> None:
    assert load(f"key: {text}").value == {"key": text.strip("'\"")}


def test_keys_are_strings_as_in_json() -> None:
    assert load("{80: a, true: b, yes: c}").value == {"80": "a", "true": "b", "yes": "c"}


def test_every_key_and_item_knows_its_place() -> None:
    document = load("spec:\n  http:\n  - name: first\n  - route: [a]\n", file="vs.yaml")

    assert document.locate(("spec", "http", 1, "route")) == (4, 5)
    assert document.locate(("spec", "http", 0)) == (3, 5)
    assert document.describe(("spec", "http", 1, "timeout"), "missing") == "vs.yaml:4:5 spec.http[1].timeout: missing"
    assert document.describe((), "wrong kind") == "vs.yaml:1:1: wrong kind"


def test_key_paths_read_as_people_write_them() -> None:
    assert key_path(("spec", "http", 0, "end-user", "a.b/c")) == 'spec.http[0].end-user["a.b/c"]'


def test_trailing_separators_and_empty_documents_are_passed_over() -> None:
    documents = load_all("---\n# nothing\n---\na: 1\n---\nb: 2\n---\n")

    assert [document.value for document in documents] == [{"a": 1}, {"b": 2}]


def test_the_second_document_keeps_its_own_lines() -> None:
    _, second = load_all("a: 1\n---\nb: 2\n")

    assert second.locate(("b",)) == (3, 1)


@pytest.mark.parametrize("text", ["", "# only words\n", "---\n---\n", "\ufeff", "null"])
def test_a_text_without_document_is_an_error(text: str) -> None:
    assert problem_of(text) == "<text>:1:1: empty document"


def test_a_byte_order_mark_and_carriage_returns_are_fine() -> None:
    assert load(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n").value == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\n---\nb: 2\n", "<text>:3:1: one document expected, a second begins here (the first at line 1)"),
        ("steps: 1\nx: 2\nsteps: 3\n", '<text>:3:1: key "steps" stands twice in one mapping, first at line 1'),
        ("a: &x [1]\nb: *x\n", "<text>:1:4: anchors and aliases are not supported: write the value out"),
        ("a: *x\n", "<text>:1:4: anchors and aliases are not supported: write the value out"),
        ("a: {<<: {b: 1}}\n", "<text>:1:5: merge keys (<<) are not supported: write the keys out"),
        ("a: !!python/object/apply:os.system ['id']\n", "<text>:1:4: unknown tag !!python/object/apply:os.system"),
        ("a: !vault x\n", "<text>:1:4: unknown tag !vault"),
        ("a: !!timestamp 2024-01-01\n", "<text>:1:4: unknown tag !!timestamp"),
        ("a: !!set {b}\n", "<text>:1:4: unknown tag !!set"),
        ("a: !!binary x\n", "<text>:1:4: unknown tag !!binary"),
        ("? [a, b]\n: 1\n", "<text>:1:3: a key must be a word, not a list, a mapping or nothing"),
        ("a: .nan\n", "<text>:1:4: .nan is not a finite number"),
        ("a: -.inf\n", "<text>:1:4: -.inf is not a finite number"),
        ("a: 1e999\n", "<text>:1:4: 1e999 is not a finite number"),
        ("a: 9223372036854775808\n", "<text>:1:4: a whole number must fit in 64 bits"),
        (f"a: {'9' * 5000}\n", "<text>:1:4: a whole number must fit in 64 bits"),
        ("a: [1\n", "<text>:2:1: while parsing a flow sequence did not find expected ',' or ']'"),
        (
            "a: 1\nb:\n\t- x\n",
            "<text>:3:1: while scanning for the next token found character that cannot start any token",
        ),
        ("a: b: c\n", "<text>:1:5: mapping values are not allowed in this context"),
        ("a: \0\n", "<text>:1:4: character '\\x00' is not allowed in YAML"),
        ("a: \ud800\n", "<text>:1:4: character '\\ud800' is not allowed in YAML"),
        ("ab: 1\n".encode("utf-16"), "<text>:1:1: not UTF-8 text"),
        (b"ok: 1\nbad: \x80\n", "<text>:2:6: not UTF-8 text"),
    ],
)
def test_what_is_refused_is_named_with_its_place(text: str | bytes, problem: str) -> None:
    assert problem_of(text) == problem


def test_an_explicit_string_tag_is_a_string() -> None:
    assert load("a: !!str 5\nb: ! 6\nc: !!map {d: !!seq [1]}\n").value == {"a": "5", "b": "6", "c": {"d": [1]}}


def test_depth_is_bounded() -> None:
    assert load("[" * DEPTH_MAX + "]" * DEPTH_MAX).value
    assert f"nested deeper than {DEPTH_MAX} levels" in problem_of("[" * (DEPTH_MAX + 1) + "x" + "]" * (DEPTH_MAX + 1))


def test_the_number_of_values_is_bounded_per_document() -> None:
    half = f"[{'0,' * (NODES_MAX // 2)}]"

    assert len(load_all(f"{half}\n--- {half}\n--- {half}\n")) == 3
    assert f"more than {NODES_MAX} values in one document" in problem_of(f"[{half}, {half}]")


def test_the_size_is_bounded_in_bytes() -> None:
    assert problem_of("ä" * 60, bytes_max=100) == "<text>:1:1: 120 bytes are too many, at most 100 are read"
    assert load("a: " + "x" * (BYTES_MAX - 3)).value


@pytest.mark.parametrize(
    "text",
    [
        "a: " + "x" * 10_000_000,
        "[" * 1_100 + "]" * 1_100,
        "a0: &a0 x\n" + "".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 10)),
        "a: &a {b: 1}\n" + "c: {<<: [*a, *a]}\n" * 100,
        "{" * 200_000,
    ],
    ids=["10 MB", "depth", "alias bomb", "merge bomb", "braces"],
)
def test_bombs_are_refused_at_once(text: str) -> None:
    started = time.perf_counter()

    assert problem_of(text)
    assert time.perf_counter() - started < 0.5  # measured: 3 ms


def test_dumping_keeps_the_order_of_keys_and_separates_documents() -> None:
    assert dump({"b": 1, "a": {"z": [1, "x"], "y": None}}, {"c": 2}) == (
        "b: 1\na:\n  z:\n  - 1\n  - x\n  y: null\n---\nc: 2\n"
    )


def test_dumping_never_writes_aliases() -> None:
    shared = {"a": 1}

    assert dump({"x": shared, "y": shared}) == "x:\n  a: 1\ny:\n  a: 1\n"


@pytest.mark.parametrize("word", ["1e5", "0o17", "1.", "NO", "12:30:45", "", "~", "<<", "1e999", "# x", "- a", "a: b"])
def test_a_string_that_looks_like_something_else_is_quoted_for_every_reader(word: str) -> None:
    text = dump({"key": word})

    assert load(text).value == {"key": word}
    assert yaml.safe_load(text) == {"key": word}


@given(JSON.filter(lambda value: value is not None))
def test_what_is_dumped_loads_back_unchanged(value: Any) -> None:
    text = dump(value)

    assert load(text).value == value


@given(st.text())
def test_any_text_loads_or_is_refused_with_a_place(text: str) -> None:
    place = (1, 1)
    try:
        load_all(text)
    except YamlError as error:
        place = (error.line, error.column)
    assert min(place) >= 1


@given(st.text(alphabet="0123456789+-._exob:naif ", max_size=12))
def test_plain_scalars_are_finite_or_refused(text: str) -> None:
    try:
        value = plain_scalar(text)
    except ValueError:
        return
    assert not isinstance(value, float) or math.isfinite(value)


def test_the_first_number_json_cannot_carry_is_found() -> None:
    assert first_not_finite({"a": [1, {"b": math.nan}], "c": math.inf}) == ("a", 1, "b")
    assert first_not_finite({"a": [1, 2.5, "nan"], "c": None}) is None
