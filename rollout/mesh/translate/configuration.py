"""Documents -> one configuration: every kind parsed, ruled, sorted oldest first, references between them looked at."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from rollout.mesh.registry import Registry, Service, service_of
from rollout.mesh.schema import Problem, Severity
from rollout.mesh.translate.delegates import delegate_key, with_delegates
from rollout.mesh.translate.destination_rule import DestinationRule
from rollout.mesh.translate.destinations import Destinations
from rollout.mesh.translate.document import (
    Finding,
    InvalidDocument,
    Key,
    Parsed,
    created,
    errors_of,
    findings,
    key_of_document,
    parse_spec,
)
from rollout.mesh.translate.gateway import Gateway
from rollout.mesh.translate.names import MESH, gateway_name
from rollout.mesh.translate.policies import Policies
from rollout.mesh.translate.rules_destination import destination_rule_problems
from rollout.mesh.translate.rules_gateway import gateway_problems
from rollout.mesh.translate.rules_virtual_service import virtual_service_problems
from rollout.mesh.translate.virtual_service import Destination, VirtualService
from rollout.yaml_documents import Path

Spec = TypeVar("Spec")

KINDS = ("VirtualService", "DestinationRule", "Gateway", "Service")


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """Everything the proxies are made from."""

    registry: Registry
    virtual_services: tuple[Parsed[VirtualService], ...]
    """Those with hosts, their delegates merged in."""
    destination_rules: tuple[Parsed[DestinationRule], ...]
    gateways: tuple[Parsed[Gateway], ...]
    destinations: Destinations
    warnings: tuple[Finding, ...]
    """What would surprise at run time: references to what is not there, settings without effect."""


def configuration_of(registry: Registry, documents: Iterable[Mapping[str, Any]]) -> Configuration:
    """Parse *documents* over *registry*. Raises InvalidDocument for the first that is wrong, with all its problems."""
    parsed = _Parsed.of(documents)
    whole = registry.with_services(parsed.services)
    rules = tuple(sorted(parsed.destination_rules, key=lambda rule: rule.age))
    services = tuple(sorted(parsed.virtual_services, key=lambda service: service.age))
    delegates = {service.key: service for service in services if not service.spec.hosts}
    destinations = Destinations(whole, Policies(rules, whole.domain))
    gateways = tuple(sorted(parsed.gateways, key=lambda gateway: gateway.age))
    references = _References(destinations, delegates, {_reference(gateway.key) for gateway in gateways})
    return Configuration(
        registry=whole,
        virtual_services=tuple(with_delegates(service, delegates) for service in services if service.spec.hosts),
        destination_rules=rules,
        gateways=gateways,
        destinations=destinations,
        warnings=(*parsed.warnings, *(finding for service in services for finding in references.missing(service))),
    )


def check_document(raw: Mapping[str, Any]) -> tuple[Key, tuple[Finding, ...]]:
    """Which object *raw* is, and its warnings. Raises InvalidDocument with everything that is wrong."""
    parsed = _Parsed.of([raw])
    return key_of_document(raw), tuple(parsed.warnings)


class _Parsed:
    """The documents of each kind."""

    def __init__(self) -> None:
        self.virtual_services: list[Parsed[VirtualService]] = []
        self.destination_rules: list[Parsed[DestinationRule]] = []
        self.gateways: list[Parsed[Gateway]] = []
        self.services: list[Service] = []
        self.warnings: list[Finding] = []

    @classmethod
    def of(cls, documents: Iterable[Mapping[str, Any]]) -> "_Parsed":
        parsed = cls()
        for raw in documents:
            parsed._add(raw)
        return parsed

    def _add(self, raw: Mapping[str, Any]) -> None:
        key = key_of_document(raw)
        match key.kind:
            case "VirtualService":
                service = self._spec(raw, key, VirtualService)
                self._rule(key, virtual_service_problems(service))
                self.virtual_services.append(Parsed(key=key, created=created(raw), spec=service))
            case "DestinationRule":
                rule = self._spec(raw, key, DestinationRule)
                self._rule(key, destination_rule_problems(rule))
                self.destination_rules.append(Parsed(key=key, created=created(raw), spec=rule))
            case "Gateway":
                gateway = self._spec(raw, key, Gateway)
                self._rule(key, gateway_problems(gateway))
                self.gateways.append(Parsed(key=key, created=created(raw), spec=gateway))
            case "Service":
                found = service_of(raw, key)
                self.services += [found] if found else []
            case _:
                message = f"not served by the embedded mesh; it knows {', '.join(KINDS)}"
                raise InvalidDocument(key, [Problem(path=("kind",), message=message)])

    def _spec(self, raw: Mapping[str, Any], key: Key, kind: type[Spec]) -> Spec:
        spec, problems = parse_spec(raw, kind)
        if spec is None or problems:
            raise InvalidDocument(key, problems)
        return spec

    def _rule(self, key: Key, problems: Iterable[Problem]) -> None:
        found = tuple(problems)
        if errors_of(found):
            raise InvalidDocument(key, errors_of(found))
        self.warnings += findings(key, found)


def _reference(key: Key) -> str:
    return f"{key.namespace}/{key.name}"


class _References:
    """What VirtualServices may refer to."""

    def __init__(
        self, destinations: Destinations, delegates: Mapping[Key, Parsed[VirtualService]], gateways: set[str]
    ) -> None:
        self._destinations, self._delegates, self._gateways = destinations, delegates, gateways

    def missing(self, service: Parsed[VirtualService]) -> Iterator[Finding]:
        """What *service* refers to and is not there: not an error for Istio either (its analysis calls it IST0101)."""
        return iter(findings(service.key, self._problems(service)))

    def _problems(self, service: Parsed[VirtualService]) -> Iterator[Problem]:
        for index, name in enumerate(service.spec.gateways):
            if name != MESH and gateway_name(name, service.key.namespace) not in self._gateways:
                yield _warning(
                    ("spec", "gateways", index), f"there is no Gateway {name}: this host is not served there"
                )
        for index, route in enumerate(service.spec.http):
            path: Path = ("spec", "http", index)
            for position, item in enumerate(route.route):
                inner = (*path, "route", position, "destination")
                yield from self._destination(item.destination, service.key.namespace, inner)
            if route.mirror:
                yield from self._destination(route.mirror, service.key.namespace, (*path, "mirror"))
            for position, mirror in enumerate(route.mirrors):
                inner = (*path, "mirrors", position, "destination")
                yield from self._destination(mirror.destination, service.key.namespace, inner)
            if route.delegate and delegate_key(route.delegate, service.key.namespace) not in self._delegates:
                yield _warning((*path, "delegate"), f"there is no delegate {route.delegate.name}: nothing is routed")

    def _destination(self, destination: Destination, namespace: str, path: Path) -> Iterator[Problem]:
        host = self._destinations.host(destination, namespace)
        service = self._destinations.services.get(host)
        if service is None:
            yield _warning((*path, "host"), f"there is no service {host}: requests will get 503 (flag NC)")
        elif destination.subset and not self._destinations.policies.of(host, service.namespace).subset(
            destination.subset
        ):
            message = f"no DestinationRule of {host} has subset {destination.subset}: requests will get 503 (flag NC)"
            yield _warning((*path, "subset"), message)


def _warning(path: Path, message: str) -> Problem:
    return Problem(path=path, message=message, severity=Severity.WARNING)
