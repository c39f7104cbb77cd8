"""The two pages of productpage, as pure functions of what there is to show."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rollout.demo.bookinfo.book import STARS_MAX, SUMMARY, TITLE, Rating, RatingUnavailable, Review, Reviews
from rollout.demo.markup import Html, element, fragment, page

STYLESHEET = "bookinfo.css"
NOTHING = Html("")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unavailable:
    """A service did not answer; this is what the reader is told."""

    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Everything the page of the book shows."""

    user: str
    entrance: str
    details: Mapping[str, str] | Unavailable
    reviews: Reviews | Unavailable


def product_page(view: View) -> str:
    """Write the page of the book."""
    return page(
        title=f"{TITLE} – BookInfo Sample",
        stylesheet=STYLESHEET,
        body=element(
            "body",
            masthead(account(view)),
            element(
                "main",
                element("section", element("h1", TITLE), summary(), class_="hero"),
                element("section", element("h2", "Book Details"), details(view.details), class_="details"),
                element("section", element("h2", "Book Reviews"), reviews(view.reviews), class_="reviews"),
            ),
        ),
    )


def index_page(entrances: Iterable[str]) -> str:
    """Write the page at the root: the two ways in."""
    links = [
        element("li", element("a", f"{entrance.capitalize()} user", href=f"/productpage?u={entrance}"))
        for entrance in entrances
    ]
    hello = element("p", "A simple bookstore made of four services. Go in as a")
    body = element(
        "section",
        element("h1", "Hello! This is the bookinfo application."),
        hello,
        element("ul", *links),
        class_="hero",
    )
    return page(
        title="BookInfo Sample", stylesheet=STYLESHEET, body=element("body", masthead(NOTHING), element("main", body))
    )


def masthead(right: Html) -> Html:
    """Write the bar at the top."""
    return element("header", element("a", "BookInfo Sample", href="/", class_="brand"), right)


def account(view: View) -> Html:
    """Write who is signed in, or how to sign in: a popover, which needs no script."""
    if view.user:
        name = element("span", view.user, class_="user")
        return element(
            "nav",
            name,
            element("a", "Sign out", href=f"/logout?u={view.entrance}", class_="button"),
            aria_label="Account",
        )
    form = element(
        "form",
        element("h2", "Please sign in", id="sign-in-title"),
        element(
            "label",
            "User name",
            element("input", name="username", autocomplete="username", maxlength="64", required=True, autofocus=True),
        ),
        element(
            "label", "Password", element("input", name="password", type="password", autocomplete="current-password")
        ),
        element("p", "Any password will do.", class_="hint"),
        element("button", "Sign in", type="submit", class_="button"),
        method="post",
        action=f"/login?u={view.entrance}",
        id="sign-in",
        popover=True,
        aria_labelledby="sign-in-title",
    )
    opener = element("button", "Sign in", type="button", popovertarget="sign-in", class_="button")
    return element("nav", opener, form, aria_label="Account")


def summary() -> Html:
    """Write what the play is about."""
    return element(
        "p",
        element("a", "Wikipedia Summary", href="https://en.wikipedia.org/wiki/The_Comedy_of_Errors", rel="noreferrer"),
        ": ",
        SUMMARY,
    )


def details(shown: Mapping[str, str] | Unavailable) -> Html:
    """Write the facts of the edition."""
    if isinstance(shown, Unavailable):
        return sorry("Error fetching product details!", shown)
    rows = [
        element("div", element("dt", label.title() if label.islower() else label), element("dd", value))
        for label, value in shown.items()
    ]
    return element("dl", *rows)


def reviews(shown: Reviews | Unavailable) -> Html:
    """Write what readers said, and which pod served it."""
    if isinstance(shown, Unavailable):
        return sorry("Error fetching product reviews!", shown)
    served = element("p", "Reviews served by: ", element("code", shown.pod), class_="served")
    return fragment(*(review(item) for item in shown.reviews), served)


def review(item: Review) -> Html:
    """Write one quote."""
    by = element("footer", element("cite", f"— {item.reviewer}"), rating(item.rating))
    return element("blockquote", element("p", item.text), by)


def rating(item: Rating | RatingUnavailable | None) -> Html:
    """Write the stars in their colour; full ones, then empty ones."""
    match item:
        case None:
            return NOTHING
        case RatingUnavailable():
            return element("span", item.says, class_="no-rating")
        case Rating():
            stars = "★" * item.stars + "☆" * (STARS_MAX - item.stars)
            label = f"{item.stars} stars"
            return element("span", stars, role="img", aria_label=label, class_=f"stars {item.color}")


def sorry(title: str, what: Unavailable) -> Html:
    """Write that a part of the page is missing."""
    return element("div", element("h3", title), element("p", what.says), class_="sorry", role="alert")
