"""Whatever stands in a document, it is let in and translated, or refused with a key: nothing else happens."""

import contextlib
import copy
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rollout.mesh.translate.configuration import configuration_of
from rollout.mesh.translate.document import InvalidDocument
from rollout.mesh.translate.resources import translate
from rollout.yaml_documents import load_all
from tests.rollout.mesh.translate.documents import registry, source

EVERYTHING = [document.value for document in load_all((Path(__file__).parent / "everything.yaml").read_text())]
JUNK: st.SearchStrategy[Any] = st.sampled_from(
    [
        None,
        True,
        0,
        -1,
        1,
        0.5,
        70000,
        2**40,
        "",
        "a",
        "*",
        "a.b",
        "/",
        "5s",
        "(",
        "%",
        "\n",
        [],
        {},
        [None],
        [{}],
        {"": {}},
    ]
)

Place = tuple[str | int, ...]


def places(value: Any, path: Place = ()) -> list[Place]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inner for place in places(item, (*path, key)))]


PLACES = [(index, place) for index, document in enumerate(EVERYTHING) for place in places(document) if place]


def put(document: Any, place: Place, value: Any) -> None:
    *parents, last = place
    for key in parents:
        document = document[key]
    document[last] = value


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(PLACES), JUNK)
def test_a_document_with_anything_anywhere_is_taken_or_refused(where: tuple[int, Place], junk: Any) -> None:
    documents = copy.deepcopy(EVERYTHING)
    put(documents[where[0]], where[1], junk)
    taken = None
    with contextlib.suppress(InvalidDocument):
        taken = configuration_of(registry(), documents)

    assert taken is None or translate(taken, source).rds
