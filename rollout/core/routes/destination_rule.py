"""What a service's DestinationRules say about its subsets."""

from collections.abc import Iterable, Mapping

from rollout.core.routes.target import Json, RouteProblem, RouteScope


def subset_labels(documents: Iterable[Json], scope: RouteScope) -> dict[str, Mapping[str, str]]:
    """Pod labels per subset of the service, over all DestinationRules of its host.

    Rules for one host merge; of subsets with one name the first counts (istiod's rule).
    """
    found: dict[str, Mapping[str, str]] = {}
    for document in documents:
        spec = document.get("spec") or {}
        if scope.owns_host(spec.get("host", "")):
            for subset in spec.get("subsets") or ():
                found.setdefault(subset["name"], subset.get("labels") or {})
    return found


def require_subsets(documents: Iterable[Json], scope: RouteScope) -> None:
    """Raise RouteProblem unless both versions are defined: a weight on a missing subset is 503 for its users."""
    known = subset_labels(documents, scope)
    for version in (scope.stable, scope.canary):
        if version not in known:
            names = ", ".join(sorted(known)) or "none"
            raise RouteProblem(
                f"no DestinationRule defines subset {version} of {scope.service}.{scope.namespace} (defined: {names})"
            )
