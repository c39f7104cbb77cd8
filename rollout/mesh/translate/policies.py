"""Which DestinationRule speaks for a host, and which policy holds for one subset and port of it.

Rules of the service's own namespace go before those of the root namespace, those before others (Istio would prefer the
client's namespace; here all clients share the clusters, so a rule counts when it is exported to the service). Among
them the most specific host wins; rules with the same host are merged: subsets add up, the first of a name stays, the
oldest traffic policy holds. Within a rule each block (connectionPool, outlierDetection, loadBalancer, tls) is replaced
as a whole by the port's, then the subset's, then the subset's port's; port-level settings inherit nothing.
"""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass

from rollout.mesh.translate.destination_rule import DestinationRule, Subset, TrafficPolicy
from rollout.mesh.translate.document import Parsed
from rollout.mesh.translate.names import ROOT_NAMESPACE, host_matches, is_visible, qualify, specificity

_BLOCKS = ("connection_pool", "outlier_detection", "load_balancer", "tls")


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """All rules of one host as one."""

    subsets: tuple[Subset, ...] = ()
    traffic_policy: TrafficPolicy | None = None

    def subset(self, name: str) -> Subset | None:
        """The subset of that name."""
        return next((subset for subset in self.subsets if subset.name == name), None)

    def policy(self, subset: str, port: int) -> TrafficPolicy:
        """What holds for *subset* ("" is all of the service) on *port*."""
        base = _for_port(self.traffic_policy or TrafficPolicy(), port)
        found = self.subset(subset)
        return _overridden(base, found.traffic_policy, port) if found and found.traffic_policy else base


class Policies:
    """All DestinationRules, looked up by host."""

    def __init__(self, rules: Iterable[Parsed[DestinationRule]], domain: str) -> None:
        """Index *rules*, oldest first."""
        self._exact: dict[str, list[Parsed[DestinationRule]]] = {}
        self._wildcards: list[tuple[str, Parsed[DestinationRule]]] = []
        self._merged: dict[str, Merged] = {}
        for rule in rules:
            host = qualify(rule.spec.host, rule.key.namespace, domain)
            if host.startswith("*"):
                self._wildcards.append((host, rule))
            else:
                self._exact.setdefault(host, []).append(rule)

    def of(self, host: str, namespace: str) -> Merged:
        """The merged rules for the service *host* of *namespace*."""
        if host not in self._merged:
            self._merged[host] = _merge(self._applicable(host, namespace))
        return self._merged[host]

    def _applicable(self, host: str, namespace: str) -> list[Parsed[DestinationRule]]:
        candidates = [(host, rule) for rule in self._exact.get(host, [])]
        candidates += [(pattern, rule) for pattern, rule in self._wildcards if host_matches(pattern, host)]
        found = [
            (pattern, rule)
            for pattern, rule in candidates
            if is_visible(rule.spec.export_to, rule.key.namespace, namespace)
        ]
        if not found:
            return []
        best = min((_rank(rule.key.namespace, namespace), specificity(pattern)) for pattern, rule in found)
        return [rule for pattern, rule in found if (_rank(rule.key.namespace, namespace), specificity(pattern)) == best]


def _rank(namespace: str, home: str) -> int:
    return 0 if namespace == home else 1 if namespace == ROOT_NAMESPACE else 2


def _merge(rules: list[Parsed[DestinationRule]]) -> Merged:
    subsets: dict[str, Subset] = {}
    for rule in rules:
        for subset in rule.spec.subsets:
            subsets.setdefault(subset.name, subset)
    policies = [rule.spec.traffic_policy for rule in rules if rule.spec.traffic_policy]
    return Merged(subsets=tuple(subsets.values()), traffic_policy=policies[0] if policies else None)


def _for_port(policy: TrafficPolicy, port: int) -> TrafficPolicy:
    for setting in policy.port_level_settings:
        if setting.port.number == port:
            blocks = {block: getattr(setting, block) for block in _BLOCKS}
            return dataclasses.replace(policy, **blocks, port_level_settings=())
    return dataclasses.replace(policy, port_level_settings=())


def _overridden(base: TrafficPolicy, subset: TrafficPolicy, port: int) -> TrafficPolicy:
    blocks = {block: getattr(subset, block) or getattr(base, block) for block in _BLOCKS}
    merged = dataclasses.replace(base, **blocks, retry_budget=subset.retry_budget or base.retry_budget)
    return _for_port(dataclasses.replace(merged, port_level_settings=subset.port_level_settings), port)
