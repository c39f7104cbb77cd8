"""The Job of a distributed run, as a document. Pure: nothing is asked, nothing is created.

One pod for each worker, its number is its index in the Job (completionMode Indexed). The pods ask the collector for
their work, so no URL, header or body of the plan is in the Job. The token is: it opens nothing but this run's collector
and dies with the run. It is an annotation that the kubelet hands to the pod as a file, because a Secret would need
whoever starts the run to have rights on Secrets, which the daemon must not have.

In sidecar mode weights act in the caller's proxy, so load pods want a sidecar: held back until the proxy is ready, and
native (a container that goes when the worker has gone) where Istio can; where it cannot, the pod tells the sidecar to
quit. Nothing here mounts an API token.
"""

import math
import re
from dataclasses import dataclass, field
from typing import Any

Document = dict[str, Any]

JOIN_S = 120.0  # until all pods are there: images are pulled and nodes are added meanwhile
TTL_S = 300  # a finished Job can be looked at for so long, then it removes itself and its pods
MARGIN_S = 60.0  # for pulling out, last words and clocks, on top of the plan and the wait for the others
USER = 65532
LABELS = {"app.kubernetes.io/name": "rollout", "app.kubernetes.io/component": "load"}
TOKEN_ANNOTATION = "loadgen.rollout.dev/token"  # noqa: S105  # its name, not a token
TOKEN_DIRECTORY = "/run/loadgen"  # noqa: S105  # where it is
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,50}[a-z0-9])?")  # 52: the controller adds the index and five letters
_IMAGE = re.compile(r"[A-Za-z0-9][-A-Za-z0-9._/:@]{0,511}")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """What the Job is made from."""

    name: str
    workers: int
    image: str
    collector: str  # base URL, as the pods reach it
    token: str = field(repr=False)
    duration_s: float  # of the plan
    namespace: str = "default"
    service_account: str = "rollout-load"
    mesh: bool = True  # ask for a sidecar
    cpu: str = "1"
    memory: str = "512Mi"

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"name: {self.name!r} is not 1 to 52 lower case letters, digits and dashes")
        if not 1 <= self.workers <= 64:
            raise ValueError("workers: expected 1 to 64")
        if not _IMAGE.fullmatch(self.image):
            raise ValueError(f"image: {self.image!r} is not the name of an image")
        if not re.fullmatch(r"https?://[^\s/]+", self.collector):
            raise ValueError(f"collector: expected http://HOST:PORT, got {self.collector!r}")


def job(spec: JobSpec) -> Document:
    """The Job."""
    deadline_s = math.ceil(JOIN_S + spec.duration_s + MARGIN_S)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": spec.name, "namespace": spec.namespace, "labels": dict(LABELS)},
        "spec": {
            "completionMode": "Indexed",
            "completions": spec.workers,
            "parallelism": spec.workers,
            "backoffLimit": 0,  # a share cannot be begun twice: a lost worker spoils the run, and another would be late
            "activeDeadlineSeconds": deadline_s,
            "ttlSecondsAfterFinished": TTL_S,
            "template": _template(spec),
        },
    }


def _template(spec: JobSpec) -> Document:
    labels = dict(LABELS) | ({"sidecar.istio.io/inject": "true"} if spec.mesh else {"sidecar.istio.io/inject": "false"})
    annotations = {TOKEN_ANNOTATION: spec.token}
    if spec.mesh:
        annotations |= {
            "proxy.istio.io/config": '{"holdApplicationUntilProxyStarts": true}',
            "sidecar.istio.io/nativeSidecar": "true",
        }
    return {
        "metadata": {"labels": labels, "annotations": annotations},
        "spec": {
            "serviceAccountName": spec.service_account,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 15,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": USER,
                "runAsGroup": USER,
                "fsGroup": USER,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "topologySpreadConstraints": [
                {
                    "maxSkew": 1,
                    "topologyKey": "kubernetes.io/hostname",
                    "whenUnsatisfiable": "ScheduleAnyway",
                    "labelSelector": {"matchLabels": {"batch.kubernetes.io/job-name": spec.name}},
                }
            ],
            "containers": [_container(spec)],
            "volumes": [
                {"name": "tmp", "emptyDir": {"sizeLimit": "16Mi"}},
                {
                    "name": "token",
                    "downwardAPI": {
                        "defaultMode": 0o440,
                        "items": [
                            {
                                "path": "token",
                                "fieldRef": {"fieldPath": f"metadata.annotations['{TOKEN_ANNOTATION}']"},
                            }
                        ],
                    },
                },
            ],
        },
    }


def _container(spec: JobSpec) -> Document:
    command = ["loadgen", "pod", "--collector", spec.collector, "--token-file", f"{TOKEN_DIRECTORY}/token"]
    resources = {"cpu": spec.cpu, "memory": spec.memory}
    return {
        "name": "loadgen",
        "image": spec.image,
        "command": [*command, *(["--quit-sidecar"] if spec.mesh else [])],
        # The controller sets JOB_COMPLETION_INDEX, and the pod reads it.
        "resources": {"requests": resources, "limits": resources},  # alike: Guaranteed, so nobody takes its CPU away
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108  # the container's own, by the volume above
            {"name": "token", "mountPath": TOKEN_DIRECTORY, "readOnly": True},
        ],
    }
