"""The pages as text: stars in their colour, words where something is missing, no way in for markup."""

import pytest

from rollout.demo.bookinfo.book import Rating, RatingUnavailable, Review, Reviews, StarColor
from rollout.demo.bookinfo.page import Unavailable, View, index_page, product_page

HOSTILE = "<script>alert(1)</script>"


def page_of(*, user: str = "", reviews: Reviews | Unavailable | None = None, details: Unavailable | None = None) -> str:
    return product_page(
        View(
            user=user,
            entrance="normal",
            details=details or {"ISBN-10": "1234567890", "publisher": "PublisherA"},
            reviews=reviews or Reviews(pod="reviews-v1-x", reviews=()),
        )
    )


def reviewed(rating: Rating | RatingUnavailable | None, text: str = "Nice.") -> Reviews:
    return Reviews(pod="reviews-v3-x", reviews=(Review(reviewer="Reviewer1", text=text, rating=rating),))


@pytest.mark.parametrize(("stars", "shown"), [(0, "☆☆☆☆☆"), (4, "★★★★☆"), (5, "★★★★★")])
@pytest.mark.parametrize("color", StarColor)
def test_stars_are_five_in_their_colour_and_have_a_name(stars: int, shown: str, color: StarColor) -> None:
    text = page_of(reviews=reviewed(Rating(stars=stars, color=color)))
    assert f'<span role="img" aria-label="{stars} stars" class="stars {color}">{shown}</span>' in text


def test_a_review_without_stars_shows_none() -> None:
    text = page_of(reviews=reviewed(None))
    assert "Nice." in text
    assert "stars" not in text


def test_missing_ratings_are_said_in_place() -> None:
    text = page_of(reviews=reviewed(RatingUnavailable(says="Ratings service is currently unavailable")))
    assert '<span class="no-rating">Ratings service is currently unavailable</span>' in text
    assert "Nice." in text


def test_missing_services_are_said_in_words_one_by_one() -> None:
    text = page_of(reviews=Unavailable(says="no reviews"))
    assert "<h3>Error fetching product reviews!</h3><p>no reviews</p>" in text
    assert "PublisherA" in text
    text = page_of(details=Unavailable(says="no details"))
    assert "<h3>Error fetching product details!</h3><p>no details</p>" in text
    assert "Reviews served by: <code>reviews-v1-x</code>" in text


def test_labels_are_titles_but_for_abbreviations() -> None:
    text = page_of()
    assert "<dt>ISBN-10</dt><dd>1234567890</dd>" in text
    assert "<dt>Publisher</dt>" in text


def test_who_is_signed_in_can_sign_out_and_who_is_not_can_sign_in() -> None:
    text = page_of(user="jason")
    assert '<span class="user">jason</span>' in text
    assert "Sign out" in text
    assert "Sign in" not in text
    text = page_of()
    assert 'action="/login?u=normal"' in text
    assert "Sign out" not in text


def test_nothing_that_came_from_outside_becomes_markup() -> None:
    unavailable = RatingUnavailable(says=HOSTILE)
    hostile = Review(reviewer=HOSTILE, text=HOSTILE, rating=unavailable)
    text = product_page(
        View(
            user=HOSTILE,
            entrance="normal",
            details={HOSTILE: HOSTILE},
            reviews=Reviews(pod=HOSTILE, reviews=(hostile,)),
        )
    )
    assert "<script" not in text.lower()
    assert text.lower().count("&lt;script&gt;") == 7  # a label is shown as a title


def test_no_page_loads_anything_from_elsewhere() -> None:
    for text in (page_of(), page_of(user="jason"), index_page(["normal"])):
        assert "src=" not in text
        assert "//" not in text.replace("https://en.wikipedia.org/wiki/The_Comedy_of_Errors", "")


def test_the_index_leads_to_both_entrances() -> None:
    text = index_page(["normal", "test"])
    assert '<a href="/productpage?u=normal">Normal user</a>' in text
    assert '<a href="/productpage?u=test">Test user</a>' in text
