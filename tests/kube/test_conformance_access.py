"""Who an API server believes and what it lets him do: the fake and a real one have to agree."""

import pytest

from tests.kube import crds
from tests.kube.servers import ISTIO, Answer, Json, Server

pytestmark = pytest.mark.asyncio
RBAC = "rbac.authorization.k8s.io/v1"
ACCOUNT = "daemon"


async def token_of(server: Server, *, audiences: tuple[str, ...] = ()) -> str:
    body = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ACCOUNT}}
    await server.create("v1", "serviceaccounts", body)
    request = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": 600, **({"audiences": list(audiences)} if audiences else {})},
    }
    answer = await server.ask("POST", server.path("v1", "serviceaccounts", ACCOUNT, "token"), request)
    assert answer.status == 201, answer.body
    return str(answer.body["status"]["token"])


async def grant(server: Server, *rules: Json, user: str = "") -> None:
    """A Role with *rules* for the test's ServiceAccount, or for a user."""
    account = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": server.namespace}
    person = {"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}
    role = {"apiVersion": RBAC, "kind": "Role", "metadata": {"name": "granted"}, "rules": list(rules)}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "granted"}
    binding = {
        "apiVersion": RBAC,
        "kind": "RoleBinding",
        "metadata": {"name": "granted"},
        "roleRef": reference,
        "subjects": [person if user else account],
    }
    assert (await server.create(RBAC, "roles", role)).status == 201
    assert (await server.create(RBAC, "rolebindings", binding)).status == 201


async def review(server: Server, token: str, *audiences: str) -> Json:
    spec = {"token": token, **({"audiences": list(audiences)} if audiences else {})}
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec}
    answer = await server.ask("POST", "/apis/authentication.k8s.io/v1/tokenreviews", body)
    assert answer.status == 201
    return dict(answer.body["status"])


async def may(server: Server, user: str, verb: str, resource: str, sub: str = "") -> bool:
    attributes = {"group": "rollout.dev", "verb": verb, "resource": resource, "namespace": server.namespace}
    if sub:
        attributes["subresource"] = sub
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": user, "resourceAttributes": attributes},
    }
    answer = await server.ask("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", body)
    assert answer.status == 201
    return bool(answer.body["status"]["allowed"])


async def list_as(server: Server, **credentials: str) -> Answer:
    options = {"token": None, **credentials}
    return await server.ask("GET", server.path(ISTIO, "virtualservices"), **options)  # type: ignore[arg-type]


async def test_a_wrong_token_is_401(server: Server) -> None:
    answer = await list_as(server, token="nobody")
    assert (answer.status, answer.body["reason"]) == (401, "Unauthorized")


async def test_a_token_without_the_word_bearer_is_nobodys(server: Server) -> None:
    answer = await list_as(server, authorization="admin-token")
    assert answer.status == 403
    assert "system:anonymous" in answer.body["message"]


async def test_an_account_may_what_its_role_says_and_nothing_else(server: Server) -> None:
    token = await token_of(server)
    assert (await list_as(server, token=token)).status == 403
    await grant(server, {"apiGroups": ["networking.istio.io"], "resources": ["virtualservices"], "verbs": ["list"]})
    for _ in range(50):
        if (await list_as(server, token=token)).status == 200:
            break
    assert (await list_as(server, token=token)).status == 200
    forbidden = await server.ask("GET", server.path(ISTIO, "virtualservices", "reviews"), token=token)
    assert (forbidden.status, forbidden.body["reason"]) == (403, "Forbidden")


async def test_a_token_for_another_audience_is_nobodys_here_and_somebodys_there(server: Server) -> None:
    token = await token_of(server, audiences=("rollout",))
    assert (await list_as(server, token=token)).status == 401
    known = await review(server, token, "rollout")
    assert known["authenticated"] is True
    assert known["user"]["username"] == f"system:serviceaccount:{server.namespace}:{ACCOUNT}"
    assert known["audiences"] == ["rollout"]
    other = await review(server, token, "somebody-else")
    assert not other.get("authenticated")
    assert other["error"]


async def test_a_review_of_nonsense_is_a_no_in_a_success(server: Server) -> None:
    status = await review(server, "nonsense", "rollout")
    assert not status.get("authenticated")


async def test_a_made_up_subresource_can_be_granted_by_itself(server: Server) -> None:
    await grant(
        server, {"apiGroups": ["rollout.dev"], "resources": ["rollouts/promote"], "verbs": ["update"]}, user="alice"
    )
    for _ in range(50):
        if await may(server, "alice", "update", "rollouts", "promote"):
            break
    assert await may(server, "alice", "update", "rollouts", "promote")
    assert not await may(server, "alice", "update", "rollouts")
    assert not await may(server, "alice", "update", "rollouts", "abort")
    assert not await may(server, "bob", "update", "rollouts", "promote")


async def test_the_shipped_roles_are_taken(server: Server) -> None:
    for role in crds.roles_as_shipped():
        if role["kind"].startswith("Cluster"):
            plural = f"{role['kind'].lower()}s"
            answer = await server.ask("POST", f"/apis/{RBAC}/{plural}", role)
            assert answer.status in (201, 409), answer.body
