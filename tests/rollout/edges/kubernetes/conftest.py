"""The fake API server of tests/kube, and our client connected to it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from rollout.edges.kubernetes.client import Cluster
from tests.kube.certificates import Certificates, make_certificates
from tests.kube.fake import FakeKube
from tests.rollout.edges.kubernetes.clusters import a_fake, connected


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest_asyncio.fixture
async def kube(certificates: Certificates) -> AsyncIterator[FakeKube]:
    async with a_fake(certificates) as fake:
        yield fake


@pytest_asyncio.fixture
async def api(kube: FakeKube, certificates: Certificates, tmp_path: Path) -> AsyncIterator[Cluster]:
    async with connected(kube, certificates, tmp_path) as found:
        yield found
