"""The overlays of deploy/, rendered by kubectl, once each."""

import functools
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
OVERLAYS = ("cluster", "namespaced", "demo-bookinfo", "prometheus-operator", "grafana")
needs_kubectl = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is missing: manifests not rendered")

Document = dict[str, Any]


@functools.cache
def text_of(overlay: str) -> str:
    command = ["kubectl", "kustomize", str(ROOT / "deploy/overlays" / overlay)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@functools.cache
def rendered(overlay: str) -> tuple[Document, ...]:
    return tuple(yaml.load_all(text_of(overlay), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))


def of_kind(overlay: str, kind: str) -> list[Document]:
    return [document for document in rendered(overlay) if document["kind"] == kind]


def named(overlay: str, kind: str, name: str) -> Document:
    (found,) = [document for document in of_kind(overlay, kind) if document["metadata"]["name"] == name]
    return found


def pods_of(overlay: str) -> list[tuple[str, Document]]:
    """Every pod template, by the name of what makes it."""
    makers = [document for kind in ("Deployment", "Job") for document in of_kind(overlay, kind)]
    return [(maker["metadata"]["name"], maker["spec"]["template"]) for maker in makers]
