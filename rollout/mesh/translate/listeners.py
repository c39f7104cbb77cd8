"""A proxy's listener: one HTTP connection manager that asks for its routes by name, and writes Istio's metrics."""

from collections.abc import Iterable
from typing import Any

from rollout.mesh.registry import Proxy, Registry
from rollout.mesh.translate.istio_metrics import access_log
from rollout.mesh.translate.proto import Json, extension, given, typed
from rollout.mesh.translate.route_filters import CORS, FAULT, FAULT_MESSAGE

_MANAGER = "envoy.filters.network.http_connection_manager"
_MANAGER_MESSAGE = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_LOOPBACK = {
    "cidr_ranges": [{"address_prefix": "127.0.0.0", "prefix_len": 8}, {"address_prefix": "::1", "prefix_len": 128}]
}

# Empty here: what a VirtualService says sits in the route. grpc_stats finds the gRPC status for the access log.
_HTTP_FILTERS = [
    extension(
        "envoy.filters.http.grpc_stats",
        "envoy.extensions.filters.http.grpc_stats.v3.FilterConfig",
        emit_filter_state=True,
        stats_for_all_methods=False,
    ),
    extension(FAULT, FAULT_MESSAGE),
    extension(CORS, "envoy.extensions.filters.http.cors.v3.Cors"),
    extension("envoy.filters.http.router", "envoy.extensions.filters.http.router.v3.Router"),
]


def listener(name: str, bind: str, port: int, filter_chains: Iterable[Json], *, inspects_tls: bool = False) -> Json:
    """The listener *name* at an address of this machine.

    Its socket is not shared by SO_REUSEPORT: with it a second Envoy could bind the same port unnoticed and take half of
    the connections. Exact balancing spreads connections over the workers instead.
    """
    inspector = extension(
        "envoy.filters.listener.tls_inspector", "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"
    )
    return {
        "name": name,
        "address": {"socket_address": {"address": bind, "port_value": port}},
        "traffic_direction": "OUTBOUND",
        "enable_reuse_port": False,
        "connection_balance_config": {"exact_balance": {}},
        **given(listener_filters=[inspector] if inspects_tls else []),
        "filter_chains": list(filter_chains),
    }


def filter_chain(proxy: Proxy, registry: Registry, routes_name: str, rds: Json, *, is_gateway: bool) -> Json:
    """A filter chain whose HTTP connection manager takes the route configuration *routes_name* from *rds*."""
    manager = typed(
        _MANAGER_MESSAGE,
        codec_type="AUTO",
        stat_prefix=routes_name + ";",  # the semicolon ends the name for the tag regex, as in a cluster's
        rds={"route_config_name": routes_name, "config_source": rds},
        normalize_path=True,
        stream_idle_timeout="0s",
        upgrade_configs=[{"upgrade_type": "websocket"}],
        access_log=access_log(proxy, byte_histograms=registry.byte_histograms),
        http_filters=_HTTP_FILTERS,
        **_trust(registry, is_gateway=is_gateway),
    )
    return {"filters": [{"name": _MANAGER, "typed_config": manager}]}


def _trust(registry: Registry, *, is_gateway: bool) -> dict[str, Any]:
    """Whose x-envoy- headers count: a gateway sees strangers; a sidecar drops the application's unless told not to."""
    if is_gateway or not registry.honour_timeout_header:
        return {"use_remote_address": is_gateway}
    return {"use_remote_address": True, "internal_address_config": _LOOPBACK}
