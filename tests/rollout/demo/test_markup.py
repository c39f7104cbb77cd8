"""HTML by construction: nothing that came from outside can become markup."""

import pytest

from rollout.demo.markup import Html, element, fragment, page

HOSTILE = "<script>alert('x')</script>&\""


def test_text_is_escaped_where_it_enters_an_element() -> None:
    assert element("p", HOSTILE) == "<p>&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;&amp;&quot;</p>"


def test_text_is_escaped_where_it_enters_an_attribute() -> None:
    assert element("a", href='"><script>') == '<a href="&quot;&gt;&lt;script&gt;"></a>'


def test_an_element_in_an_element_stays_markup() -> None:
    assert element("p", "1 < 2, ", element("b", "2 > 1")) == "<p>1 &lt; 2, <b>2 &gt; 1</b></p>"


def test_joining_markup_with_plus_errs_on_the_safe_side() -> None:
    assert "<b>" not in fragment(element("b", "x") + "<b>")


def test_only_what_is_made_here_is_markup() -> None:
    assert isinstance(element("p"), Html)
    assert isinstance(fragment("x"), Html)
    assert not isinstance("<p></p>", Html)


@pytest.mark.parametrize(
    ("attributes", "written"),
    [
        ({"class_": "stars red"}, ' class="stars red"'),
        ({"aria_label": "5 stars"}, ' aria-label="5 stars"'),
        ({"required": True}, " required"),
        ({"required": False}, ""),
        ({"value": ""}, ' value=""'),
    ],
)
def test_attributes_are_written_as_html_names_them(attributes: dict[str, str | bool], written: str) -> None:
    assert element("input", **attributes) == f"<input{written}>"


def test_an_element_without_an_end_tag_has_no_content() -> None:
    assert element("meta", charset="utf-8") == '<meta charset="utf-8">'
    with pytest.raises(AssertionError):
        element("input", "text")


def test_a_page_is_a_whole_document_of_its_own_origin() -> None:
    text = page(title="A & B", stylesheet="x.css", body=element("body", "hello"))
    assert text.startswith("<!doctype html>\n<html lang=")
    assert "<title>A &amp; B</title>" in text
    assert text.endswith("<body>hello</body></html>")
    assert "://" not in text
