import pytest

from rollout.mesh.schema import Problem, Severity
from rollout.mesh.translate.document import Key, Parsed, created, errors_of, findings, key_of_document
from tests.rollout.mesh.translate.documents import Json, errors_in, reviews, to

GOOD = reviews({"route": [to()]})


@pytest.mark.parametrize("version", ["v1", "v1beta1", "v1alpha3"])
def test_all_three_versions_are_one_schema(version: str) -> None:
    assert errors_in(GOOD | {"apiVersion": f"networking.istio.io/{version}", "status": {"anything": 1}}) == []


@pytest.mark.parametrize(
    ("changed", "path", "message"),
    [
        (
            {"apiVersion": "networking.istio.io/v2"},
            "apiVersion",
            "expected networking.istio.io/v1 (or v1beta1, v1alpha3), got 'networking.istio.io/v2'",
        ),
        (
            {"apiVersion": None},
            "apiVersion",
            "expected networking.istio.io/v1 (or v1beta1, v1alpha3), got null",
        ),
        ({"specs": {}}, "specs", 'unknown key; did you mean "spec"?'),
        ({"spec": None}, "spec", "expected a mapping, got null"),
        ({"kind": ""}, "kind", "missing"),
        ({"kind": 5}, "kind", "expected a string, got 5"),
        (
            {"kind": "Sidecar"},
            "kind",
            "not served by the embedded mesh; it knows VirtualService, DestinationRule, Gateway, Service",
        ),
        ({"metadata": "reviews"}, "metadata.name", "missing"),
        ({"metadata": {"name": "a_b"}}, "metadata.name", "not a name: 'a_b'"),
        ({"metadata": {"name": "a", "namespace": "a.b"}}, "metadata.namespace", "not a namespace: 'a.b'"),
        ({"metadata": {"name": "a", "namespace": ["a"]}}, "metadata.namespace", "expected a string, got a list"),
    ],
)
def test_an_envelope_that_is_wrong_is_refused_at_its_key(changed: Json, path: str, message: str) -> None:
    assert errors_in(GOOD | changed) == [(path, message)]


def test_which_object_a_document_is() -> None:
    assert key_of_document({"kind": "Gateway", "metadata": {"name": "a.b"}}) == Key("Gateway", "default", "a.b")
    assert str(key_of_document(GOOD)) == "VirtualService bookinfo/it"


def test_what_is_no_document_says_so() -> None:
    with pytest.raises(
        ValueError, match=r"document default/\? kind: missing\ndocument default/\? metadata.name: missing"
    ):
        key_of_document([])


def test_the_oldest_sorts_first_and_what_was_never_stored_last() -> None:
    def parsed(name: str, raw: Json, namespace: str = "a") -> Parsed[None]:
        return Parsed(key=Key("Gateway", namespace, name), created=created(raw), spec=None)

    old, new = (parsed("z", {"metadata": {"creationTimestamp": f"202{year}-01-01T00:00:00Z"}}) for year in (4, 5))
    never, again, elsewhere = parsed("a", {}), parsed("b", {"metadata": {}}), parsed("b", {}, "b")

    documents = [elsewhere, again, never, new, old]
    assert sorted(documents, key=lambda item: item.age) == [old, new, never, again, elsewhere]


def test_a_finding_names_object_and_key() -> None:
    odd = Problem(path=("spec", "http", 0), message="odd", severity=Severity.WARNING)
    bad = Problem(path=("spec",), message="bad")

    assert [str(finding) for finding in findings(Key("Gateway", "a", "b"), [odd])] == ["Gateway a/b spec.http[0]: odd"]
    assert errors_of([odd, bad]) == (bad,)
