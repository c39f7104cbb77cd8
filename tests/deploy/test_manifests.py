"""The manifests: every overlay renders, and what comes out keeps the policies."""

import copy
import tomllib
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from rollout.core.plan_rules import parse_plan
from rollout.crds import files
from rollout.settings import Settings
from tests.deploy.pod_policy import problems_of
from tests.deploy.rendered import OVERLAYS, ROOT, Document, named, needs_kubectl, of_kind, pods_of, rendered

pytestmark = needs_kubectl
DAEMON = {"app.kubernetes.io/name": "rollout", "app.kubernetes.io/component": "daemon"}
INSTALLATIONS = ("cluster", "namespaced")

LOOK, CHANGE = ("get", "list", "watch"), ("patch", "update")
NEEDS_ANYWHERE: dict[tuple[str, str], tuple[str, ...]] = {
    ("networking.istio.io", "virtualservices"): (*LOOK, *CHANGE),
    ("networking.istio.io", "destinationrules"): (*LOOK, *CHANGE),
    ("gateway.networking.k8s.io", "httproutes"): (*LOOK, *CHANGE),
    ("discovery.k8s.io", "endpointslices"): LOOK,
    ("", "pods"): LOOK,
    ("rollout.dev", "rolloutplans"): (*LOOK, *CHANGE),
    ("rollout.dev", "rolloutplans/status"): ("get", *CHANGE),
    ("rollout.dev", "rolloutplans/finalizers"): ("update",),
    ("rollout.dev", "trafficrollouts"): (*LOOK, *CHANGE, "create", "delete"),
    ("rollout.dev", "trafficrollouts/status"): ("get", *CHANGE),
    ("rollout.dev", "trafficrollouts/finalizers"): ("update",),
    ("", "events"): ("create", "patch"),
    ("events.k8s.io", "events"): ("create", "patch"),
}
"""What the cluster edge does with the objects of a rollout, wherever the service lives; nothing more is granted."""
NEEDS_AT_HOME = {
    ("coordination.k8s.io", "leases"): (*LOOK, *CHANGE, "create"),
    ("batch", "jobs"): (*LOOK, "create", "delete"),
}
NEEDS_OF_THE_CLUSTER = {
    ("authentication.k8s.io", "tokenreviews"): ("create",),
    ("authorization.k8s.io", "subjectaccessreviews"): ("create",),
}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_renders_and_no_name_is_given_twice(overlay: str) -> None:
    names = [(d["kind"], d["metadata"].get("namespace"), d["metadata"]["name"]) for d in rendered(overlay)]

    assert names
    assert len(names) == len(set(names))


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_pod_is_restricted_and_bounded(overlay: str) -> None:
    found = {name: list(problems_of(template)) for name, template in pods_of(overlay)}

    assert not any(found.values()), found
    assert len(found) == {"cluster": 1, "namespaced": 1, "demo-bookinfo": 6}.get(overlay, 0)


SPOILS: dict[str, Callable[[Document], Any]] = {
    "may run as root": lambda pod: pod["securityContext"].pop("runAsNonRoot"),
    "seccomp": lambda pod: pod["securityContext"].pop("seccompProfile"),
    "API token": lambda pod: pod.pop("automountServiceAccountToken"),
    "hostNetwork": lambda pod: pod.update(hostNetwork=True),
    "forbidden kind": lambda pod: pod["volumes"].append({"name": "x", "hostPath": {"path": "/"}}),
    "no limit": lambda pod: pod["volumes"].append({"name": "x", "emptyDir": {}}),
    "escalate": lambda pod: pod["containers"][0]["securityContext"].pop("allowPrivilegeEscalation"),
    "capabilities": lambda pod: pod["containers"][0]["securityContext"].pop("capabilities"),
    "root file system": lambda pod: pod["containers"][0]["securityContext"].pop("readOnlyRootFilesystem"),
    "limits.memory": lambda pod: pod["containers"][0]["resources"]["limits"].pop("memory"),
    "port of the node": lambda pod: pod["containers"][0]["ports"][0].update(hostPort=80),
    "not pinned": lambda pod: pod["containers"][0].update(image="rollout:latest"),
}


@pytest.mark.parametrize("problem", SPOILS)
def test_a_pod_that_breaks_the_policy_is_found_out(problem: str) -> None:
    template = copy.deepcopy(named("cluster", "Deployment", "rollout")["spec"]["template"])
    SPOILS[problem](template["spec"])

    assert any(problem in found for found in problems_of(template))


def rules_for(overlay: str, account: str) -> list[tuple[str, Document]]:
    """Every rule bound to a service account, with the kind of binding that grants it."""
    rules = []
    for binding in [*of_kind(overlay, "RoleBinding"), *of_kind(overlay, "ClusterRoleBinding")]:
        if account in [subject["name"] for subject in binding["subjects"]]:
            role = named(overlay, binding["roleRef"]["kind"], binding["roleRef"]["name"])
            rules += [(binding["kind"], rule) for rule in role["rules"]]
    return rules


def granted(rules: list[tuple[str, Document]]) -> dict[tuple[str, str], set[str]]:
    found: dict[tuple[str, str], set[str]] = {}
    for _, rule in rules:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                found.setdefault((group, resource), set()).update(rule["verbs"])
    return found


def as_sets(needs: dict[tuple[str, str], tuple[str, ...]]) -> dict[tuple[str, str], set[str]]:
    return {key: set(verbs) for key, verbs in needs.items()}


def test_the_daemon_of_a_cluster_may_do_what_it_does_and_nothing_else() -> None:
    rules = rules_for("cluster", "rollout")

    at_home = granted([rule for rule in rules if rule[0] == "RoleBinding"])
    anywhere = granted([rule for rule in rules if rule[0] == "ClusterRoleBinding"])
    assert at_home == as_sets(NEEDS_AT_HOME)
    assert anywhere == as_sets(NEEDS_ANYWHERE | NEEDS_OF_THE_CLUSTER)


def test_the_daemon_of_a_namespace_has_no_right_outside_it_and_writes_routes_by_name() -> None:
    rules = rules_for("namespaced", "rollout")

    assert granted(rules) == as_sets(NEEDS_ANYWHERE | NEEDS_AT_HOME)
    assert not of_kind("namespaced", "ClusterRole")
    assert not of_kind("namespaced", "ClusterRoleBinding")
    writing = [rule for _, rule in rules if "patch" in rule["verbs"] and rule["apiGroups"][0].endswith("istio.io")]
    assert writing
    assert all(rule["resourceNames"] for rule in writing)


@pytest.mark.parametrize("overlay", INSTALLATIONS)
def test_no_role_has_a_wildcard_or_touches_secrets_or_gives_rights_away(overlay: str) -> None:
    roles = [*of_kind(overlay, "Role"), *of_kind(overlay, "ClusterRole")]

    assert len(roles) >= 2
    for role in roles:
        for rule in role["rules"]:
            words = {*rule["apiGroups"], *rule["resources"], *rule["verbs"]}
            assert not words & {"*", "secrets", "pods/exec", "serviceaccounts/token", "escalate", "bind", "impersonate"}
            assert "nonResourceURLs" not in rule


@pytest.mark.parametrize("overlay", INSTALLATIONS)
def test_load_pods_have_an_account_without_any_right(overlay: str) -> None:
    account = named(overlay, "ServiceAccount", "rollout-load")

    assert account["automountServiceAccountToken"] is False
    assert not rules_for(overlay, "rollout-load")
    policy = named(overlay, "NetworkPolicy", "rollout-load")["spec"]
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
    assert "ingress" not in policy
    assert "ipBlock" not in str(policy["egress"]), "the API server and the cloud's metadata are no pods"


@pytest.mark.parametrize("overlay", INSTALLATIONS)
def test_everything_that_selects_the_daemons_pods_finds_them(overlay: str) -> None:
    template = named(overlay, "Deployment", "rollout")["spec"]["template"]
    labels, ports = template["metadata"]["labels"], template["spec"]["containers"][0]["ports"]
    spread = [one["labelSelector"] for one in template["spec"]["topologySpreadConstraints"]]
    selectors = [
        named(overlay, "Deployment", "rollout")["spec"]["selector"]["matchLabels"],
        named(overlay, "Service", "rollout")["spec"]["selector"],
        named(overlay, "PodDisruptionBudget", "rollout")["spec"]["selector"]["matchLabels"],
        named(overlay, "NetworkPolicy", "rollout-daemon")["spec"]["podSelector"]["matchLabels"],
        *(selector["matchLabels"] for selector in spread),
    ]

    assert selectors == [DAEMON] * len(selectors)
    assert DAEMON.items() <= labels.items()
    assert [port["targetPort"] for port in named(overlay, "Service", "rollout")["spec"]["ports"]] == [ports[0]["name"]]
    assert labels["sidecar.istio.io/inject"] == "true"
    annotations = template["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == str(ports[0]["containerPort"])
    assert annotations["prometheus.io/path"] == "/metrics"


@pytest.mark.parametrize("overlay", INSTALLATIONS)
def test_the_daemon_is_probed_and_given_time(overlay: str) -> None:
    pod = named(overlay, "Deployment", "rollout")["spec"]["template"]["spec"]
    (container,) = pod["containers"]

    paths = {probe: container[f"{probe}Probe"]["httpGet"]["path"] for probe in ("startup", "liveness", "readiness")}
    assert paths == {"startup": "/livez", "liveness": "/livez", "readiness": "/readyz"}
    assert pod["terminationGracePeriodSeconds"] == 60
    assert {mount["mountPath"] for mount in container["volumeMounts"]} >= {"/tmp", "/var/lib/rollout", "/etc/rollout"}


@pytest.mark.parametrize("overlay", INSTALLATIONS)
def test_the_daemons_settings_are_settings(overlay: str) -> None:
    (config,) = of_kind(overlay, "ConfigMap")
    settings = yaml.safe_load(config["data"]["settings.yaml"])
    pod = named(overlay, "Deployment", "rollout")["spec"]["template"]["spec"]

    read = Settings.model_validate(settings)
    mounted = {mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
    assert read.port == pod["containers"][0]["ports"][0]["containerPort"]
    assert read.host == "0.0.0.0"
    assert str(read.state.parent) in mounted
    assert read.tokens is None or str(read.tokens.parent) in mounted
    (volume,) = [volume["configMap"] for volume in pod["volumes"] if volume["name"] == "settings"]
    assert volume["name"] == config["metadata"]["name"]


def test_the_image_is_the_one_of_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    images = {
        container["image"]
        for overlay in OVERLAYS
        for _, template in pods_of(overlay)
        for container in template["spec"]["containers"]
    }

    assert images == {f"ghcr.io/rollout-dev/rollout:{version}"}


def test_a_cluster_gets_the_definitions_as_generated() -> None:
    assert [yaml.safe_load(text) for text in files().values()] == of_kind("cluster", "CustomResourceDefinition")
    labels = named("cluster", "Namespace", "rollout-system")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_the_operator_scrapes_the_service() -> None:
    endpoint = named("prometheus-operator", "ServiceMonitor", "rollout")["spec"]
    service = named("cluster", "Service", "rollout")

    assert endpoint["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert [one["port"] for one in endpoint["endpoints"]] == [port["name"] for port in service["spec"]["ports"]]


def test_grafana_gets_the_dashboard_of_the_repository() -> None:
    (config,) = of_kind("grafana", "ConfigMap")

    assert config["data"]["rollout.json"] == (ROOT / "deploy/grafana/rollout.json").read_text()
    assert config["metadata"]["labels"]["grafana_dashboard"] == "1"


def test_bookinfo_gets_the_documents_of_the_repository() -> None:
    config = ROOT / "config"
    wanted = [
        *yaml.safe_load_all((config / "bookinfo/destination-rule-all.yaml").read_text()),
        *yaml.safe_load_all((config / "bookinfo/virtual-service-all-v1.yaml").read_text()),
    ]
    found = [*of_kind("demo-bookinfo", "DestinationRule"), *of_kind("demo-bookinfo", "VirtualService")]
    bare = [{**one, "metadata": {k: v for k, v in one["metadata"].items() if k != "labels"}} for one in found]

    def by_name(one: Document) -> tuple[str, str]:
        return one["kind"], one["metadata"]["name"]

    assert sorted(bare, key=by_name) == sorted(wanted, key=by_name)
    (plan,) = of_kind("demo-bookinfo", "RolloutPlan")
    of_demo = yaml.safe_load((config / "demo/reviews.yaml").read_text())
    assert plan["spec"] == of_demo["spec"]
    assert parse_plan(plan).service == "reviews"


def test_every_workload_of_bookinfo_is_one_that_the_program_knows() -> None:
    from rollout.demo.bookinfo.__main__ import calls_of, parser_of_options
    from rollout.demo.bookinfo.calls import Calls
    from rollout.demo.workload import workload_named

    parser = parser_of_options()
    for name, template in pods_of("demo-bookinfo"):
        (container,) = template["spec"]["containers"]
        options = parser.parse_args(container["args"])
        urls = {called: getattr(options, f"{called}_url") for called in ("details", "reviews", "ratings")}
        assert f"{options.service}-{options.version}" == name
        assert template["metadata"]["labels"]["version"] == options.version
        assert isinstance(calls_of(workload_named(options.service, options.version, seed=1), {}, urls), Calls)
        assert options.port == container["ports"][0]["containerPort"]
