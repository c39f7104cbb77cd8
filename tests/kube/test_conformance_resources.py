"""Our own kinds, Leases and Events on an API server: the fake and a real one have to agree."""

from typing import Any

import pytest

from tests.kube.servers import MERGE, ROLLOUT, Answer, Json, Server

pytestmark = pytest.mark.asyncio
LEASES, EVENTS = "coordination.k8s.io/v1", "events.k8s.io/v1"
TIME = "2026-11-23T20:00:00.000000Z"


def rollout(**spec: Any) -> Json:
    body = {"service": "reviews", "from": "v1", "to": "v3", **spec}
    return {"apiVersion": ROLLOUT, "kind": "TrafficRollout", "metadata": {"name": "r-1"}, "spec": body}


async def create(server: Server, **spec: Any) -> Answer:
    return await server.create(ROLLOUT, "trafficrollouts", rollout(**spec))


async def patch(server: Server, body: Json, sub: str = "", **query: str) -> Answer:
    path = server.path(ROLLOUT, "trafficrollouts", "r-1", sub)
    return await server.ask("PATCH", path, body, kind=MERGE, **query)


async def test_a_status_sent_to_the_main_endpoint_is_ignored(server: Server) -> None:
    first = await create(server)
    assert first.status == 201, first.body
    answer = await patch(server, {"status": {"message": "hello"}})
    assert (answer.status, answer.body.get("status")) == (200, first.body.get("status"))


async def test_a_spec_sent_to_the_status_endpoint_is_ignored(server: Server) -> None:
    await create(server)
    answer = await patch(server, {"spec": {"to": "v9"}, "status": {"message": "hello"}}, "status")
    assert answer.status == 200
    assert (answer.body["spec"]["to"], answer.body["status"]["message"]) == ("v3", "hello")


async def test_a_generation_counts_changes_of_the_spec_alone(server: Server) -> None:
    first = await create(server)
    answer = await patch(server, {"status": {"message": "hello"}}, "status")
    assert answer.body["metadata"]["generation"] == first.body["metadata"]["generation"]
    assert answer.version != first.version


async def test_a_status_write_honours_the_resource_version(server: Server) -> None:
    first = await create(server)
    body = {"metadata": {"resourceVersion": first.version}, "status": {"message": "one"}}
    assert (await patch(server, body, "status")).status == 200
    assert (await patch(server, {**body, "status": {"message": "two"}}, "status")).status == 409


async def test_a_rollout_cannot_be_changed(server: Server) -> None:
    await create(server)
    answer = await patch(server, {"spec": {"to": "v4"}})
    assert (answer.status, answer.body["reason"]) == (422, "Invalid")
    assert "start another one" in answer.body["message"]


@pytest.mark.parametrize("spec", [{"to": "v1"}, {"to": 3}, {"plan": {"steps": [{"weight": 101, "hold": "1s"}]}}])
async def test_a_rollout_that_makes_no_sense_is_refused(server: Server, spec: Json) -> None:
    answer = await create(server, **spec)
    assert (answer.status, answer.body["reason"]) == (422, "Invalid")


async def test_what_the_daemon_remembers_is_kept_whatever_its_shape(server: Server) -> None:
    await create(server)
    state = {"any": {"thing": [1, {"deep": True}]}, "n": 1.5}
    answer = await patch(server, {"status": {"state": state, "history": [{"x": 1}]}}, "status")
    assert answer.body["status"] == {"state": state, "history": [{"x": 1}]}


def lease(**spec: Any) -> Json:
    return {"apiVersion": LEASES, "kind": "Lease", "metadata": {"name": "shard-0"}, "spec": spec}


async def test_a_lease_takes_micro_times_only(server: Server) -> None:
    assert (await server.create(LEASES, "leases", lease(renewTime="2026-11-23 20:00"))).status == 400
    body = lease(holderIdentity="a", leaseDurationSeconds=15, renewTime=TIME, acquireTime=TIME, leaseTransitions=0)
    first = await server.create(LEASES, "leases", body)
    assert first.status == 201
    path = server.path(LEASES, "leases", "shard-0")
    taken = {**first.body, "spec": {**first.body["spec"], "holderIdentity": "b", "leaseTransitions": 1}}
    assert (await server.ask("PUT", path, taken)).status == 200
    late = await server.ask("PUT", path, {**taken, "spec": {**taken["spec"], "holderIdentity": "a"}})
    assert (late.status, late.body["reason"]) == (409, "Conflict")


def event(**changes: Any) -> Json:
    return {
        "apiVersion": EVENTS,
        "kind": "Event",
        "metadata": {"name": "r-1.abc"},
        "eventTime": TIME,
        "type": "Normal",
        "reason": "StepPassed",
        "action": "Advance",
        "note": "weight 25%",
        "reportingController": "rollout.dev/daemon",
        "reportingInstance": "pod-1",
    } | changes


async def regarding(server: Server) -> Json:
    return {
        "regarding": {"kind": "TrafficRollout", "name": "r-1", "namespace": server.namespace, "apiVersion": ROLLOUT}
    }


async def test_an_event_counts_its_repetitions_in_a_series(server: Server) -> None:
    body = event(**await regarding(server))
    assert (await server.create(EVENTS, "events", body)).status == 201
    path = server.path(EVENTS, "events", "r-1.abc")
    series = {"series": {"count": 2, "lastObservedTime": TIME}}
    answer = await server.ask("PATCH", path, series, kind=MERGE)
    assert (answer.status, answer.body["series"]["count"]) == (200, 2)


@pytest.mark.parametrize("missing", ["eventTime", "action", "reportingController", "reportingInstance"])
async def test_an_event_says_who_did_what_when(server: Server, missing: str) -> None:
    body = event(**await regarding(server))
    del body[missing]
    assert (await server.create(EVENTS, "events", body)).status == 422


async def test_a_new_event_needs_a_name_of_its_own(server: Server) -> None:
    body = event(**await regarding(server), metadata={"generateName": "r-1."})
    assert (await server.create(EVENTS, "events", body)).status == 422
    old = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": "r-1."},
        "involvedObject": {"kind": "TrafficRollout", "name": "r-1", "namespace": server.namespace},
        "reason": "StepPassed",
        "message": "weight 25%",
    }
    assert (await server.create("v1", "events", old)).status == 201


async def test_endpoint_slices_and_pods_are_plain_objects(server: Server) -> None:
    body = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "reviews-1", "labels": {"kubernetes.io/service-name": "reviews"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.1.2.3"], "conditions": {"ready": True}}],
        "ports": [{"name": "http", "port": 9080, "protocol": "TCP"}],
    }
    assert (await server.create("discovery.k8s.io/v1", "endpointslices", body)).status == 201
    path = server.path("discovery.k8s.io/v1", "endpointslices")
    found = await server.ask("GET", path, labelSelector="kubernetes.io/service-name=reviews")
    assert found.body["items"][0]["endpoints"][0]["conditions"]["ready"] is True
