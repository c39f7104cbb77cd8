import pytest

from rollout.mesh.translate.configuration import check_document
from rollout.mesh.translate.document import InvalidDocument, Key
from tests.rollout.mesh.translate.documents import (
    Json,
    configured,
    destination_rule,
    errors_in,
    gateway,
    reviews,
    to,
    virtual_service,
)

RULE = destination_rule({"host": "reviews", "subsets": [{"name": "v1"}]})
ENTRY = gateway({"servers": [{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}]})


def warnings(*documents: Json) -> list[str]:
    return [
        str(finding).removeprefix("VirtualService bookinfo/it spec.") for finding in configured(*documents).warnings
    ]


@pytest.mark.parametrize(
    "document",
    [
        reviews({"route": [to(subset="v1")]}),
        reviews({"route": [to("ratings.bookinfo.svc.cluster.local")]}, gateways=["mesh", "entry", "bookinfo/entry"]),
        reviews({"route": [to()], "mirror": {"host": "reviews", "subset": "v1"}}),
        reviews({"route": [to()], "mirrors": [{"destination": {"host": "ratings"}}]}),
    ],
)
def test_references_to_what_is_there_are_quiet(document: Json) -> None:
    assert warnings(RULE, ENTRY, document) == []


MISSING = "there is no service nobody.bookinfo.svc.cluster.local: requests will get 503 (flag NC)"
NO_SUBSET = "no DestinationRule of reviews.bookinfo.svc.cluster.local has subset v9: requests will get 503 (flag NC)"


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (reviews({"route": [to("nobody")]}), f"http[0].route[0].destination.host: {MISSING}"),
        (
            reviews({"route": [to(weight=1), to(subset="v9", weight=1)]}),
            f"http[0].route[1].destination.subset: {NO_SUBSET}",
        ),
        (reviews({"route": [to()], "mirror": {"host": "nobody"}}), f"http[0].mirror.host: {MISSING}"),
        (
            reviews({"route": [to()], "mirrors": [{"destination": {"host": "reviews", "subset": "v9"}}]}),
            f"http[0].mirrors[0].destination.subset: {NO_SUBSET}",
        ),
        (
            reviews({"route": [to()]}, gateways=["mesh", "edge/entry"]),
            "gateways[1]: there is no Gateway edge/entry: this host is not served there",
        ),
        (
            reviews({"delegate": {"name": "leaf"}}),
            "http[0].delegate: there is no delegate leaf: nothing is routed",
        ),
    ],
)
def test_references_to_what_is_not_there_are_warnings(document: Json, expected: str) -> None:
    assert warnings(RULE, ENTRY, document) == [expected]


def test_a_delegate_that_is_there_is_found() -> None:
    leaf = virtual_service({"http": [{"route": [to()]}]}, "leaf")
    configuration = configured(reviews({"delegate": {"name": "leaf"}}), leaf)

    assert configuration.warnings == ()
    assert [str(service.key) for service in configuration.virtual_services] == ["VirtualService bookinfo/it"]


def test_odd_settings_are_warnings_of_their_document() -> None:
    odd = destination_rule({"host": "reviews", "trafficPolicy": {"tunnel": {}}})

    assert [str(finding) for finding in configured(odd).warnings] == [
        "DestinationRule bookinfo/it spec.trafficPolicy.tunnel: has no effect in the embedded mesh"
    ]
    assert check_document(odd) == (Key("DestinationRule", "bookinfo", "it"), configured(odd).warnings)


def test_everything_is_sorted_oldest_first() -> None:
    spec = {"hosts": ["a"], "http": [{"route": [to()]}]}
    configuration = configured(
        *(virtual_service(spec, f"v{year}", created=year) for year in ("2025", "2023", "2024")),
        *(destination_rule({"host": "a"}, f"d{year}", created=year) for year in ("2025", "2023")),
        *(gateway(ENTRY["spec"], f"g{year}", created=year) for year in ("2025", "2023")),
    )

    assert [service.key.name for service in configuration.virtual_services] == ["v2023", "v2024", "v2025"]
    assert [rule.key.name for rule in configuration.destination_rules] == ["d2023", "d2025"]
    assert [entry.key.name for entry in configuration.gateways] == ["g2023", "g2025"]


def service(**spec: object) -> Json:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "new", "namespace": "bookinfo"}, "spec": spec}


def test_services_are_added_to_the_registry() -> None:
    configuration = configured(service(ports=[{"port": 80}], selector={"app": "new"}))

    assert "new.bookinfo.svc.cluster.local" in configuration.destinations.services
    assert [found.name for found in configuration.registry.services] == ["reviews", "ratings", "new"]


def test_a_service_without_ports_is_not_one() -> None:
    assert len(configured(service(clusterIP="None")).registry.services) == 2


def test_the_first_wrong_document_stops_everything_with_all_its_problems() -> None:
    wrong = reviews({"route": [to("*"), to("!", weight=1)]})

    with pytest.raises(InvalidDocument) as caught:
        configured(RULE, wrong)
    assert str(caught.value) == (
        "VirtualService bookinfo/it spec.http[0].route[0].destination.host: not a host: '*'\n"
        "VirtualService bookinfo/it spec.http[0].route[1].destination.host: not a host: '!'"
    )
    assert caught.value.key == Key("VirtualService", "bookinfo", "it")


@pytest.mark.parametrize(
    ("wrong", "path", "message"),
    [
        (virtual_service({"hosts": 5}), "spec.hosts", "expected a list, got 5"),
        (destination_rule({"host": 5}), "spec.host", "expected a string, got 5; put it in quotes"),
        (gateway({"servers": 5}), "spec.servers", "expected a list, got 5"),
        (service(ports=[{"port": 0}]), "spec.ports[0].port", "must be in 1..65535, got 0"),
        (destination_rule({"host": ""}), "spec.host", "not a host: ''"),
        (gateway({}), "spec.servers", "a gateway needs servers"),
        (virtual_service({"hosts": ["a"]}), "spec", "http, tcp or tls must be provided"),
    ],
)
def test_every_kind_is_looked_at_in_shape_and_rules(wrong: Json, path: str, message: str) -> None:
    assert errors_in(wrong) == [(path, message)]
