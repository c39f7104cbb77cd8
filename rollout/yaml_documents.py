"""The only door to PyYAML: text in, plain values with positions out, and back.

Values are built from the parser's *events*, so nothing is ever constructed from a tag, nothing recurses, and a bomb is
refused at the event that would light it. Scalars follow the YAML 1.2 core schema: `yes`, `on` and `NO` are strings,
`12:30:45` is not a number and `2024-01-01` not a date. Keys are always strings, as in JSON. Aliases, anchors, merge
keys, duplicate keys and unknown tags are errors. Every key and item remembers its line and column, so that a validator
which knows only the key's path can still say `file:line:col key: problem`.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeAlias

import yaml

Path: TypeAlias = tuple[str | int, ...]
Position: TypeAlias = tuple[int, int]

BYTES_MAX = 256 * 1024  # ten times the largest hand-written document; a Kubernetes annotation may hold as much
DEPTH_MAX = 20  # the deepest Istio document (a header match in a route of a VirtualService) needs 9
NODES_MAX = 10_000  # a 256 KiB document of one-character items could otherwise hold 130,000

_Loader = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader  # the C parser is 10 times faster
_NOT_YAML = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NULL = {"", "~", "null", "Null", "NULL"}
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_INT_MAX = 2**63 - 1
_TAG = "tag:yaml.org,2002:"


class YamlError(ValueError):
    """A text that is not one of our YAML documents, and where."""

    def __init__(self, file: str, position: Position, message: str) -> None:
        """Remember the place and the problem."""
        self.file, (self.line, self.column), self.message = file, position, message
        super().__init__(f"{file}:{self.line}:{self.column}: {message}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One document: its value (only None, bool, int, float, str, list, dict) and where each key path stands."""

    value: Any
    file: str
    positions: Mapping[Path, Position]

    def locate(self, path: Path) -> Position:
        """Where *path* stands; a missing key is looked for in its nearest parent that exists."""
        while path not in self.positions:
            path = path[:-1]
        return self.positions[path]

    def describe(self, path: Path, problem: str) -> str:
        """One line: `file:line:col key: problem`."""
        line, column = self.locate(path)
        return f"{self.file}:{line}:{column}{' ' if path else ''}{key_path(path)}: {problem}"


def key_path(path: Path) -> str:
    """`("spec", "http", 0)` as a person writes it: `spec.http[0]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif re.fullmatch(r"[\w-]+", part):
            text += f".{part}" if text else part
        else:
            text += f'["{part}"]'
    return text


def load_all(text: str | bytes, *, file: str = "<text>", bytes_max: int = BYTES_MAX) -> tuple[Document, ...]:
    """Every document of *text* that is not empty; a trailing `---` is fine, a text without any document is not."""
    found = _documents(_checked(text, file, bytes_max), file)
    documents = tuple(document for document in found if document.value is not None)
    if not documents:
        raise YamlError(file, (1, 1), "empty document")
    return documents


def load(text: str | bytes, *, file: str = "<text>", bytes_max: int = BYTES_MAX) -> Document:
    """The single document of *text*."""
    first, *others = load_all(text, file=file, bytes_max=bytes_max)
    if others:
        start = f"the first at line {first.locate(())[0]}"
        raise YamlError(file, others[0].locate(()), f"one document expected, a second begins here ({start})")
    return first


def dump(*values: Any) -> str:
    """*values* as YAML documents, keys in the order given; `load_all` returns them unchanged."""
    return yaml.dump_all(
        values, Dumper=_Dumper, sort_keys=False, default_flow_style=False, allow_unicode=True, width=120
    )


def first_not_finite(value: Any) -> Path | None:
    """The path of the first number in *value* that JSON cannot carry (NaN or infinite), or None."""
    pending: list[tuple[Path, Any]] = [((), value)]
    while pending:
        path, item = pending.pop()
        if isinstance(item, float) and not math.isfinite(item):
            return path
        if isinstance(item, dict):
            pending += reversed([((*path, str(key)), inner) for key, inner in item.items()])
        elif isinstance(item, list):
            pending += reversed([((*path, index), inner) for index, inner in enumerate(item)])
    return None


def _checked(raw: str | bytes, file: str, bytes_max: int) -> str:
    # Encoding is skipped for a text that has too many characters already: then it has too many bytes as well.
    size = len(raw.encode(errors="replace")) if isinstance(raw, str) and len(raw) <= bytes_max else len(raw)
    if size > bytes_max:
        raise YamlError(file, (1, 1), f"{size} bytes are too many, at most {bytes_max} are read")
    text = (raw if isinstance(raw, str) else _decoded(raw, file)).removeprefix("\ufeff")
    if bad := _NOT_YAML.search(text):
        raise YamlError(file, _position(text, bad.start()), f"character {bad.group()!a} is not allowed in YAML")
    return text


def _decoded(raw: bytes, file: str) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        readable = raw[: error.start].decode()
        raise YamlError(file, _position(readable, len(readable)), "not UTF-8 text") from error


def _position(text: str, index: int) -> Position:
    before = text[:index]
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def _documents(text: str, file: str) -> Iterator[Document]:
    builder = _Builder(file)
    try:
        for event in yaml.parse(text, Loader=_Loader):
            if isinstance(event, yaml.DocumentStartEvent):
                builder = _Builder(file)
            elif isinstance(event, yaml.DocumentEndEvent):
                yield Document(value=builder.value, file=file, positions=builder.positions)
            elif isinstance(event, yaml.NodeEvent):
                builder.node(event)
            elif isinstance(event, yaml.CollectionEndEvent):
                builder.close()
    except yaml.MarkedYAMLError as error:
        raise YamlError(
            file, _place(error.problem_mark), " ".join(part for part in (error.context, error.problem) if part)
        ) from error


def _place(mark: Any) -> Position:
    return mark.line + 1, mark.column + 1


@dataclass(slots=True, kw_only=True)
class _Open:
    """A mapping or sequence whose end has not come yet."""

    container: dict[str, Any] | list[Any]
    path: Path
    key: str | None = None
    lines: dict[str, int] = field(default_factory=dict)


class _Builder:
    """One document in the making."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.value: Any = None
        self.positions: dict[Path, Position] = {(): (1, 1)}
        self._open: list[_Open] = []
        self._nodes = 0
        self._place: Position = (1, 1)

    def node(self, event: yaml.NodeEvent) -> None:
        self._place = _place(event.start_mark)
        self._count()
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            self._fail("anchors and aliases are not supported: write the value out")
        parent = self._open[-1] if self._open else None
        if parent and isinstance(parent.container, dict) and parent.key is None:
            self._take_key(parent, event)
        else:
            self._take_value(parent, event)

    def close(self) -> None:
        self._open.pop()

    def _count(self) -> None:
        self._nodes += 1
        if self._nodes > NODES_MAX:
            self._fail(f"more than {NODES_MAX} values in one document")
        if len(self._open) > DEPTH_MAX:
            self._fail(f"nested deeper than {DEPTH_MAX} levels")

    def _take_key(self, parent: _Open, event: yaml.NodeEvent) -> None:
        if not isinstance(event, yaml.ScalarEvent) or event.value == "":
            self._fail("a key must be a word, not a list, a mapping or nothing")
        self._refuse_tag(event, "str")
        if event.value == "<<" and event.implicit[0]:
            self._fail("merge keys (<<) are not supported: write the keys out")
        if event.value in parent.lines:
            self._fail(f'key "{event.value}" stands twice in one mapping, first at line {parent.lines[event.value]}')
        parent.key = event.value
        parent.lines[event.value] = self._place[0]
        self.positions[(*parent.path, event.value)] = self._place

    def _take_value(self, parent: _Open | None, event: yaml.NodeEvent) -> None:
        value, path = self._value(event), self._path(parent)
        self.positions.setdefault(path, self._place)
        if parent is None:
            self.value, self.positions[()] = value, self._place
        elif isinstance(parent.container, list):
            parent.container.append(value)
        elif parent.key is not None:
            parent.container[parent.key] = value
            parent.key = None
        if isinstance(value, dict | list):
            self._open.append(_Open(container=value, path=path))

    def _path(self, parent: _Open | None) -> Path:
        if parent is None:
            return ()
        if isinstance(parent.container, list):
            return (*parent.path, len(parent.container))
        return (*parent.path, parent.key or "")

    def _value(self, event: yaml.NodeEvent) -> Any:
        if isinstance(event, yaml.MappingStartEvent):
            self._refuse_tag(event, "map")
            return {}
        if isinstance(event, yaml.SequenceStartEvent):
            self._refuse_tag(event, "seq")
            return []
        self._refuse_tag(event, "str")
        assert isinstance(event, yaml.ScalarEvent)
        return self._plain(event.value) if event.tag is None and event.implicit[0] else event.value

    def _refuse_tag(self, event: yaml.NodeEvent, kind: str) -> None:
        tag = getattr(event, "tag", None)
        if tag not in (None, "!", _TAG + kind):
            self._fail(f"unknown tag {tag.replace(_TAG, '!!')}")

    def _plain(self, text: str) -> Any:
        try:
            return plain_scalar(text)
        except ValueError as error:
            self._fail(str(error))

    def _fail(self, message: str) -> NoReturn:
        raise YamlError(self.file, self._place, message)


def plain_scalar(text: str) -> bool | int | float | str | None:
    """An unquoted scalar by the YAML 1.2 core schema; a number must be finite and fit in 64 bits."""
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _INT.fullmatch(text):
        return _whole(text)
    if _FLOAT.fullmatch(text) or _NOT_FINITE.fullmatch(text):
        number = float(text) if _FLOAT.fullmatch(text) else math.inf
        if not math.isfinite(number):
            raise ValueError(f"{text} is not a finite number")
        return number
    return text


def _whole(text: str) -> int:
    number = int(text, 0) if len(text) <= 24 else _INT_MAX + 1  # 24: the longest spelling of 64 bits, 0o and 22 digits
    if abs(number) > _INT_MAX:
        raise ValueError("a whole number must fit in 64 bits")
    return number


class _Dumper(yaml.SafeDumper):
    """Quotes every string that our resolver or a YAML 1.1 reader would take for something else."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _write_string(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar(_TAG + "str", text, style=_quotes(text))


def _quotes(text: str) -> str | None:
    if not text.isprintable():  # only double quotes can hold the line breaks that are not \\n, and PyYAML escapes them
        return '"' if set(text) & set("\x85\u2028\u2029") else None
    try:
        return None if isinstance(plain_scalar(text), str) else "'"
    except ValueError:
        return "'"


_Dumper.add_representer(str, _write_string)
