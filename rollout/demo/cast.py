"""Who plays which scenario in one process, and a place to remember it.

A process with one workload plays what it is told. In a process with a whole bookinfo the scenario is a story about the
canary: reviews v3 plays it, and v1 and v2 only when it is one that hits every version.

The choice can be kept in a file. A process that crashed and was started again reads it, and crashes again: that is what
makes a crash loop of a crash that was asked for at run time.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rollout.demo.scenarios import HEALTHY, Misbehaviour, Scenario, scenario_named

ON_TRIAL = "reviews"
CANARY = "reviews-v3"
WISH_KEYS = frozenset({"name", "good_for_s", "workload"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A scenario that was asked for: of one workload, or of all whose part it is."""

    scenario: Scenario
    workload: str | None = None

    def document(self) -> dict[str, object]:
        """Write it the way `parse_wish` reads it."""
        written: dict[str, object] = {"name": self.scenario.name, "good_for_s": self.scenario.good_for_s}
        return written if self.workload is None else written | {"workload": self.workload}


def parse_wish(document: object) -> Wish:
    """Read {"name": "latent", "good_for_s": 10, "workload": "reviews-v3"}, of which only the name is needed."""
    if not isinstance(document, dict):
        raise ValueError("expected a JSON object")
    if unknown := sorted(document.keys() - WISH_KEYS):
        raise ValueError(f"unknown key {unknown[0]!r}; there are {', '.join(sorted(WISH_KEYS))}")
    good_for_s, workload = document.get("good_for_s"), document.get("workload")
    if not isinstance(good_for_s, int | float | None) or isinstance(good_for_s, bool):
        raise ValueError("good_for_s must be a number of seconds")
    if not isinstance(workload, str | None):
        raise ValueError("workload must be a name")
    return Wish(scenario=scenario_named(str(document.get("name")), good_for_s), workload=workload)


class Cast:
    """The workloads of one process by name, and what each plays."""

    def __init__(self, players: Mapping[str, Misbehaviour], *, kept_in: Path | None = None) -> None:
        self._players = players
        self._kept_in = kept_in

    def played(self) -> dict[str, str]:
        """Say what each workload plays now."""
        return {name: player.scenario.name for name, player in self._players.items()}

    def play(self, wish: Wish) -> None:
        """Play it from now on, and after a restart."""
        if wish.workload is not None and wish.workload not in self._players:
            raise ValueError(f"no workload is named {wish.workload!r}; there are {', '.join(self._players)}")
        if wish.scenario.crashes and len(self._players) > 1:
            raise ValueError("a crash would end all workloads of this process; run the one that shall crash on its own")
        for name, player in self._players.items():
            if wish.workload in {None, name}:
                player.play(self._part_of(name, wish))
        if self._kept_in is not None:
            remember(wish, self._kept_in)

    def _part_of(self, name: str, wish: Wish) -> Scenario:
        is_alone = len(self._players) == 1
        is_hit = name == CANARY or (wish.scenario.hits_stable and name.startswith(f"{ON_TRIAL}-"))
        return wish.scenario if is_alone or is_hit or wish.workload == name else HEALTHY


def remember(wish: Wish, path: Path) -> None:
    """Keep a wish for the next start; a reader sees the old one or the new one, never a half."""
    new = path.with_name(f"{path.name}.new")
    new.write_text(json.dumps(wish.document()))
    new.replace(path)


def recall(path: Path) -> Wish | None:
    """Read the wish that was kept, if one was."""
    try:
        kept = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        return parse_wish(json.loads(kept))
    except ValueError as wrong:
        raise ValueError(f"{path}: {wrong}") from wrong
