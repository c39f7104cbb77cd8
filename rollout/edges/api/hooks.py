"""POST /hooks/github: a signed delivery starts a rollout.

The order matters: cap, then verify the signature over the exact bytes, then parse, then dedupe. GitHub signs no time,
so a delivery's id is remembered for ever: a replay is answered politely and does nothing. Without a secret the endpoint
does not exist. (GitHub docs, validating webhook deliveries.)
"""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from aiohttp import web
from prometheus_client import Counter
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rollout.control import Control, NotFound, NotNow, StartRequest
from rollout.core.plan_errors import problems_of
from rollout.core.quantities import check_version
from rollout.edges.api.problems import ProblemError
from rollout.ports import Clock, Conflict, Store, Unavailable
from rollout.yaml_documents import load

BODY_BYTES_MAX = 256 * 1024
_PATH = re.compile(r"\{([\w.]+)\}")


class HookRule(BaseModel):
    """When a payload means a release, and of what."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    event: str
    """GitHub's event, such as release or registry_package."""
    when: dict[str, str] = {}
    """Payload paths and the values they must have: {action: published}."""
    service: str
    """A name, or a payload path in braces: {repository.name}."""
    version: str
    """The same: {release.tag_name}."""
    version_pattern: Annotated[str, Field(alias="versionPattern", max_length=256)] = r".+"
    """What the version must look like; the first group, if there is one, is taken."""
    namespace: str | None = None


class HooksFile(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    secret_file: Annotated[Path, Field(alias="secretFile")]
    """The webhook's secret, one line; re-read for every delivery, so that it can be rotated."""
    github: list[HookRule]


def read_hooks(path: Path) -> HooksFile:
    """Read the file. Raises ValueError with every problem, YamlError, OSError."""
    try:
        hooks = HooksFile.model_validate(load(path.read_bytes(), file=str(path)).value)
    except ValidationError as error:
        raise ValueError("\n".join(f"{path}: {problem}" for problem in problems_of(HooksFile, error))) from error
    return hooks.model_copy(update={"secret_file": path.parent / hooks.secret_file})


@dataclass(frozen=True, slots=True, kw_only=True)
class GithubHook:
    """The endpoint."""

    hooks: HooksFile
    control: Control
    store: Store
    clock: Clock
    deliveries: Counter

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Verify, dedupe, map, start."""
        try:
            answer = await self._answer(request)
        except ProblemError as problem:
            self.deliveries.labels("github", problem.code).inc()
            raise
        self.deliveries.labels("github", answer["result"]).inc()
        return web.json_response(answer, status=202 if answer["result"] == "started" else 200)

    async def _answer(self, request: web.Request) -> dict[str, str]:
        payload = self._verified(await _capped_body(request), request.headers.get("X-Hub-Signature-256", ""))
        delivery = request.headers.get("X-GitHub-Delivery", "")
        if not delivery or len(delivery) > 128:
            raise ProblemError(400, "no-delivery", "X-GitHub-Delivery is missing")
        rule = self._rule_for(request.headers.get("X-GitHub-Event", ""), payload)
        if rule is None:
            return {"result": "ignored", "detail": "no rule matches this event"}
        if not await self.store.first_delivery("github", delivery, self.clock.now()):
            return {"result": "duplicate", "detail": f"delivery {delivery} was handled before"}
        wish = StartRequest(
            service=_filled(rule.service, payload),
            canary=_version(rule, payload),
            namespace=rule.namespace,
            actor=f"github:{_at(payload, 'sender.login') or 'unknown'}"[:253],
            reason=f"{request.headers.get('X-GitHub-Event', '')} {delivery}",
            via="github",
            key=f"github-{delivery}",
        )
        try:
            rollout = await self.control.start(wish)
        except (NotFound, NotNow, Conflict) as error:
            return {"result": "refused", "detail": str(error)}
        except Unavailable:
            await self.store.forget_delivery("github", delivery)
            raise ProblemError(503, "unavailable", "the world cannot be reached", hint="redeliver later") from None
        return {"result": "started", "rollout": rollout.id}

    def _verified(self, body: bytes, signature: str) -> Mapping[str, Any]:
        try:
            secret = self.hooks.secret_file.read_bytes().strip()
        except OSError as error:
            raise ProblemError(503, "no-secret", "the webhook's secret cannot be read") from error
        wanted = "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()
        if not secret or not hmac.compare_digest(wanted.encode(), signature.encode("utf-8", "replace")):
            raise ProblemError(401, "bad-signature", "the signature does not fit the body")
        try:
            payload = json.loads(body)
        except (ValueError, RecursionError):
            raise ProblemError(400, "not-json", "the body is not JSON") from None
        if not isinstance(payload, dict):
            raise ProblemError(422, "not-an-object", "the body is not a JSON object")
        return payload

    def _rule_for(self, event: str, payload: Mapping[str, Any]) -> HookRule | None:
        for rule in self.hooks.github:
            if rule.event == event and all(_at(payload, path) == value for path, value in rule.when.items()):
                return rule
        return None


async def _capped_body(request: web.Request) -> bytes:
    """The raw body. aiohttp enforces the cap while reading (client_max_size), before anything is parsed."""
    if (request.content_length or 0) > BODY_BYTES_MAX:
        raise ProblemError(413, "too-large", f"more than {BODY_BYTES_MAX} bytes")
    return await request.read()


def _version(rule: HookRule, payload: Mapping[str, Any]) -> str:
    text = _filled(rule.version, payload)
    match = re.fullmatch(rule.version_pattern, text)
    if match is None:
        raise ProblemError(422, "version", f"version {text[:60]!r} does not look like {rule.version_pattern}")
    try:
        return check_version(match[1] if match.groups() else text)
    except ValueError as error:
        raise ProblemError(422, "version", str(error)) from error


def _filled(template: str, payload: Mapping[str, Any]) -> str:
    return _PATH.sub(lambda match: _at(payload, match[1]), template)


def _at(payload: Any, path: str) -> str:
    """The text at a dotted path; "" when there is none."""
    for key in path.split("."):
        payload = payload.get(key) if isinstance(payload, dict) else None
    return str(payload) if isinstance(payload, str | int) else ""
