import pytest

from tests.rollout.mesh.translate.documents import Json, registry, translated

SIDECAR, EDGE = "productpage-v1.bookinfo", "entry.edge:80"
MANAGER = "envoy.filters.network.http_connection_manager"


def manager(name: str = SIDECAR, **more: object) -> Json:
    (chain,) = translated(over=registry(**more)).lds[name]["filter_chains"]
    (found,) = chain["filters"]
    assert found["name"] == MANAGER
    return dict(found["typed_config"])


def test_a_listener_is_bound_to_its_own_port_and_nobody_elses() -> None:
    sidecar = {"name": "productpage-v1", "namespace": "bookinfo", "bind": "::1", "port": 9080}
    found = translated(over=registry(proxies=[sidecar])).lds[SIDECAR]

    assert {key: found[key] for key in set(found) - {"filter_chains"}} == {
        "name": SIDECAR,
        "address": {"socket_address": {"address": "::1", "port_value": 9080}},
        "traffic_direction": "OUTBOUND",
        "enable_reuse_port": False,
        "connection_balance_config": {"exact_balance": {}},
    }


@pytest.mark.parametrize("name", [SIDECAR, EDGE])
def test_its_manager_is_set_up_as_istiod_does(name: str) -> None:
    found = manager(name)

    assert {key: found[key] for key in set(found) - {"@type", "access_log", "http_filters", "use_remote_address"}} == {
        "codec_type": "AUTO",
        "stat_prefix": name + ";",
        "rds": {"route_config_name": name, "config_source": {"path": f"rds/{name}"}},
        "normalize_path": True,
        "stream_idle_timeout": "0s",
        "upgrade_configs": [{"upgrade_type": "websocket"}],
    }


def test_faults_and_cors_stand_empty_before_the_router() -> None:
    filters = manager()["http_filters"]

    assert [item["name"].rpartition(".")[2] for item in filters] == ["grpc_stats", "fault", "cors", "router"]
    assert all(set(item["typed_config"]) == {"@type"} for item in filters[1:])
    assert filters[0]["typed_config"]["emit_filter_state"] is True


@pytest.mark.parametrize(
    ("name", "honour", "trust"),
    [
        (SIDECAR, False, {"use_remote_address": False}),
        (EDGE, False, {"use_remote_address": True}),
        (EDGE, True, {"use_remote_address": True}),
        (
            SIDECAR,
            True,
            {
                "use_remote_address": True,
                "internal_address_config": {
                    "cidr_ranges": [
                        {"address_prefix": "127.0.0.0", "prefix_len": 8},
                        {"address_prefix": "::1", "prefix_len": 128},
                    ]
                },
            },
        ),
    ],
)
def test_an_applications_timeout_header_counts_only_when_told_so(name: str, honour: bool, trust: Json) -> None:
    found = manager(name, honourTimeoutHeader=honour)

    assert {key: found[key] for key in ("use_remote_address", "internal_address_config") if key in found} == trust
