"""The table of all routes: router, authorisation and OpenAPI are all made from it, so none can forget one."""

from dataclasses import dataclass
from enum import StrEnum

from aiohttp.typedefs import Handler
from pydantic import BaseModel


class Role(StrEnum):
    """What a caller must be allowed to do. PUBLIC routes prove their caller in another way, or tell nothing."""

    PUBLIC = "public"
    VIEW = "view"
    OPERATE = "operate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One route."""

    method: str
    path: str
    handler: Handler
    role: Role
    summary: str
    body: type[BaseModel] | None = None
    answer: type[BaseModel] | None = None
    """None: not JSON, see media_type."""
    media_type: str = "application/json"
    status: int = 200
    errors: tuple[int, ...] = ()
    query: tuple[tuple[str, str], ...] = ()
    """Query parameters: (name, what it does)."""
