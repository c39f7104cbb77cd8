"""mesh: serve Istio documents with a real Envoy on this machine, and change them while it runs."""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rollout.cli.client import Failed
from rollout.cli.exit_codes import Exit
from rollout.cli.streams import Format, say, write, write_document

if TYPE_CHECKING:
    from rollout.mesh.directory import Applied, MeshDirectory
    from rollout.mesh.embedded import EmbeddedMesh
    from rollout.mesh.registry import Registry
    from rollout.mesh.translate.document import Key

_DIRECTORY = click.Path(file_okay=False, path_type=Path)
_FILES = click.option(
    "-f",
    "--file",
    "files",
    multiple=True,
    required=True,
    type=click.Path(exists=True, path_type=Path),
    help="YAML file, or a directory of them. Repeatable.",
)


@click.group()
def mesh() -> None:
    """Serve Istio documents with a real Envoy on this machine.

    \b
    rollout mesh run build/mesh --registry config/bookinfo/registry.yaml -f config/bookinfo/destination-rule-all.yaml
    rollout mesh apply build/mesh -f config/bookinfo/virtual-service-reviews-80-20.yaml
    rollout mesh get build/mesh
    """


@mesh.command()
@click.argument("directory", type=_DIRECTORY)
@click.option("--registry", required=True, type=click.Path(dir_okay=False, path_type=Path), help="Who listens where.")
@click.option(
    "-f",
    "--file",
    "files",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="Documents to begin with.",
)
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", help="How to say it is ready.")
def run(directory: Path, registry: Path, files: tuple[Path, ...], output: str) -> int:
    """Run Envoy on DIRECTORY until Ctrl-C or SIGTERM.

    Each listener is the sidecar of one calling workload; a free port is taken where the registry says 0. Documents in
    DIRECTORY from an earlier run are kept.
    """
    from rollout.edges.clock import RealClock
    from rollout.mesh.embedded import embedded_mesh
    from rollout.telemetry import configure_logs

    configure_logs()
    asked = _registry(registry)
    documents = list(_objects(files))

    async def serve() -> None:
        async with embedded_mesh(directory, asked, documents, RealClock().now) as running:
            _announce(running, output)
            await _until_signalled()

    _checked(lambda: asyncio.run(serve()))
    return Exit.OK


def _announce(running: "EmbeddedMesh", output: str) -> None:
    if output == "json":
        write(json.dumps(asdict(running.status)))
        return
    for name, address in running.status.listeners.items():
        write(f"{name:<40} http://{address}")
    say(f"Envoy's admin interface: http://{running.status.admin}; Ctrl-C stops")


async def _until_signalled() -> None:
    import signal

    done = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, done.set)
    await done.wait()


@mesh.command()
@click.argument("directory", type=_DIRECTORY)
@_FILES
def apply(directory: Path, files: tuple[Path, ...]) -> int:
    """Create or replace documents, all of them or none; Envoy itself checks them first."""
    documents = list(_objects(files))
    _tell(_checked(lambda: _opened(directory).apply(documents)))
    return Exit.OK


@mesh.command()
@click.argument("directory", type=_DIRECTORY)
@_FILES
def delete(directory: Path, files: tuple[Path, ...]) -> int:
    """Forget the objects that FILES name; traffic is routed as without them."""
    from rollout.mesh.translate.document import key_of_document

    keys = _checked(lambda: [key_of_document(raw) for raw in _objects(files)])
    _tell(_checked(lambda: _opened(directory).delete(keys)))
    return Exit.OK


@mesh.command()
@click.argument("directory", type=_DIRECTORY)
@click.argument("kind", required=False)
@click.argument("name", required=False)
@click.option("-n", "--namespace", default="bookinfo", show_default=True)
@click.option("-o", "--output", type=click.Choice(["table", "json", "yaml"]), default="table")
def get(directory: Path, kind: str | None, name: str | None, namespace: str, output: str) -> int:
    """Show the documents, or the one of KIND and NAME."""
    found = [raw for raw in _checked(lambda: _opened(directory).documents()) if _is_meant(raw, kind, name, namespace)]
    if name and not found:
        raise Failed(f"there is no {kind} {namespace}/{name}")
    if output != Format.TABLE:
        write_document(found[0] if name else {"kind": "List", "items": found}, Format(output))
        return Exit.OK
    for raw in found:
        metadata = raw["metadata"]
        write(f"{raw['kind']:<16} {metadata['namespace']}/{metadata['name']:<24} version {metadata['resourceVersion']}")
    return Exit.OK


def _is_meant(raw: dict[str, Any], kind: str | None, name: str | None, namespace: str) -> bool:
    metadata = raw["metadata"]
    return (kind is None or raw["kind"].lower() == kind.lower()) and (
        name is None or (metadata["name"], metadata["namespace"]) == (name, namespace)
    )


@mesh.command()
@click.argument("directory", type=_DIRECTORY)
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table")
def status(directory: Path, output: str) -> int:
    """Where Envoy listens."""
    found = _checked(lambda: _opened(directory).status())
    if output == "json":
        write_document(asdict(found), Format.JSON)
        return Exit.OK
    for name, address in found.listeners.items():
        write(f"{name:<40} http://{address}")
    write(f"{'admin':<40} http://{found.admin}")
    return Exit.OK


def _opened(directory: Path) -> "MeshDirectory":
    from rollout.edges.clock import RealClock
    from rollout.mesh.directory import MeshDirectory

    return MeshDirectory.open(directory, RealClock().now)


def _registry(file: Path) -> "Registry":
    from rollout.mesh.registry import load_registry
    from rollout.yaml_documents import YamlError, load

    try:
        return load_registry(load(file.read_bytes(), file=str(file)))
    except (OSError, YamlError, ValueError) as error:
        raise Failed(str(error), Exit.USAGE) from error


def _objects(files: tuple[Path, ...]) -> Iterator[Mapping[str, Any]]:
    """Every object of *files*; directories give their *.yaml in order, registries left out."""
    from rollout.mesh.object_store import objects_in
    from rollout.mesh.registry import KIND
    from rollout.yaml_documents import YamlError, load_all

    for file in files:
        for path in sorted(file.glob("*.yaml")) if file.is_dir() else [file]:
            try:
                documents = load_all(path.read_bytes(), file=str(path))
            except (OSError, YamlError) as error:
                raise Failed(str(error), Exit.USAGE) from error
            for document in documents:
                is_registry = isinstance(document.value, dict) and document.value.get("kind") == KIND
                if not is_registry:
                    yield from objects_in(document.value)


def _checked(work: Callable[[], Any]) -> Any:
    """What *work* gives, its failures as messages with exit codes."""
    from rollout.mesh.translate.document import InvalidDocument
    from rollout.ports import Refused, Unavailable
    from rollout.yaml_documents import YamlError

    try:
        return work()
    except (InvalidDocument, YamlError) as error:
        raise Failed(str(error), Exit.USAGE) from error
    except Refused as error:
        raise Failed(str(error), Exit.USAGE) from error
    except (Unavailable, OSError) as error:
        raise Failed(str(error)) from error


def _tell(applied: "Applied") -> None:
    for key, change in applied.changes:
        write(f"{_short(key)} {change}")
    for warning in applied.warnings:
        say(f"warning: {warning}")


def _short(key: "Key") -> str:
    return f"{key.kind.lower()}/{key.name} in {key.namespace}"
