"""The Bookinfo documents of `config/bookinfo`, as tests read them."""

from pathlib import Path
from typing import Any

from rollout.mesh.registry import Registry, load_registry
from rollout.mesh.translate.configuration import Configuration, configuration_of
from rollout.yaml_documents import load, load_all

DIRECTORY = Path(__file__).parents[4] / "config" / "bookinfo"
SETS = sorted(path.stem for path in DIRECTORY.glob("*.yaml") if path.stem != "registry")


def bookinfo_registry() -> Registry:
    return load_registry(load((DIRECTORY / "registry.yaml").read_text(), file="registry.yaml"))


def documents_of(name: str) -> list[dict[str, Any]]:
    """The documents of one set."""
    return [document.value for document in load_all((DIRECTORY / f"{name}.yaml").read_text(), file=name)]


def applied(*sets: str) -> Configuration:
    """What holds after applying *sets* in order: a later document replaces an earlier one of the same name."""
    documents = {
        (document["kind"], document["metadata"]["name"]): document for name in sets for document in documents_of(name)
    }
    return configuration_of(bookinfo_registry(), documents.values())
