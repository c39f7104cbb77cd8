"""The border: what another service sent becomes values, or that service has failed."""

from typing import Any

import pytest

from rollout.demo.bookinfo.book import (
    DETAILS,
    QUOTES,
    Rating,
    RatingUnavailable,
    Review,
    Reviews,
    StarColor,
    parse_details,
    parse_ratings,
    parse_reviews,
)


def reviews_document(**rating: Any) -> dict[str, Any]:
    item: dict[str, Any] = {"reviewer": "Reviewer1", "text": QUOTES["Reviewer1"]}
    return {"id": "0", "podname": "reviews-v3-x", "clustername": "", "reviews": [item | rating]}


@pytest.mark.parametrize(
    ("sent", "rating"),
    [
        ({}, None),
        ({"rating": None}, None),
        ({"rating": {"stars": 4, "color": "red"}}, Rating(stars=4, color=StarColor.RED)),
        ({"rating": {"stars": 0, "color": "black"}}, Rating(stars=0, color=StarColor.BLACK)),
        ({"rating": {"error": "sorry"}}, RatingUnavailable(says="sorry")),
    ],
)
def test_a_review_has_stars_or_says_why_not(sent: dict[str, Any], rating: Any) -> None:
    review = Review(reviewer="Reviewer1", text=QUOTES["Reviewer1"], rating=rating)
    assert parse_reviews(reviews_document(**sent)) == Reviews(pod="reviews-v3-x", reviews=(review,))


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        [],
        {},
        {"podname": "x", "reviews": {}},
        {"podname": 1, "reviews": []},
        {"podname": "x", "reviews": [None]},
        {"podname": "x", "reviews": [{"reviewer": "r"}]},
        reviews_document(rating=5),
        reviews_document(rating={"stars": 6, "color": "red"}),
        reviews_document(rating={"stars": -1, "color": "red"}),
        reviews_document(rating={"stars": True, "color": "red"}),
        reviews_document(rating={"stars": 4.5, "color": "red"}),
        reviews_document(rating={"stars": 4, "color": "blue"}),
        reviews_document(rating={"stars": 4}),
        reviews_document(rating={"error": 500}),
    ],
    ids=str,
)
def test_reviews_of_the_wrong_shape_are_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="."):
        parse_reviews(wrong)


def test_details_are_labels_and_values_without_the_id() -> None:
    shown = parse_details({"id": 0} | DETAILS)
    assert shown["year"] == "1595"
    assert "id" not in shown


@pytest.mark.parametrize("wrong", [None, [], {"a": 6}, {"a": "5"}, {"a": None}])
def test_ratings_of_the_wrong_shape_are_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="."):
        parse_ratings(wrong)
