import json
import re
from typing import Any

import pytest

from rollout.mesh.registry import Proxy
from rollout.mesh.translate.istio_metrics import SCRAPED, access_log, scrape_config, stats_config

PROXY = Proxy(name="productpage-v1", namespace="bookinfo", labels={"app": "productpage", "version": "v1"})
NAME = "outbound|9080|v3|reviews.bookinfo.svc.cluster.local"
# istio_requests_total of istio/proxy's istio_stats, less reporter: what dashboards and graphs are written against.
ISTIO_LABELS = {
    *("source_workload", "source_workload_namespace", "source_principal", "source_app", "source_version"),
    *("source_canonical_service", "source_canonical_revision", "source_cluster"),
    *("destination_workload", "destination_workload_namespace", "destination_principal", "destination_app"),
    *("destination_version", "destination_service", "destination_service_name", "destination_service_namespace"),
    *("destination_canonical_service", "destination_canonical_revision", "destination_cluster"),
    *("request_protocol", "response_code", "grpc_response_status", "response_flags", "connection_security_policy"),
}


def tags(writer: dict[str, Any]) -> dict[str, str]:
    (counter,) = writer["typed_config"]["counters"]
    assert (counter["stat"]["name"], counter["value_fixed"]) == ("requests_total", 1)
    return {tag["name"]: tag["value_format"] for tag in counter["stat"]["tags"]}


def test_both_sides_report_istios_labels_and_the_subset() -> None:
    source, destination = access_log(PROXY, byte_histograms=False)

    assert set(tags(source)) == set(tags(destination)) == ISTIO_LABELS | {"reporter", "destination_subset"}
    differing = {name: (value, tags(destination)[name]) for name, value in tags(source).items()}
    assert {name: pair for name, pair in differing.items() if pair[0] != pair[1]} == {
        "reporter": ("source", "destination"),
        "connection_security_policy": ("unknown", "none"),
    }
    assert "filter" not in source
    assert destination["filter"]["extension_filter"]["typed_config"]["expression"] == "has(upstream.address)"


def test_the_source_is_the_virtual_sidecar() -> None:
    found = tags(access_log(PROXY, byte_histograms=False)[0])

    assert {name: value for name, value in found.items() if name.startswith("source_")} == {
        "source_workload": "productpage-v1",
        "source_workload_namespace": "bookinfo",
        "source_principal": "unknown",
        "source_app": "productpage",
        "source_version": "v1",
        "source_canonical_service": "productpage",
        "source_canonical_revision": "v1",
        "source_cluster": "embedded",
    }


@pytest.mark.parametrize(
    ("label", "where"),
    [
        ("destination_workload", "UPSTREAM_HOST:rollout:workload"),
        ("destination_version", "UPSTREAM_HOST:rollout:version"),
        ("destination_canonical_revision", "UPSTREAM_HOST:rollout:revision"),
        ("destination_service", "CLUSTER:rollout:host"),
        ("destination_service_name", "CLUSTER:rollout:name"),
        ("destination_subset", "CLUSTER:rollout:subset"),
    ],
)
def test_the_destination_comes_from_metadata_else_unknown(label: str, where: str) -> None:
    value = tags(access_log(PROXY, byte_histograms=False)[0])[label]

    assert value.startswith("%COALESCE(")
    assert json.loads(value.removeprefix("%COALESCE(").removesuffix(")%")) == {
        "operators": [
            {"command": "METADATA", "param": where},
            {"command": "ENVIRONMENT", "param": "ROLLOUT_UNKNOWN"},
        ]
    }


@pytest.mark.parametrize(
    ("bytes_too", "names"),
    [
        (False, ["request_duration_milliseconds"]),
        (True, ["request_duration_milliseconds", "request_bytes", "response_bytes"]),
    ],
)
def test_durations_are_counted_and_bytes_when_asked(bytes_too: bool, names: list[str]) -> None:
    for writer in access_log(PROXY, byte_histograms=bytes_too):
        config = writer["typed_config"]
        assert config["stats_scope"] == {"prefix": "istio"}
        assert [histogram["stat"]["name"] for histogram in config["histograms"]] == names
        assert (config["histograms"][0]["unit"], config["histograms"][0]["value_format"]) == (
            "Milliseconds",
            "%DURATION%",
        )


@pytest.mark.parametrize(
    ("statistic", "labels"),
    [
        (
            f"cluster.{NAME};.upstream_rq_503",
            {
                "cluster_name": NAME,
                "destination_port": "9080",
                "destination_subset": "v3",
                "destination_service": "reviews.bookinfo.svc.cluster.local",
                "response_code": "503",
            },
        ),
        (
            f"cluster.{NAME.replace('v3', '')};.upstream_rq_5xx",
            {
                "cluster_name": NAME.replace("v3", ""),
                "destination_port": "9080",
                "destination_service": "reviews.bookinfo.svc.cluster.local",
                "response_code_class": "5xx",
            },
        ),
        (
            "http.productpage-v1.bookinfo;.downstream_rq_2xx",
            {"http_conn_manager_prefix": "productpage-v1.bookinfo", "response_code_class": "2xx"},
        ),
    ],
)
def test_envoys_own_names_give_up_their_labels(statistic: str, labels: dict[str, str]) -> None:
    config = stats_config()
    matches = {tag["tag_name"]: re.search(tag["regex"], statistic) for tag in config["stats_tags"]}

    assert config["use_all_default_tags"] is False
    assert {name: match.group(2) for name, match in matches.items() if match} == labels


@pytest.mark.parametrize(
    ("statistic", "is_scraped"),
    [
        ("istio.requests_total", True),
        (f"cluster.{NAME};.upstream_rq_503", True),
        (f"cluster.{NAME};.upstream_rq_pending_overflow", True),
        (f"cluster.{NAME};.outlier_detection.ejections_active", True),
        (f"cluster.{NAME};circuit_breakers.default.cx_open", True),
        (f"cluster.{NAME};.membership_healthy", True),
        (f"cluster.{NAME};.upstream_cx_rx_bytes_total", False),
        ("server.memory_allocated", False),
    ],
)
def test_only_what_is_asked_for_is_scraped(statistic: str, is_scraped: bool) -> None:
    assert bool(re.search(SCRAPED, statistic)) is is_scraped


def test_prometheus_is_told_where_and_to_take_envoys_prefix_off() -> None:
    config = scrape_config("127.0.0.1:9901")

    assert config["scrape_interval"] == "1s"
    assert config["static_configs"] == [{"targets": ["127.0.0.1:9901"]}]
    (rule,) = config["metric_relabel_configs"]
    assert re.sub(rule["regex"], r"\1", "envoy_istio_requests_total") == "istio_requests_total"
    assert not re.fullmatch(rule["regex"], "envoy_cluster_upstream_rq")
