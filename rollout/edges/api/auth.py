"""Who is asking: bearer tokens, compared in constant time; and the Host header, against DNS rebinding.

Default deny: a route without an entry in the table is not served, and a route's role is checked in one place. Without
tokens everyone on loopback may do everything, because settings refuse to listen elsewhere.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from rollout.edges.api.endpoints import Role
from rollout.edges.api.problems import ProblemError

_ALLOWS = {Role.VIEW: {Role.VIEW}, Role.OPERATE: {Role.VIEW, Role.OPERATE}}


class TokenFileError(ValueError):
    """The token file is wrong; says which line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One credential: only its SHA-256 is kept."""

    role: Role
    sha256: str
    name: str


def read_tokens(path: Path) -> tuple[Token, ...]:
    """Read `role sha256-hex name` lines; # begins a comment. Raises TokenFileError, OSError."""
    tokens = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        is_right = len(words) == 3 and words[0] in (Role.VIEW, Role.OPERATE) and len(words[1]) == 64
        if not is_right or not set(words[1].lower()) <= set("0123456789abcdef"):
            raise TokenFileError(f"{path}:{number}: expected `view|operate <sha256 in hex> <name>`")
        tokens.append(Token(role=Role(words[0]), sha256=words[1].lower(), name=words[2]))
    if not tokens:
        raise TokenFileError(f"{path} has no tokens")
    return tuple(tokens)


def guard(roles: Mapping[tuple[str, str], Role], tokens: Sequence[Token], hosts: frozenset[str]) -> Middleware:
    """The middleware that lets a request through to its route, or not. *hosts* empty: any Host header."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if hosts and (request.url.host or "").lower() not in hosts:
            raise ProblemError(421, "wrong-host", f"this daemon does not answer to the name {request.host[:80]!r}")
        resource = request.match_info.route.resource
        role = roles.get((request.method, resource.canonical)) if resource else None
        if role is None or role is Role.PUBLIC or not tokens:
            return await handler(request)  # an unknown route is a 404 further down
        token = _token_of(request, tokens)
        if token is None:
            raise ProblemError(401, "not-authenticated", "send Authorization: Bearer <token>")
        if role not in _ALLOWS[token.role]:
            raise ProblemError(403, "not-allowed", f"{token.name} may {token.role}, this needs {role}")
        request["actor"] = token.name
        return await handler(request)

    return check


def _token_of(request: web.Request, tokens: Sequence[Token]) -> Token | None:
    """The token presented, if it is known. Every known one is compared, so that time tells nothing."""
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    digest = hashlib.sha256(secret.strip().encode()).hexdigest()
    matching = [token for token in tokens if hmac.compare_digest(token.sha256, digest)]
    return matching[0] if matching and scheme.lower() == "bearer" and secret.strip() else None
