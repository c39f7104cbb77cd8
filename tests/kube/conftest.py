"""One API server per test (the fake) or per session (a real one), and a fresh namespace for each test."""

import os
import secrets
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.kube import crds
from tests.kube.certificates import Certificates, make_certificates
from tests.kube.fake import FakeKube, fake_kube
from tests.kube.real import RealKube, real_kube, why_not
from tests.kube.servers import Server, opened


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def real(certificates: Certificates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealKube]:
    """Skipped without assets; REQUIRE_REAL_KUBE=1 makes that a failure."""
    if reason := why_not():
        if os.environ.get("REQUIRE_REAL_KUBE") == "1":
            pytest.fail(f"REQUIRE_REAL_KUBE=1, but {reason}")
        pytest.skip(f"no real API server: {reason}")
    with real_kube(certificates, tmp_path_factory.mktemp("real-kube")) as kube:
        yield kube


@pytest_asyncio.fixture
async def fake(certificates: Certificates) -> AsyncIterator[FakeKube]:
    async with fake_kube(certificates) as kube:
        for crd in (*crds.of_the_mesh(), *crds.of_rollout()):
            kube.put("apiextensions.k8s.io", "customresourcedefinitions", crd)
        yield kube


@pytest_asyncio.fixture(params=["fake", "real"])
async def server(request: pytest.FixtureRequest, certificates: Certificates) -> AsyncIterator[Server]:
    """What the conformance suite talks to."""
    namespace = f"t-{secrets.token_hex(4)}"
    if request.param == "real":
        kube: RealKube = request.getfixturevalue("real")
        async with opened(kube.base, certificates.ca, namespace) as found:
            await found.define(*crds.of_the_mesh(), *crds.of_rollout())
            yield found
        return
    async with fake_kube(certificates) as fake_one:
        for crd in (*crds.of_the_mesh(), *crds.of_rollout()):
            fake_one.put("apiextensions.k8s.io", "customresourcedefinitions", crd)
        async with opened(fake_one.base, certificates.ca, namespace, fake_one) as found:
            yield found
