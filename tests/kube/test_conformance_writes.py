"""What an API server makes of writes: the fake and a real one have to agree, row by row."""

import pytest

from tests.kube.servers import APPLY, ISTIO, MERGE, PATCH, Server, virtual_service, weights

pytestmark = pytest.mark.asyncio
OWN = {"fieldManager": "rollout"}


async def test_a_merge_patch_of_a_mapping_sent_as_json_patch_is_refused(server: Server) -> None:
    await server.virtual_service()
    assert (await server.patch_vs(weights(70, 30), kind=PATCH)).status == 400


async def test_custom_resources_take_no_strategic_merge(server: Server) -> None:
    await server.virtual_service()
    answer = await server.patch_vs(weights(70, 30), kind="application/strategic-merge-patch+json")
    assert (answer.status, answer.body["reason"]) == (415, "UnsupportedMediaType")


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
async def test_a_stale_resource_version_is_a_conflict_without_causes(server: Server, method: str) -> None:
    stale = (await server.virtual_service()).body
    assert (await server.patch_vs(weights(60, 40))).status == 200
    body = {**stale, "spec": {**stale["spec"], **weights(70, 30)["spec"]}}
    kind = MERGE if method == "PATCH" else "application/json"
    answer = await server.ask(method, server.path(ISTIO, "virtualservices", "reviews"), body, kind=kind)
    assert (answer.status, answer.body["reason"]) == (409, "Conflict")
    assert not answer.body.get("details", {}).get("causes")


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/metadata/resourceVersion", "value": "1"},
        {"op": "test", "path": "/spec/http/0/route/0/weight", "value": 51},
        {"op": "replace", "path": "/spec/http/7/route/0/weight", "value": 51},
    ],
)
async def test_a_json_patch_that_does_not_fit_is_invalid_and_no_conflict(
    server: Server, operation: dict[str, object]
) -> None:
    await server.virtual_service()
    answer = await server.patch_vs([operation], kind=PATCH)
    assert (answer.status, answer.body["reason"]) == (422, "Invalid")


async def test_a_json_patch_says_its_precondition_by_replacing_the_resource_version(server: Server) -> None:
    first = await server.virtual_service()
    await server.patch_vs(weights(60, 40))
    change = {"op": "replace", "path": "/spec/http/0/route/0/weight", "value": 1}
    stale = {"op": "replace", "path": "/metadata/resourceVersion", "value": first.version}
    assert (await server.patch_vs([stale, change], kind=PATCH)).status == 409
    fresh = {**stale, "value": (await server.get_vs()).version}
    assert (await server.patch_vs([fresh, change], kind=PATCH)).status == 200


async def test_a_put_needs_a_resource_version_and_a_merge_patch_does_not(server: Server) -> None:
    body = (await server.virtual_service()).body
    del body["metadata"]["resourceVersion"]
    assert (await server.ask("PUT", server.path(ISTIO, "virtualservices", "reviews"), body)).status == 422
    assert (await server.patch_vs(weights(10, 90))).status == 200


async def test_a_write_that_changes_nothing_leaves_no_trace(server: Server) -> None:
    first = await server.virtual_service()
    again = await server.patch_vs(weights(50, 50))
    assert (again.status, again.version) == (200, first.version)
    assert again.body["metadata"]["generation"] == first.body["metadata"]["generation"]
    async with server.watch(
        server.path(ISTIO, "virtualservices"), resourceVersion=first.version, timeoutSeconds="1"
    ) as watched:
        assert await watched.next() is None


async def test_an_apply_needs_a_field_manager(server: Server) -> None:
    await server.virtual_service()
    answer = await server.patch_vs({**virtual_service(), **weights(70, 30)}, kind=APPLY)
    assert answer.status in (400, 422)
    assert "fieldManager" in answer.body["message"]


async def test_an_apply_of_what_somebody_else_owns_names_him(server: Server) -> None:
    await server.create(ISTIO, "virtualservices", virtual_service(), fieldManager="kubectl")
    body = virtual_service()
    body["spec"]["http"] = weights(70, 30)["spec"]["http"]
    answer = await server.patch_vs(body, kind=APPLY, **OWN)
    assert answer.status == 409
    assert [cause["reason"] for cause in answer.body["details"]["causes"]] == ["FieldManagerConflict"]
    assert "kubectl" in answer.body["details"]["causes"][0]["message"]


async def test_a_forced_apply_takes_the_whole_list_over(server: Server) -> None:
    first = await server.create(ISTIO, "virtualservices", virtual_service(), fieldManager="kubectl")
    body = virtual_service()
    body["spec"]["http"] = weights(70, 30)["spec"]["http"]
    body["metadata"]["resourceVersion"] = "1"
    assert (await server.patch_vs(body, kind=APPLY, force="true", **OWN)).status == 409
    body["metadata"]["resourceVersion"] = first.version
    taken = await server.patch_vs(body, kind=APPLY, force="true", **OWN)
    owners = {
        e["manager"] for e in taken.body["metadata"]["managedFields"] if "f:http" in e["fieldsV1"].get("f:spec", {})
    }
    assert (taken.status, owners) == (200, {"rollout"})


async def test_http_is_owned_as_a_whole_by_whoever_wrote_it_last(server: Server) -> None:
    await server.create(ISTIO, "virtualservices", virtual_service(), fieldManager="kubectl")
    changed = await server.patch_vs(weights(70, 30), **OWN)
    fields = {e["manager"]: e["fieldsV1"].get("f:spec", {}) for e in changed.body["metadata"]["managedFields"]}
    assert fields["rollout"] == {"f:http": {}}
    assert "f:http" not in fields["kubectl"]
    assert "f:hosts" in fields["kubectl"]


async def test_a_client_side_apply_resets_the_weights_and_owns_them_again(server: Server) -> None:
    await server.create(ISTIO, "virtualservices", virtual_service(), fieldManager="kubectl")
    await server.patch_vs(weights(70, 30), **OWN)
    reset = await server.patch_vs(weights(50, 50), fieldManager="kubectl")
    owners = {
        e["manager"] for e in reset.body["metadata"]["managedFields"] if "f:http" in e["fieldsV1"].get("f:spec", {})
    }
    assert reset.body["spec"]["http"][0]["route"][0]["weight"] == 50
    assert owners == {"kubectl"}


async def test_a_server_side_apply_without_force_leaves_our_weights(server: Server) -> None:
    await server.patch_vs(virtual_service(), kind=APPLY, fieldManager="gitops")
    await server.patch_vs(weights(70, 30), **OWN)
    refused = await server.patch_vs(virtual_service(), kind=APPLY, fieldManager="gitops")
    assert refused.status == 409
    assert (await server.get_vs()).body["spec"]["http"][0]["route"][0]["weight"] == 70
    forced = await server.patch_vs(virtual_service(), kind=APPLY, fieldManager="gitops", force="true")
    assert forced.body["spec"]["http"][0]["route"][0]["weight"] == 50


async def test_an_unknown_field_is_dropped_with_a_warning_or_refused_on_demand(server: Server) -> None:
    await server.virtual_service()
    answer = await server.patch_vs({"spec": {"colour": "blue"}})
    assert answer.status == 200
    assert "colour" not in answer.body["spec"]
    assert "colour" in answer.headers["Warning"]
    assert (await server.patch_vs({"spec": {"colour": "blue"}}, fieldValidation="Strict")).status == 422


async def test_weights_that_sum_to_130_are_taken(server: Server) -> None:
    await server.virtual_service()
    assert (await server.patch_vs(weights(60, 70))).status == 200


async def test_null_deletes_and_lists_are_replaced(server: Server) -> None:
    await server.virtual_service(http=[{"name": "a"}, {"name": "b"}])
    await server.patch_vs({"spec": {"gateways": ["mesh"]}, "metadata": {"annotations": {"a": "1", "b": "2"}}})
    answer = await server.patch_vs(
        {"spec": {"gateways": None, "http": [{"name": "c"}]}, "metadata": {"annotations": {"a": None}}}
    )
    assert answer.body["spec"] == {"hosts": ["reviews"], "http": [{"name": "c"}]}
    assert answer.body["metadata"]["annotations"] == {"b": "2"}


async def test_what_exists_already_is_named_so(server: Server) -> None:
    await server.virtual_service()
    answer = await server.create(ISTIO, "virtualservices", virtual_service())
    assert (answer.status, answer.body["reason"]) == (409, "AlreadyExists")


@pytest.mark.parametrize("version", ["v1", "v1beta1", "v1alpha3"])
async def test_a_virtual_service_is_served_in_every_version(server: Server, version: str) -> None:
    await server.virtual_service()
    group = f"networking.istio.io/{version}"
    answer = await server.ask("GET", server.path(group, "virtualservices", "reviews"))
    assert (answer.status, answer.body["apiVersion"]) == (200, group)
    listed = await server.ask("GET", f"/apis/{group}")
    assert "virtualservices" in {resource["name"] for resource in listed.body["resources"]}


async def test_a_version_that_is_not_served_is_not_found(server: Server) -> None:
    answer = await server.ask("GET", server.path("networking.istio.io/v9", "virtualservices"))
    assert answer.status == 404


async def test_a_finalizer_keeps_an_object_until_it_is_removed(server: Server) -> None:
    await server.virtual_service()
    await server.patch_vs({"metadata": {"finalizers": ["rollout.dev/traces"]}})
    path = server.path(ISTIO, "virtualservices", "reviews")
    assert (await server.ask("DELETE", path)).status == 200
    assert (await server.get_vs()).body["metadata"]["deletionTimestamp"]
    await server.patch_vs({"metadata": {"finalizers": None}})
    assert (await server.get_vs()).status == 404
