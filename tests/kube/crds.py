"""CustomResourceDefinitions of the tests: Rollout's own as shipped, Istio's and Gateway API's, minimal or real.

KUBE_TEST_CRDS names a directory with the real ones (istio-crds.yaml, gateway-api-crds.yaml); without it these do.
"""

import os
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from rollout import crds

Json = dict[str, Any]
ROOT = Path(__file__).parents[2]
_ANY: Json = {"x-kubernetes-preserve-unknown-fields": True}
_OBJECT: Json = {"type": "object", **_ANY}
_LIST: Json = {"type": "array", "items": _ANY}


def _crd(group: str, kind: str, versions: tuple[str, ...], spec: Json, *, storage: str, status: bool = True) -> Json:
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": spec}, "status": _OBJECT}}
    plural = f"{kind.lower()}s"
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.{group}",
            **(
                {
                    "annotations": {
                        "api-approved.kubernetes.io": "https://github.com/kubernetes-sigs/gateway-api/pull/2466"
                    }
                }
                if group.endswith("k8s.io")
                else {}
            ),
        },
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"},
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": version == storage,
                    "schema": {"openAPIV3Schema": schema},
                    **({"subresources": {"status": {}}} if status else {}),
                }
                for version in versions
            ],
        },
    }


_STRINGS: Json = {"type": "array", "items": {"type": "string"}}
_ISTIO = ("v1", "v1beta1", "v1alpha3")
MINIMAL = (
    _crd(
        "networking.istio.io",
        "VirtualService",
        _ISTIO,
        {"hosts": _STRINGS, "gateways": _STRINGS, "exportTo": _STRINGS, "http": _LIST, "tls": _LIST, "tcp": _LIST},
        storage="v1",
    ),
    _crd(
        "networking.istio.io",
        "DestinationRule",
        _ISTIO,
        {"host": {"type": "string"}, "subsets": _LIST, "trafficPolicy": _OBJECT, "exportTo": _STRINGS},
        storage="v1",
    ),
    _crd(
        "gateway.networking.k8s.io",
        "HTTPRoute",
        ("v1",),
        {"parentRefs": _LIST, "hostnames": _STRINGS, "rules": _LIST},
        storage="v1",
    ),
)


@cache
def of_the_mesh() -> list[Json]:
    """VirtualService, DestinationRule, HTTPRoute."""
    directory = os.environ.get("KUBE_TEST_CRDS", "")
    if not directory:
        return list(MINIMAL)
    wanted = {crd["metadata"]["name"] for crd in MINIMAL}
    documents = [document for file in sorted(Path(directory).glob("*.yaml")) for document in _documents(file)]
    return [crd for crd in documents if crd["metadata"]["name"] in wanted]


@cache
def of_rollout() -> list[Json]:
    """Our own, as they are shipped."""
    return [crds.plan_crd(), crds.rollout_crd()]


@cache
def roles_as_shipped() -> list[Json]:
    """Roles, ClusterRoles and bindings of the cluster overlay, for the ServiceAccounts in rollout-system."""
    files = (ROOT / "deploy/overlays/cluster/cluster-roles.yaml", ROOT / "deploy/base/own-namespace-role.yaml")
    documents = [document for file in files for document in _documents(file)]
    for document in documents:
        if document["kind"] in ("Role", "RoleBinding"):  # kustomize's `namespace:` does this in the cluster
            document["metadata"]["namespace"] = "rollout-system"
        for subject in document.get("subjects") or ():
            subject.setdefault("namespace", "rollout-system")
    return documents


def _documents(file: Path) -> list[Json]:
    return [document for document in yaml.safe_load_all(file.read_text()) if document]
