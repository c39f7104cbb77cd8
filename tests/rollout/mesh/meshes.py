"""A small mesh on disk, for tests: reviews with two pods, three callers, and no Envoy."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import rollout.mesh.directory
from rollout.mesh.directory import MeshDirectory
from rollout.mesh.registry import Address, Proxy, Registry, Service, ServicePort, Workload
from rollout.mesh.translate.document import Key
from rollout.mesh.translate.resources import Resources
from tests.rollout.core.documents import destination_rule, virtual_service
from tests.rollout.core.worlds import NOW

REVIEWS = Key("VirtualService", "bookinfo", "reviews")
RULES = Key("DestinationRule", "bookinfo", "reviews")
PODS = {"v1": "127.0.0.1:9081", "v3": "127.0.0.1:9083"}


def pods(addresses: Mapping[str, str]) -> list[Workload]:
    """One pod of reviews per version."""
    return [
        Workload(
            pod=f"reviews-{version}-0",
            workload=f"reviews-{version}",
            namespace="bookinfo",
            labels={"app": "reviews", "version": version},
            address=Address.parse(address),
        )
        for version, address in addresses.items()
    ]


def registry() -> Registry:
    """Who listens where."""
    port = ServicePort(number=9080, name="http")
    return Registry(
        services=(Service(name="reviews", namespace="bookinfo", ports=(port,), selector={"app": "reviews"}),),
        workloads=tuple(pods(PODS)),
        proxies=(
            Proxy(name="productpage-v1", namespace="bookinfo", labels={"app": "productpage"}, port=15001),
            Proxy(name="rollout-load", namespace="rollout-system", labels={"app": "rollout-load"}, port=15002),
        ),
    )


def service_document(canary_percent: int = 0, **changes: Any) -> dict[str, Any]:
    """The VirtualService of reviews as its author writes it."""
    document = virtual_service()
    del document["metadata"]["resourceVersion"]
    weights = {"v1": 100 - canary_percent, "v3": canary_percent}
    document["spec"]["http"][0]["route"] = [
        {"destination": {"host": "reviews", "subset": version}, "weight": weight} for version, weight in weights.items()
    ]
    document["spec"] |= changes
    return document


def documents() -> list[dict[str, Any]]:
    """What a mesh begins with."""
    return [destination_rule(), service_document()]


class Checks:
    """Stands in for Envoy's own check: remembers what it was shown, and says no when told to."""

    def __init__(self) -> None:
        self.shown: list[Resources] = []
        self.error: Exception | None = None

    def __call__(self, resources: Resources, scratch: Path) -> None:
        self.shown.append(resources)
        if self.error is not None:
            raise self.error


def without_envoy(monkeypatch: pytest.MonkeyPatch) -> Checks:
    """Let mesh directories of this process ask nobody."""
    checks = Checks()
    monkeypatch.setattr(rollout.mesh.directory, "check_config", checks)
    return checks


def made(root: Path) -> MeshDirectory:
    """A mesh directory with its documents applied."""
    directory = MeshDirectory.create(root, registry(), lambda: NOW)
    directory.apply(documents())
    return directory
