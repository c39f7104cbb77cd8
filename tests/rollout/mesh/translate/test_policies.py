import pytest

from tests.rollout.mesh.translate.documents import REVIEWS, Json, cluster, destination_rule, translated

POOL = {"connectionPool": {"http": {"maxRetries": 7}}}


def least(policy: str) -> Json:
    return {"loadBalancer": {"simple": policy}}


def chosen(*rules: Json, subset: str = "") -> str:
    return str(translated(*rules).cds[f"outbound|9080|{subset}|{REVIEWS}"]["lb_policy"])


def rule(policy: str, host: str = "reviews", namespace: str = "bookinfo", created: str = "", **more: object) -> Json:
    spec = {"host": host, "trafficPolicy": least(policy), **more}
    return destination_rule(spec, f"{policy.lower().replace('_', '-')}", namespace, created)


@pytest.mark.parametrize(
    ("rules", "wins"),
    [
        ([], "LEAST_REQUEST"),
        ([rule("RANDOM")], "RANDOM"),
        ([rule("RANDOM", REVIEWS)], "RANDOM"),
        ([rule("RANDOM", "*.svc.cluster.local")], "RANDOM"),
        ([rule("RANDOM", "ratings")], "LEAST_REQUEST"),
        ([rule("RANDOM", "*.example.com")], "LEAST_REQUEST"),
        ([rule("RANDOM", "*.svc.cluster.local", created="2024"), rule("ROUND_ROBIN")], "ROUND_ROBIN"),
        (
            [rule("RANDOM", "*.cluster.local", created="2024"), rule("ROUND_ROBIN", "*.svc.cluster.local")],
            "ROUND_ROBIN",
        ),
        ([rule("RANDOM", created="2025"), rule("ROUND_ROBIN", created="2024")], "ROUND_ROBIN"),
        ([rule("RANDOM", REVIEWS, "other", "2024"), rule("ROUND_ROBIN")], "ROUND_ROBIN"),
        ([rule("RANDOM", REVIEWS, "other", "2024"), rule("ROUND_ROBIN", REVIEWS, "istio-system")], "ROUND_ROBIN"),
        ([rule("RANDOM", REVIEWS, "istio-system", "2024"), rule("ROUND_ROBIN", "*.local")], "ROUND_ROBIN"),
        ([rule("RANDOM", REVIEWS, "other")], "RANDOM"),
        ([rule("RANDOM", "reviews", "other")], "LEAST_REQUEST"),
        ([rule("RANDOM", REVIEWS, "other", exportTo=["."])], "LEAST_REQUEST"),
        ([rule("RANDOM", REVIEWS, "other", exportTo=["bookinfo"])], "RANDOM"),
        ([rule("RANDOM", exportTo=["."])], "RANDOM"),
        ([rule("RANDOM", exportTo=["other"]), rule("ROUND_ROBIN", "*.local")], "ROUND_ROBIN"),
    ],
)
def test_the_services_own_rule_wins_then_the_root_namespaces_then_others(rules: list[Json], wins: str) -> None:
    assert chosen(*rules) == wins


def test_rules_of_the_same_host_add_up_the_first_of_a_name_and_the_oldest_policy_stay() -> None:
    def versions(*names: str, **labels: str) -> list[Json]:
        return [{"name": name, "labels": labels} for name in names]

    found = translated(
        destination_rule({"host": "reviews", "subsets": versions("v1", "v2", is_old="yes")}, "a", created="2023"),
        rule("RANDOM", created="2024", subsets=[{"name": "v1", "trafficPolicy": least("ROUND_ROBIN")}]),
        rule("ROUND_ROBIN", created="2025", subsets=versions("v3")),
    ).cds
    balancers = {name.split("|")[2]: made["lb_policy"] for name, made in found.items() if name.endswith(REVIEWS)}

    assert balancers == dict.fromkeys(("", "v1", "v2", "v3"), "RANDOM")


POLICY = {**least("RANDOM"), **POOL}
PORT = {"port": {"number": 9080}}


@pytest.mark.parametrize(
    ("policy", "subset", "balancer", "retries"),
    [
        (POLICY, None, "RANDOM", 7),
        (POLICY, least("ROUND_ROBIN"), "ROUND_ROBIN", 7),
        (POLICY, {"connectionPool": {"tcp": {"maxConnections": 1}}}, "RANDOM", 4294967295),
        (POLICY | {"portLevelSettings": [{**PORT, **least("ROUND_ROBIN")}]}, None, "ROUND_ROBIN", 4294967295),
        (POLICY | {"portLevelSettings": [{"port": {"number": 80}, **least("ROUND_ROBIN")}]}, None, "RANDOM", 7),
        (POLICY | {"portLevelSettings": [{**PORT, **POOL}]}, least("ROUND_ROBIN"), "ROUND_ROBIN", 7),
        (POLICY, {"portLevelSettings": [{**PORT, **least("ROUND_ROBIN")}]}, "ROUND_ROBIN", 4294967295),
        (POLICY, {"portLevelSettings": [{"port": {"number": 80}, **least("ROUND_ROBIN")}]}, "RANDOM", 7),
        (
            POLICY | {"portLevelSettings": [{**PORT, **least("LEAST_REQUEST")}]},
            {**least("RANDOM"), "portLevelSettings": [{**PORT, **least("ROUND_ROBIN")}]},
            "ROUND_ROBIN",
            4294967295,
        ),
    ],
)
def test_blocks_are_replaced_as_a_whole_by_port_then_subset_then_the_subsets_port(
    policy: Json, subset: Json | None, balancer: str, retries: int
) -> None:
    found = cluster({"trafficPolicy": policy, "subsets": [{"name": "v1", "trafficPolicy": subset}]}, subset="v1")

    (thresholds,) = found["circuit_breakers"]["thresholds"]
    assert (found["lb_policy"], thresholds["max_retries"]) == (balancer, retries)


def test_the_subsets_own_policy_leaves_the_whole_service_alone() -> None:
    found = cluster({"trafficPolicy": POLICY, "subsets": [{"name": "v1", "trafficPolicy": least("ROUND_ROBIN")}]})

    assert found["lb_policy"] == "RANDOM"


@pytest.mark.parametrize(("own", "percent"), [({}, 25), ({"retryBudget": {"percent": 5}}, 5)])
def test_a_subset_inherits_the_retry_budget(own: Json, percent: int) -> None:
    whole = {"retryBudget": {"percent": 25}}
    subsets = [{"name": "v1", "trafficPolicy": least("RANDOM") | own}]

    (thresholds,) = cluster({"trafficPolicy": whole, "subsets": subsets}, subset="v1")["circuit_breakers"]["thresholds"]
    assert thresholds["retry_budget"]["budget_percent"] == {"value": percent}
