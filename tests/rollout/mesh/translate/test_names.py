import pytest

from rollout.mesh.translate.names import (
    cluster_name,
    gateway_name,
    host_matches,
    intersection,
    is_host,
    is_label,
    is_object_name,
    is_subset_name,
    is_visible,
    qualify,
    sni,
    specificity,
    subset_of,
)


@pytest.mark.parametrize(
    ("name", "label", "subset", "object_name"),
    [
        ("reviews-v3", True, True, True),
        ("a" * 63, True, True, True),
        ("a" * 64, False, False, False),
        ("V1", False, True, False),
        ("a.b", False, False, True),
        ("a_b", False, False, False),
        ("-a", False, False, False),
        ("", False, False, False),
        ("a\n", False, False, False),
        (".".join(["a" * 63] * 4), False, False, True),
        (".".join(["a" * 63] * 4) + ".a", False, False, False),
    ],
)
def test_names_have_the_form_kubernetes_demands(name: str, label: bool, subset: bool, object_name: bool) -> None:
    assert (is_label(name), is_subset_name(name), is_object_name(name)) == (label, subset, object_name)


@pytest.mark.parametrize(
    "host", ["a", "*", "*.example.com", "a_b.example.com", "10.0.0.1", "example.com.", "A.example"]
)
def test_a_host_is_a_dns_name_or_a_wildcard(host: str) -> None:
    assert is_host(host)


@pytest.mark.parametrize("host", ["", ".", "a..b", "a.*", "*a.com", "a b", "-a.com", "a" * 64, "a." * 128 + "a", "a/b"])
def test_anything_else_is_no_host(host: str) -> None:
    assert not is_host(host)


@pytest.mark.parametrize(
    ("host", "full"),
    [
        ("reviews", "reviews.bookinfo.svc.cluster.local"),
        ("reviews.prod", "reviews.prod"),
        ("*", "*"),
        ("*.example.com", "*.example.com"),
        ("10.0.0.1", "10.0.0.1"),
        ("::1", "::1"),
    ],
)
def test_only_a_name_without_a_dot_is_short(host: str, full: str) -> None:
    assert qualify(host, "bookinfo") == full


def test_a_short_name_gets_the_domain_of_its_mesh() -> None:
    assert qualify("reviews", "bookinfo", "example") == "reviews.bookinfo.svc.example"


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ("*", "a.example.com", "a.example.com"),
        ("*.example.com", "a.example.com", "a.example.com"),
        ("a.b.example.com", "*.example.com", "a.b.example.com"),
        ("*.example.com", "*.b.example.com", "*.b.example.com"),
        ("a", "a", "a"),
        ("*.example.com", "example.com", None),
        ("a.example.com", "b.example.com", None),
        ("*.example.com", "*.example.org", None),
    ],
)
def test_two_hosts_have_the_narrower_one_in_common(one: str, other: str, both: str | None) -> None:
    assert intersection(one, other) == intersection(other, one) == both
    assert (host_matches(one, other) or host_matches(other, one)) == (both is not None)


def test_exact_hosts_go_before_wildcards_and_longer_before_shorter() -> None:
    hosts = ["*", "*.com", "a.com", "*.example.com", "aa.com"]

    assert sorted(hosts, key=specificity) == ["aa.com", "a.com", "*.example.com", "*.com", "*"]


def test_clusters_are_named_as_istiod_names_them() -> None:
    host = "reviews.bookinfo.svc.cluster.local"

    assert cluster_name(9080, "v3", host) == "outbound|9080|v3|reviews.bookinfo.svc.cluster.local"
    assert cluster_name(9080, "", host) == "outbound|9080||reviews.bookinfo.svc.cluster.local"
    assert sni(9080, "v3", host) == "outbound_.9080_.v3_.reviews.bookinfo.svc.cluster.local"


@pytest.mark.parametrize(
    ("name", "full"), [("mesh", "mesh"), ("entry", "bookinfo/entry"), ("edge/entry", "edge/entry")]
)
def test_a_short_gateway_is_in_the_namespace_of_who_names_it(name: str, full: str) -> None:
    assert gateway_name(name, "bookinfo") == full


@pytest.mark.parametrize(
    ("export_to", "viewers"),
    [
        ((), {"home", "other"}),
        (("*",), {"home", "other"}),
        ((".",), {"home"}),
        (("other",), {"other"}),
        ((".", "other"), {"home", "other"}),
        (("~",), set()),
    ],
)
def test_objects_are_seen_where_they_are_exported_to(export_to: tuple[str, ...], viewers: set[str]) -> None:
    assert {viewer for viewer in ("home", "other") if is_visible(export_to, "home", viewer)} == viewers


def test_the_subset_of_a_cluster_stands_in_its_name() -> None:
    assert subset_of("outbound|9080|v3|reviews.bookinfo.svc.cluster.local") == "v3"
    assert subset_of("outbound|9080||reviews.bookinfo.svc.cluster.local") == ""
    assert subset_of("PassthroughCluster") == ""
