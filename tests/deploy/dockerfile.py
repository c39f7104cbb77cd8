"""A Dockerfile as steps: as much of the grammar as ours uses, and an error for the rest."""

import json
import re
import shlex
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

KNOWN = "ARG CMD COPY ENTRYPOINT ENV EXPOSE FROM LABEL RUN STOPSIGNAL USER VOLUME WORKDIR".split()  # noqa: SIM905


@dataclass(frozen=True)
class Step:
    """One instruction: its word, its flags, and what is left."""

    word: str
    text: str
    flags: dict[str, str] = field(default_factory=dict)

    @property
    def words(self) -> list[str]:
        """The arguments, whether written as a shell would or as JSON."""
        found: list[str] = json.loads(self.text) if self.text.startswith("[") else shlex.split(self.text)
        return found

    @property
    def pairs(self) -> dict[str, str]:
        """NAME=VALUE arguments."""
        return {name: value for name, _, value in (word.partition("=") for word in self.words)}


def parse(text: str) -> list[Step]:
    """Read the steps. Raises ValueError for an instruction that nobody here knows."""
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    steps = []
    for line in lines.replace("\\\n", " ").splitlines():
        if not line.strip():
            continue
        word, _, rest = line.partition(" ")
        if word not in KNOWN:
            raise ValueError(f"{word} is not known")
        flags = {}
        rest = rest.strip()
        while word != "RUN" and (found := re.match(r"--(\w+)=(\S+)\s+", rest)):
            flags[found[1]] = found[2]
            rest = rest[found.end() :]
        steps.append(Step(word, rest, flags))
    return steps


def expand(text: str, values: dict[str, str]) -> str:
    """Fill $NAME and ${NAME} in."""
    return re.sub(r"\$(?:\{(\w+)\}|(\w+))", lambda name: values[name[1] or name[2]], text)


@dataclass
class Ignored:
    """A .dockerignore."""

    patterns: list[str]

    @classmethod
    def read(cls, file: Path) -> "Ignored":
        lines = [line.strip() for line in file.read_text().splitlines()]
        return cls([line for line in lines if line and not line.startswith("#")])

    def __contains__(self, path: str) -> bool:
        """The last pattern that matches the path, or a directory above it, decides."""
        verdict = False
        parts = path.split("/")
        ways = ["/".join(parts[: index + 1]) for index in range(len(parts))]
        for pattern in self.patterns:
            plain = pattern.removeprefix("!")
            everywhere = plain.startswith("**/")
            names = parts if everywhere else ways
            if any(fnmatch(name, plain.removeprefix("**/")) for name in names):
                verdict = not pattern.startswith("!")
        return verdict
