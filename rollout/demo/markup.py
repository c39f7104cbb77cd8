"""HTML by construction: what is not `Html` gets escaped, so a page cannot forget to.

The demo needs three pages and no template engine. A string that came from a user, a cookie or another service stays a
plain `str` and is escaped where it enters an element; only `element` and `page` make `Html`. Joining `Html` with `+`
yields a plain `str`, which errs on the safe side: it is escaped again.
"""

from html import escape

VOID = frozenset({"input", "link", "meta"})  # elements without an end tag (WHATWG HTML 13.1.2), those in use here


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


def element(name: str, /, *children: str, **attributes: str | bool) -> Html:
    """Write one element; `class_` becomes `class`, `aria_label` becomes `aria-label`, True a bare attribute."""
    start = "".join(attribute(key, value) for key, value in attributes.items())
    if name in VOID:
        assert not children, f"<{name}> has no content"
        return Html(f"<{name}{start}>")
    return Html(f"<{name}{start}>{fragment(*children)}</{name}>")


def fragment(*children: str) -> Html:
    """Put siblings next to each other."""
    return Html("".join(child if isinstance(child, Html) else escape(child) for child in children))


def attribute(key: str, value: str | bool) -> str:
    """Write one attribute with its leading space; False leaves it out."""
    name = key.rstrip("_").replace("_", "-")
    match value:
        case bool():
            return f" {name}" if value else ""
        case str():
            return f' {name}="{escape(value)}"'


def page(*, title: str, stylesheet: str, body: Html) -> str:
    """Write a whole document; everything it needs comes from its own origin."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("link", rel="stylesheet", href=f"/static/{stylesheet}"),
        element("link", rel="icon", type="image/svg+xml", href="/static/icon.svg"),
    )
    return "<!doctype html>\n" + element("html", head, body, lang="en")
