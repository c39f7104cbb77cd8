"""The image: its Dockerfile is sound, its bill of materials complete, and its file system runs the daemon."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
import urllib.request
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any

import pytest

from rollout.mesh.directory import MeshDirectory
from rollout.mesh.registry import load_registry
from rollout.yaml_documents import load
from tests.deploy.dockerfile import Ignored, expand, parse
from tests.deploy.image_without_docker import build, can_mount

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "Dockerfile"
STEPS = parse(DOCKERFILE.read_text())
HADOLINT = Path(sys.executable).parent / "hadolint"


def test_hadolint_has_nothing_to_say(tmp_path: Path) -> None:
    done = subprocess.run([str(HADOLINT), str(DOCKERFILE)], capture_output=True, text=True, timeout=30, check=False)
    (tmp_path / "Dockerfile").write_text("FROM debian\nRUN apt-get install curl\n")
    bad = subprocess.run([str(HADOLINT), str(tmp_path / "Dockerfile")], capture_output=True, timeout=30, check=False)

    assert (done.returncode, done.stdout) == (0, "")
    assert bad.returncode == 1


def last_stage() -> list[Any]:
    start = max(index for index, step in enumerate(STEPS) if step.word == "FROM")
    return STEPS[start:]


def test_the_daemon_is_nobody_and_nothing_but_the_environment_is_copied() -> None:
    final = last_stage()
    users = [step.text for step in final if step.word == "USER"]
    copies = [step.text for step in final if step.word == "COPY"]
    runs = [step.text for step in final if step.word == "RUN"]

    assert users == ["65532:65532"]
    assert copies == ["/opt/rollout /opt/rollout"]
    assert runs == ["install -d -o 65532 -g 65532 /var/lib/rollout"]
    assert [step.words for step in final if step.word in ("ENTRYPOINT", "CMD")] == [["rollout"], ["serve"]]


def test_every_package_comes_from_a_lock_with_its_hash_and_none_is_compiled() -> None:
    installs = re.findall(r"pip (?:--python \S+ )?install [^&]*", " ".join(s.text for s in STEPS if s.word == "RUN"))

    assert len(installs) == 3
    for install in installs:
        from_lock = "--require-hashes --only-binary=:all:" in install and "--requirement requirements/" in install
        assert from_lock or "--no-deps --no-index" in install


def test_the_locks_agree_with_each_other() -> None:
    def pins(name: str) -> set[str]:
        return set(re.findall(r"^[\w.-]+==[^\s;\\]+", (ROOT / "requirements" / name).read_text(), re.MULTILINE))

    assert pins("run.txt") <= pins("dev.txt")
    assert pins("build.txt") - {pin for pin in pins("build.txt") if pin.startswith("tomlkit==")} <= pins("dev.txt")
    assert any(pin.startswith("hatchling==") for pin in pins("build.txt"))


def test_labels_say_what_it_is() -> None:
    labels = {name: value for step in STEPS if step.word == "LABEL" for name, value in step.pairs.items()}
    arguments = {name: value for step in last_stage() if step.word == "ARG" for name, value in step.pairs.items()}
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

    wanted = {"title", "description", "licenses", "source", "documentation", "version", "revision"}
    assert set(labels) == {f"org.opencontainers.image.{word}" for word in wanted}
    assert expand(labels["org.opencontainers.image.version"], arguments) == version


def test_the_build_sees_nothing_but_what_it_needs() -> None:
    ignored = Ignored.read(ROOT / ".dockerignore")

    assert {"tests/test_tidy.py", ".git/config", ".venv/pyvenv.cfg", "docs/loadgen.md", "build/x"} <= {
        path
        for path in ("tests/test_tidy.py", ".git/config", ".venv/pyvenv.cfg", "docs/loadgen.md", "build/x")
        if path in ignored
    }
    for path in ("rollout/app.py", "loadgen/cli/run.py", "requirements/run.txt", "deploy/image/sbom.py", "LICENSE"):
        assert path not in ignored
    assert "rollout/__pycache__/app.pyc" in ignored


def test_a_step_that_nobody_knows_is_an_error() -> None:
    with pytest.raises(ValueError, match="ADD is not known"):
        parse("FROM x\nADD http://x /")
    (run,) = parse("RUN a \\\n # said in between\n && b\n")
    assert run.text.split() == ["a", "&&", "b"]


def distribution(tmp_path: Path, name: str, version: str, extra: str = "") -> Distribution:
    info = tmp_path / f"{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n{extra}")
    return Distribution.at(info)


def test_the_bill_lists_what_is_installed_with_the_hashes_of_the_lock(tmp_path: Path) -> None:
    sbom: dict[str, Any] = {"__name__": "sbom"}
    exec(compile((ROOT / "deploy/image/sbom.py").read_text(), "sbom.py", "exec"), sbom)
    installed = [
        distribution(tmp_path, "rollout", "0.1.0"),
        distribution(tmp_path, "prometheus_client", "0.26.0", "License-Expression: Apache-2.0\n"),
    ]
    bill = sbom["bill"]
    lock = (ROOT / "requirements/run.txt").read_text()

    document = bill(installed, lock)

    (one,) = document["components"]
    assert (one["purl"], one["licenses"]) == (
        "pkg:pypi/prometheus-client@0.26.0",
        [{"license": {"name": "Apache-2.0"}}],
    )
    hashes = [entry["content"] for entry in one["externalReferences"][0]["hashes"]]
    assert hashes
    assert all(digest in lock for digest in hashes)
    assert document == bill(installed, lock), "the same packages, the same bytes"
    with pytest.raises(SystemExit, match="left-pad 1 is installed, but the lock does not have it"):
        bill([*installed, distribution(tmp_path, "left_pad", "1")], lock)


@pytest.mark.skipif(
    os.environ.get("IMAGE_CHECK") != "1", reason="builds the whole image, a minute or more: make image-check"
)
@pytest.mark.skipif(
    not can_mount(), reason="the image is put together by mounts: needs root, unshare and a Python of its own"
)
@pytest.mark.timeout(400)
def test_the_images_file_system_runs_the_daemon_read_only_as_nobody(tmp_path: Path) -> None:
    try:
        image = build(DOCKERFILE, tmp_path / "image")
    except subprocess.CalledProcessError as error:
        pytest.fail(f"{error.stdout}\n{error.stderr}")
    bill = json.loads((image.written / "opt/rollout/sbom.cdx.json").read_text())
    locked = set(re.findall(r"^[\w.-]+(?===)", (ROOT / "requirements/run.txt").read_text(), re.MULTILINE))
    assert {one["name"] for one in bill["components"]} <= locked
    assert {"aiohttp", "kubernetes-asyncio", "pydantic"} <= {one["name"] for one in bill["components"]}

    mesh, state, tmp = (tmp_path / name for name in ("mesh", "state", "tmp"))
    registry = load_registry(load((ROOT / "config/bookinfo/registry.yaml").read_bytes()))
    MeshDirectory.create(mesh, registry, time.time).publish()
    for directory in (mesh, state, tmp):
        directory.mkdir(exist_ok=True)
        subprocess.run(["chown", "-R", "65532:65532", str(directory)], check=True)
    binds = {"/var/lib/rollout": str(state), "/tmp": str(tmp), "/mnt": str(mesh)}
    command = " ".join([*image.entrypoint, *image.command, "--mesh /mnt --listen 127.0.0.1:0"])
    script = (
        f"touch /opt/rollout/x 2>/dev/null && exit 66; touch /etc/x 2>/dev/null && exit 67; id -u >&2; exec {command}"
    )
    command_line = image.within(script, read_only=True, binds=binds)
    with subprocess.Popen(command_line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as daemon:
        said = ""
        try:
            assert daemon.stdout is not None
            while (line := daemon.stdout.readline()) and "http://" not in line:
                said += line
            found = re.search(r"http://127\.0\.0\.1:\d+", line)
            assert found, f"the daemon ended: {said}"
            with urllib.request.urlopen(f"{found[0]}/readyz", timeout=10) as answer:
                assert (answer.status, answer.read()) == (200, b"ok")
            assert said.startswith("65532\n")
            assert (state / "rollout.sqlite").stat().st_uid == 65532
        finally:
            daemon.send_signal(signal.SIGTERM)
            assert daemon.wait(timeout=15) == 0, said
    shutil.rmtree(tmp_path / "image")
