"""What every verb needs of the global flags: the client, who is asking, and colours or not."""

import getpass
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from rollout.cli.client import Client, Failed
from rollout.cli.exit_codes import Exit


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """The global flags."""

    server: str
    token_file: str | None
    namespace: str
    color: bool
    actor: str

    def client(self) -> Client:
        """A client with the token, if there is one."""
        if self.token_file is None:
            return Client(self.server)
        try:
            return Client(self.server, Path(self.token_file).read_text().strip())
        except OSError as error:
            raise Failed(f"cannot read the token: {error}", Exit.FORBIDDEN) from error

    def who(self) -> str:
        """The person, for the journal."""
        if self.actor:
            return self.actor
        try:
            return getpass.getuser()
        except (KeyError, OSError):
            return "unknown"

    def find(self, service: str) -> dict[str, Any]:
        """The rollout with this id, or the newest one of this service."""
        found: dict[str, Any] = self.client().get(f"/api/v1/rollouts/{service}", namespace=self.namespace or None)
        return found


pass_session = click.make_pass_decorator(Session)
