"""What may be done to whom: a load generator is a weapon in the wrong hands, or in careless ones.

Loopback belongs to whoever runs us. Everything else is bounded by numbers compiled in (a plan can only ask for less),
and public addresses are refused unless the plan names the host. Cloud metadata and other link-local services are never
loaded. Addresses are checked after resolution and the connection goes to the very address that was checked, so a name
that changes its mind between check and use gains nothing.
"""

import ipaddress

from loadgen.core.plan import Plan

RATE_MAX_PER_S = 5_000  # about what one core serves behind a sidecar: more is an attack, not a probe
CONNECTIONS_MAX = 1_000
DURATION_MAX_S = 7_200
REQUESTS_MAX = 10_000_000
BODY_BYTES_MAX = 1 << 20
METADATA = frozenset(
    {"fd00:ec2::254", "100.100.100.200", "168.63.129.16"}
)  # AWS (v6), Alibaba, Azure; 169.254/16 is link-local


class NotAllowedError(ValueError):
    """The plan asks for something that is refused, however it is asked for."""


def check_address(address: str, host: str, allow_hosts: tuple[str, ...]) -> bool:
    """Refuse an address that must not be loaded; say whether it is loopback."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(ip, "ipv4_mapped", None)
    ip = mapped if mapped is not None else ip
    if ip.is_loopback:
        return True
    if ip.is_link_local or ip.is_multicast or ip.is_unspecified or ip.is_reserved or str(ip) in METADATA:
        raise NotAllowedError(f"{host} is {ip}: link-local, metadata, multicast and reserved are never loaded")
    if ip.is_global and host not in allow_hosts:
        raise NotAllowedError(f"{host} is the public address {ip}: name it with --i-own-this {host} if it is yours")
    return False


def check_amount(plan: Plan) -> None:
    """Hold a plan that leaves this machine to the compiled caps."""
    amounts = (
        ("rate", plan.rate_max_per_s, RATE_MAX_PER_S),
        ("connections", plan.connections, CONNECTIONS_MAX),
        ("duration", plan.duration_s, DURATION_MAX_S),
        ("requests", max(plan.requests, sum(stage.arrivals for stage in plan.stages)), REQUESTS_MAX),
        ("body", max(len(target.body) for target in plan.targets), BODY_BYTES_MAX),
    )
    for name, asked, allowed in amounts:
        if asked > allowed:
            raise NotAllowedError(f"{name}: {asked:g} asked for, at most {allowed:,} allowed beyond loopback")
