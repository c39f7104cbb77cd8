"""The one book of the shop, and what the services say about it.

What another service sent is parsed here, at the border: a document of the wrong shape is a failure of that service
(ValueError), not a surprise in the middle of a page.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

TITLE = "The Comedy of Errors"
SUMMARY = (
    "The Comedy of Errors is one of William Shakespeare's early plays. It is his shortest and one of his most farcical "
    "comedies, with a major part of the humour coming from slapstick and mistaken identity, in addition to puns and "
    "word play."
)
QUOTES = {
    "Reviewer1": "An extremely entertaining play by Shakespeare. The slapstick humour is refreshing!",
    "Reviewer2": (
        "Absolutely fun and entertaining. The play lacks thematic depth when compared to other plays by Shakespeare."
    ),
}
DETAILS = {
    "author": "William Shakespeare",
    "year": 1595,
    "type": "paperback",
    "pages": 200,
    "publisher": "PublisherA",
    "language": "English",
    "ISBN-10": "1234567890",
    "ISBN-13": "123-1234567890",
}
RATINGS = {"Reviewer1": 5, "Reviewer2": 4}
STARS_MAX = 5


class StarColor(StrEnum):
    """The colours reviews knows: the visible difference between v2 and v3."""

    BLACK = "black"
    RED = "red"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """So many stars of five, in a colour."""

    stars: int
    color: StarColor


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingUnavailable:
    """The reviews service could not get a rating, and says so."""

    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """One reader's opinion; v1 of reviews knows no ratings."""

    reviewer: str
    text: str
    rating: Rating | RatingUnavailable | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviews:
    """The reviews of a book, and the pod that served them."""

    pod: str
    reviews: tuple[Review, ...]


def parse_reviews(document: object) -> Reviews:
    """Read what the reviews service sent."""
    reviews = mapping(document)
    items = reviews.get("reviews")
    if not isinstance(items, list):
        raise ValueError("reviews must be a list")
    return Reviews(pod=text(reviews, "podname"), reviews=tuple(parse_review(mapping(item)) for item in items))


def parse_review(item: Mapping[str, object]) -> Review:
    """Read one review."""
    rating = item.get("rating")
    return Review(
        reviewer=text(item, "reviewer"),
        text=text(item, "text"),
        rating=None if rating is None else parse_rating(mapping(rating)),
    )


def parse_rating(item: Mapping[str, object]) -> Rating | RatingUnavailable:
    """Read the stars of one review, or why there are none."""
    if "error" in item:
        return RatingUnavailable(says=text(item, "error"))
    return Rating(stars=parse_stars(item.get("stars")), color=StarColor(text(item, "color")))


def parse_stars(value: object) -> int:
    """Read a number of stars."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= STARS_MAX:
        raise ValueError(f"stars must be a whole number from 0 to {STARS_MAX}")
    return value


def parse_ratings(document: object) -> dict[str, int]:
    """Read stars by reviewer."""
    return {reviewer: parse_stars(stars) for reviewer, stars in mapping(document).items()}


def parse_details(document: object) -> dict[str, str]:
    """Read the details of a book as the page shows them: label and value."""
    return {label: str(value) for label, value in mapping(document).items() if label != "id"}


def mapping(value: object) -> Mapping[str, object]:
    """Insist on a JSON object."""
    if not isinstance(value, dict):
        raise ValueError("expected a JSON object")
    return value


def text(item: Mapping[str, object], key: str) -> str:
    """Insist on a text under this key."""
    value = item.get(key)
    if not isinstance(value, str):
        raise ValueError(f"{key} must be a text")
    return value
