"""--kubernetes: which pods run a plan, how they reach this process, and who creates them."""

import contextlib
import ipaddress
import json
import os
import secrets
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, fields
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

if TYPE_CHECKING:
    from loadgen.cluster.collector import RemoteWorker
    from loadgen.core.plan import Plan

PORT = 8484  # of the collector, when nobody says
MESH = {"yes": True, "no": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """The pods of a run. Every field is a key of --kubernetes."""

    workers: int
    collector: str = ""  # base URL of this process as pods reach it; in a pod its own address
    listen: str = ""  # host:port; everywhere, at the collector's port
    namespace: str = "rollout-system"
    image: str = ""  # this version's
    account: str = "rollout-load"  # the pods' service account; it needs no rights
    mesh: bool = True  # with a sidecar
    manifest: str = ""  # write the Job to this file; somebody else creates it
    context: str = ""  # of the kubeconfig

    @contextlib.asynccontextmanager
    async def opened(self, plan: "Plan") -> AsyncIterator[Sequence["RemoteWorker"]]:
        """Listen, create the Job, and give its pods as a crew; at the end delete it. Raises ValueError, OSError."""
        from loadgen.cluster.collector import Collector  # noqa: PLC0415  # most runs need no server
        from loadgen.cluster.job import JobSpec, job  # noqa: PLC0415

        token = secrets.token_urlsafe(32)
        url, host, port = self._addresses()
        spec = JobSpec(
            name=f"loadgen-{secrets.token_hex(4)}",
            workers=self.workers,
            image=self.image or f"ghcr.io/rollout-dev/rollout:{version('rollout')}",
            collector=url,
            token=token,
            duration_s=plan.duration_s,
            namespace=self.namespace,
            service_account=self.account,
            mesh=self.mesh,
        )
        collector = Collector(token, self.workers)
        async with collector.listening(host, port), self._created(job(spec)):
            yield collector.crew

    @contextlib.asynccontextmanager
    async def _created(self, document: dict[str, Any]) -> AsyncIterator[None]:
        if self.manifest:
            file = Path(self.manifest)
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as output:
                json.dump(document, output, indent=1)  # for this user's eyes: the run's token is in it
            yield
            return
        from loadgen.cluster.api import running  # noqa: PLC0415

        async with running(document, self.context):
            yield

    def _addresses(self) -> tuple[str, str, int]:
        """The collector's URL, and the host and port it listens on."""
        url = self.collector.rstrip("/")
        if not url:
            pod = os.environ.get("POD_IP", "")
            if not pod:
                raise ValueError("--kubernetes: collector=http://HOST:PORT: how pods reach this process is not known")
            url = f"http://[{pod}]:{PORT}" if ":" in pod else f"http://{pod}:{PORT}"
        parts = urlsplit(url)
        if self.listen:
            host, _, port = self.listen.rpartition(":")
            return url, host.strip("[]"), int(port)
        here = "127.0.0.1" if is_loopback(parts.hostname or "") else "0.0.0.0"  # noqa: S104  # pods come from elsewhere
        return url, here, parts.port or PORT


def is_loopback(host: str) -> bool:
    """Whether only this machine can come to *host*."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def fleet_of(text: str) -> Fleet:
    """Read workers=4,collector=http://10.0.0.5:8484. Raises ValueError that names the key."""
    known = {field.name for field in fields(Fleet)}
    values: dict[str, Any] = {}
    for word in text.split(","):
        key, separator, value = word.partition("=")
        if key not in known or not separator or not value:
            raise ValueError(f"{word!r}: expected KEY=VALUE with one of {', '.join(sorted(known))}")
        values[key] = value
    if not str(values.get("workers", "")).isdecimal() or not 1 <= int(values["workers"]) <= 64:
        raise ValueError("workers: expected workers=N, 1 to 64")
    if values.get("mesh", "yes") not in MESH:
        raise ValueError("mesh: expected yes or no")
    listen = values.get("listen", ":1")
    if not listen.rpartition(":")[2].isdecimal() or ":" not in listen:
        raise ValueError("listen: expected host:port")
    collector = urlsplit(values.get("collector", "http://x"))
    if collector.scheme not in ("http", "https") or not collector.hostname or collector.path.strip("/"):
        raise ValueError("collector: expected http://HOST:PORT")
    return Fleet(**values | {"workers": int(values["workers"]), "mesh": MESH[values.get("mesh", "yes")]})


class KubernetesType(click.ParamType[Fleet]):
    """A Fleet on the command line."""

    name = "workers=N[,KEY=VALUE]..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Fleet:
        """Read it, or fail with the reason."""
        try:
            return value if isinstance(value, Fleet) else fleet_of(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


KUBERNETES_TYPE = KubernetesType()
