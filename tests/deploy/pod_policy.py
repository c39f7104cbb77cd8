"""What a pod has to be: the Pod Security Standard `restricted`, and what this project asks of itself beyond it."""

from collections.abc import Iterator
from typing import Any

VOLUMES = {"configMap", "downwardAPI", "emptyDir", "projected", "secret", "persistentVolumeClaim", "ephemeral", "csi"}


def problems_of(template: dict[str, Any]) -> Iterator[str]:
    """Everything that is wrong with a pod template."""
    pod = template["spec"]
    security = pod.get("securityContext", {})
    yield from (f"{key} is set" for key in ("hostNetwork", "hostPID", "hostIPC") if pod.get(key))
    if security.get("runAsNonRoot") is not True or not security.get("runAsUser"):
        yield "may run as root"
    if security.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
        yield "has no seccomp profile"
    if "automountServiceAccountToken" not in pod:
        yield "does not say whether it needs an API token"
    for volume in pod.get("volumes", ()):
        if set(volume) - {"name"} - VOLUMES:
            yield f"volume {volume['name']} is of a forbidden kind"
        if volume.get("emptyDir") is not None and "sizeLimit" not in volume["emptyDir"]:
            yield f"volume {volume['name']} has no limit"
    for container in [*pod["containers"], *pod.get("initContainers", ())]:
        yield from (f"{container['name']}: {problem}" for problem in _container_problems(container))


def _container_problems(container: dict[str, Any]) -> Iterator[str]:
    security, resources = container.get("securityContext", {}), container.get("resources", {})
    if security.get("allowPrivilegeEscalation") is not False or security.get("privileged"):
        yield "may escalate"
    if security.get("capabilities", {}).get("drop") != ["ALL"] or security["capabilities"].get("add"):
        yield "keeps capabilities"
    if security.get("readOnlyRootFilesystem") is not True:
        yield "may write to its root file system"
    for kind in ("requests", "limits"):
        yield from (f"no {kind}.{what}" for what in ("cpu", "memory") if what not in resources.get(kind, {}))
    if any("hostPort" in port for port in container.get("ports", ())):
        yield "takes a port of the node"
    name, _, tag = container["image"].rpartition(":")
    if not name or tag == "latest":
        yield f"image {container['image']} is not pinned"
