"""Envoy's resources as files: discovery by path, the transport without a server (and so without one that can die).

Listeners and clusters have one file each; every route configuration and every load assignment has its own (Envoy
refuses a file with several). Only what differs is replaced, so that a weight change touches one small file per caller;
the order is endpoints, clusters, listeners, routes: a thing exists before it is named.
"""

import hashlib
import json
from pathlib import Path
from urllib.parse import quote, unquote

from rollout.mesh.object_store import replace_file
from rollout.mesh.translate.proto import CLUSTER, ENDPOINTS, LISTENER, ROUTES, Json
from rollout.mesh.translate.resources import Api, Resources

_TYPES = {Api.EDS: ENDPOINTS, Api.CDS: CLUSTER, Api.LDS: LISTENER, Api.RDS: ROUTES}
_VERSION_DIGITS = 16
_VERSION_AT = len('{"version_info":"')
_TOGETHER = (Api.CDS, Api.LDS)


class XdsFiles:
    """The files of one Envoy."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def source(self, api: Api, name: str = "") -> Json:
        """Where Envoy finds a resource (or all of one kind): a ConfigSource."""
        path = {"path": str(self._file(api, name))}
        return {"resource_api_version": "V3", "initial_fetch_timeout": "5s", "path_config_source": path}

    def publish(self, resources: Resources) -> int:
        """Replace what differs; returns how many files that were."""
        changed = 0
        for api in Api:
            found = resources.of(api)
            if api in _TOGETHER:
                changed += self._write(api, "", list(found.values()))
            else:
                changed += sum(self._write(api, name, [resource]) for name, resource in found.items())
        return changed

    def prune(self, resources: Resources) -> None:
        """Remove files of resources that are no more; only while no Envoy reads them."""
        wanted = {self._file(api) for api in _TOGETHER}  # even when they are empty: Envoy's bootstrap names them
        wanted |= {self._file(api, name) for api in Api if api not in _TOGETHER for name in resources.of(api)}
        for file in self._root.glob("*.json"):
            if file not in wanted:
                file.unlink()

    def versions(self, api: Api) -> dict[str, str]:
        """The version of every file of one kind, by resource name."""
        files = self._root.glob(f"{api}-*.json")
        return {unquote(file.stem.removeprefix(f"{api}-").replace("@", "%")): _version(file) for file in files}

    def _write(self, api: Api, name: str, resources: list[Json]) -> bool:
        file = self._file(api, name)
        typed = json.dumps([{"@type": _TYPES[api], **resource} for resource in resources], separators=(",", ":"))
        # A digest, not a count: Envoy keeps the old version_info when the same content comes again.
        version = hashlib.sha256(typed.encode()).hexdigest()[:_VERSION_DIGITS]
        if file.exists() and _version(file) == version:
            return False
        replace_file(file, f'{{"version_info":"{version}","resources":{typed}}}'.encode())
        return True

    def _file(self, api: Api, name: str = "") -> Path:
        # A percent sign would be read as the start of a substitution in some of Envoy's paths; @ is read by nobody.
        return self._root / (f"{api}-{quote(name, safe='').replace('%', '@')}.json" if name else f"{api}.json")


def _version(file: Path) -> str:
    """What stands at the beginning of a file that was written here."""
    with file.open() as opened:
        return opened.read(_VERSION_AT + _VERSION_DIGITS)[_VERSION_AT:]
