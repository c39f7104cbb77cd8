"""A client of the fake API server, as a kubeconfig user."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from rollout.edges.kubernetes.client import Cluster, cluster
from tests.kube import crds
from tests.kube.access import User
from tests.kube.certificates import Certificates
from tests.kube.fake import FakeKube, fake_kube

TOKEN = "daemon-token"
ACCOUNT = User("system:serviceaccount:rollout-system:rollout", ("system:authenticated",))
ISTIO = "/apis/networking.istio.io/v1"


def kubeconfig(path: Path, base: str, ca: Path, token: str = TOKEN, namespace: str = "rollout-system") -> Path:
    """A kubeconfig file with one context."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": base, "certificate-authority": str(ca)}}],
        "users": [{"name": "test", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": namespace}}],
    }
    path.write_text(json.dumps(document))
    return path


@asynccontextmanager
async def a_fake(certificates: Certificates) -> AsyncIterator[FakeKube]:
    """With CRDs, namespaces, the shipped roles, and the daemon's account."""
    async with fake_kube(certificates) as kube:
        for crd in (*crds.of_the_mesh(), *crds.of_rollout()):
            kube.put("apiextensions.k8s.io", "customresourcedefinitions", crd)
        for name in ("rollout-system", "bookinfo"):
            kube.put("", "namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        for role in crds.roles_as_shipped():
            namespace = role["metadata"].get("namespace", "")
            kube.put("rbac.authorization.k8s.io", f"{role['kind'].lower()}s", role, namespace)
        kube.access.tokens[TOKEN] = ACCOUNT
        yield kube


@asynccontextmanager
async def connected(kube: FakeKube, certificates: Certificates, tmp_path: Path) -> AsyncIterator[Cluster]:
    """Our client, as the daemon's account."""
    file = kubeconfig(tmp_path / "kubeconfig", kube.base, certificates.ca)
    async with cluster(kubeconfig=file) as found:
        yield found


def a_virtual_service(http: list[Any] | None = None, name: str = "reviews") -> dict[str, Any]:
    """All traffic of reviews to v1."""
    route = [{"destination": {"host": "reviews", "subset": "v1"}}]
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": name},
        "spec": {"hosts": ["reviews"], "http": http if http is not None else [{"route": route}]},
    }


def a_destination_rule() -> dict[str, Any]:
    """Subsets v1 and v3."""
    subsets = [{"name": version, "labels": {"version": version}} for version in ("v1", "v3")]
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": {"name": "reviews"},
        "spec": {"host": "reviews", "subsets": subsets},
    }
