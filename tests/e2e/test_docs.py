"""Every command block of the documentation is executed, in order, as it stands there."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from rollout.demo.audience import open_audience
from rollout.demo.stage import CONFIG, Stage, open_stage

ROOT = Path(__file__).parents[2]
SECRET = "a secret of the documentation"
PAGES = sorted(
    path
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("config/**/*.md")]
    if "```sh" in path.read_text()
)
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="Prometheus is missing: apt-get install prometheus"),
    pytest.mark.skipif(not shutil.which("curl") or not shutil.which("openssl"), reason="curl or openssl is missing"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    root = tmp_path_factory.mktemp("docs")
    hooks = Path(shutil.copy(CONFIG / "hooks.yaml", root / "hooks.yaml"))
    (root / "hooks.secret").write_text(SECRET)
    async with (
        open_stage(root / "stage", plan=CONFIG / "demo/reviews.yaml", tell=print, hooks=hooks) as stage,
        open_audience(stage.bookinfo.users_address, stage.bookinfo.page_url),
    ):
        yield stage


def blocks_of(page: Path) -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def environment(stage: Stage) -> dict[str, str]:
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "ROLLOUT_SERVER": stage.daemon_url,
        "MESH": str(stage.root / "mesh"),
        "PRODUCTPAGE": f"http://{stage.bookinfo.users_address}",
        "SECRET": SECRET,
        "CI": "1",
    }


def run(script: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = ["bash", "-euo", "pipefail", "-c", script]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
async def test_the_commands_of_a_page_work(stage: Stage, page: Path) -> None:
    await asyncio.to_thread(run, "rollout abort reviews; rollout status reviews --timeout 20s", environment(stage))
    await stage.bookinfo.apply("virtual-service-all-v1.yaml")
    for block in blocks_of(page):
        # `make` would run this very test again: its targets are looked at, not run.
        script = re.sub(r"^make ", "make --dry-run ", block, flags=re.MULTILINE)
        done = await asyncio.to_thread(run, script, environment(stage))
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        assert done.stdout.strip() or done.stderr.strip(), f"{block} says nothing"
