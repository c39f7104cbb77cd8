"""A real Envoy has the last word on everything that is made."""

import copy
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from rollout.mesh.registry import Registry
from rollout.mesh.translate.configuration import configuration_of
from rollout.mesh.translate.istio_metrics import UNKNOWN_VARIABLE, stats_config
from rollout.mesh.translate.resources import Resources, translate
from rollout.yaml_documents import load_all
from tests.rollout.mesh.translate.bookinfo import SETS, applied
from tests.rollout.mesh.translate.documents import Json, registry, source

ENVOY = Path(sys.executable).parent / "envoy"
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not ENVOY.exists(), reason="no envoy beside this Python: install the extra `embedded`"),
]


def inlined(prefix: str, resources: Resources) -> Json:
    """Listeners that carry their routes and clusters that carry their endpoints, named so that sets do not collide."""
    clusters = [
        {
            **{key: value for key, value in cluster.items() if key != "eds_cluster_config"},
            "name": f"{prefix}/{name}",
            "type": "STATIC",
            "load_assignment": {**resources.eds[name], "cluster_name": f"{prefix}/{name}"},
        }
        for name, cluster in resources.cds.items()
    ]
    listeners = [{**copy.deepcopy(listener), "name": f"{prefix}/{name}"} for name, listener in resources.lds.items()]
    for listener in listeners:
        for chain in listener["filter_chains"]:
            manager = chain["filters"][0]["typed_config"]
            manager["route_config"] = resources.rds[manager.pop("rds")["route_config_name"]]
    return {"clusters": clusters, "listeners": listeners}


def verdict(directory: Path, sets: Mapping[str, Resources]) -> str:
    """What Envoy says about *sets*: nothing when it takes them all."""
    parts = [inlined(prefix, resources) for prefix, resources in sets.items()]
    static = {key: [item for part in parts for item in part[key]] for key in ("clusters", "listeners")}
    bootstrap = directory / "bootstrap.json"
    bootstrap.write_text(json.dumps({"stats_config": stats_config(), "static_resources": static}))
    command = [str(ENVOY), "--mode", "validate", "-c", str(bootstrap), "--service-node", "a", "--service-cluster", "a"]
    done = subprocess.run(
        [*command, "--log-level", "warning"],
        env={UNKNOWN_VARIABLE: "unknown"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return "" if done.returncode == 0 and not done.stderr.strip() else done.stdout + done.stderr


def everything() -> str:
    return (Path(__file__).parent / "everything.yaml").read_text()


def of(text: str, over: Registry) -> Resources:
    return translate(configuration_of(over, [document.value for document in load_all(text)]), source)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A certificate that is its own authority, and its key."""
    if not shutil.which("openssl"):
        pytest.skip("no openssl to make a certificate with")
    directory = tmp_path_factory.mktemp("certificate")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=a -out a.pem -keyout a.key"
    subprocess.run(command.split(), cwd=directory, check=True, capture_output=True, timeout=60)
    return str(directory / "a.pem"), str(directory / "a.key")


def test_envoy_takes_every_set_of_the_tutorial(tmp_path: Path) -> None:
    base = ("destination-rule-all", "virtual-service-all-v1", "bookinfo-gateway")

    assert verdict(tmp_path, {name: translate(applied(*base, name), source) for name in SETS}) == ""


def test_envoy_takes_every_feature_at_once(tmp_path: Path, certificate: tuple[str, str]) -> None:
    text = everything().replace("CERTIFICATE", certificate[0]).replace("KEY", certificate[1])
    pods = [
        {
            "pod": f"reviews-{version}-0",
            "workload": f"reviews-{version}",
            "namespace": "bookinfo",
            "labels": {"app": "reviews", "version": version},
            "address": address,
        }
        for version, address in (("v1", "127.0.0.1:1"), ("v2", "[::1]:2"), ("v3", "127.0.0.1:3"))
    ]
    ports = {"80": 0, "443": 0, "8443": 0}
    entry = {"name": "entry", "namespace": "edge", "kind": "gateway", "labels": {"istio": "in"}, "portMap": ports}
    caller = {"name": "productpage-v1", "namespace": "bookinfo", "labels": {"app": "productpage"}}
    plain = registry(workloads=pods, proxies=[caller, entry], byteHistograms=True, honourTimeoutHeader=True)

    assert verdict(tmp_path, {"everything": of(text, plain)}) == ""


def test_what_envoy_refuses_is_heard(tmp_path: Path) -> None:
    text = "{kind: Service, metadata: {name: a}, spec: {ports: [{port: 80}]}}"
    resources = of(text, registry())
    broken = next(iter(resources.cds.values()))
    broken["lb_policy"] = "NONE_SUCH"

    assert "NONE_SUCH" in verdict(tmp_path, {"broken": resources})
