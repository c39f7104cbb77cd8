"""The bill of materials of the image, CycloneDX 1.6: what is installed here, with the hashes of the lock.

usage: sbom.py LOCK > sbom.cdx.json        (run by the interpreter whose packages are listed)

What is installed is asked of the interpreter, not of the lock: a package that the lock does not know is an error. The
same packages give the same bytes.
"""

import json
import re
import sys
import uuid
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

OURS = "rollout"
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def normalised(name: str) -> str:
    """A project's name as PyPI compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def hashes_of(lock: str) -> dict[tuple[str, str], list[str]]:
    """The hashes of every pinned release: one per file that may have been installed."""
    found: dict[tuple[str, str], list[str]] = {}
    current: list[str] = []
    for line in lock.splitlines():
        if pinned := _PINNED.match(line):
            current = found.setdefault((normalised(pinned[1]), pinned[2]), [])
        current += _HASH.findall(line)
    return found


def component(distribution: Distribution, hashes: dict[tuple[str, str], list[str]]) -> dict[str, Any]:
    """One package. Raises SystemExit when the lock does not have it."""
    name, version = normalised(distribution.name), distribution.version
    if (name, version) not in hashes:
        raise SystemExit(f"error: {name} {version} is installed, but the lock does not have it")
    said = distribution.metadata.get("License-Expression") or distribution.metadata.get("License") or ""
    return {
        "type": "library",
        "bom-ref": f"pkg:pypi/{name}@{version}",
        "name": name,
        "version": version,
        "purl": f"pkg:pypi/{name}@{version}",
        **({"licenses": [{"license": {"name": said.splitlines()[0][:200]}}]} if said.strip() else {}),
        "externalReferences": [
            {
                "type": "distribution",
                "url": f"https://pypi.org/project/{name}/{version}/",
                "hashes": [{"alg": "SHA-256", "content": digest} for digest in hashes[name, version]],
            }
        ],
    }


def bill(installed: list[Distribution], lock: str) -> dict[str, Any]:
    """The whole document."""
    by_name = {normalised(one.name): one for one in installed}
    ours = by_name.pop(OURS)
    hashes = hashes_of(lock)
    components = [component(by_name[name], hashes) for name in sorted(by_name)]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(components))}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": OURS,
                "name": OURS,
                "version": ours.version,
                "purl": f"pkg:pypi/{OURS}@{ours.version}",
            }
        },
        "components": components,
        "dependencies": [{"ref": OURS, "dependsOn": [one["bom-ref"] for one in components]}],
    }


if __name__ == "__main__":
    document = bill(list(distributions()), Path(sys.argv[1]).read_text())
    json.dump(document, sys.stdout, indent=1)
