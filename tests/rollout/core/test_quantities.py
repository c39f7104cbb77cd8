"""Texts that people write, read and printed back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from rollout.core.quantities import (
    Amount,
    Limit,
    Unit,
    check_finite,
    check_name,
    check_url,
    check_version,
    format_duration,
    format_percent,
    format_quantile,
    format_rate,
    format_split,
    parse_amount,
    parse_duration,
    parse_percent,
    parse_quantile,
    parse_rate,
    parse_split,
    shown,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("1m30s", 90),
        ("1h", 3600),
        ("1h30m", 5400),
        ("90s", 90),
        ("250ms", 0.25),
        ("1.5s", 1.5),
        ("0s", 0),
        ("90m", 5400),
        ("1s500ms", 1.5),
    ],
)
def test_go_style_durations_are_read_as_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["5", "-1s", "1h99m", "1m60s", "1e9h", "five", "", " 5s", "5s\n", "1s1h", "s", 5, None, True, "9000000h"]
)
def test_what_is_no_duration_is_refused_with_an_example_or_a_reason(text: object) -> None:
    with pytest.raises(ValueError, match=r"such as 30s|stay below 60|longer than a year"):
        parse_duration(text)


@given(st.integers(0, 30 * 86400 * 1000))
def test_a_duration_survives_being_printed(millis: int) -> None:
    assert parse_duration(format_duration(millis / 1000)) == pytest.approx(millis / 1000, abs=1e-9)


@pytest.mark.parametrize(("text", "ratio"), [("1%", 0.01), ("12.5%", 0.125), ("0%", 0), ("100%", 1)])
def test_percentages_are_read_as_ratios_and_printed_back(text: str, ratio: float) -> None:
    assert parse_percent(text) == pytest.approx(ratio)
    assert format_percent(ratio) == text


@pytest.mark.parametrize("text", ["1", 1, "1 %", "-1%", "101%", "%", None])
def test_a_percentage_needs_its_sign_and_ends_at_a_hundred(text: object) -> None:
    with pytest.raises(ValueError, match="percentage|more than 100%"):
        parse_percent(text)


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("50%", Amount(0.5, Unit.PERCENT)),
        ("150%", Amount(1.5, Unit.PERCENT)),
        ("0.5pp", Amount(0.005, Unit.POINTS)),
        ("25ms", Amount(0.025, Unit.SECONDS)),
        ("1m30s", Amount(90, Unit.SECONDS)),
    ],
)
def test_amounts_carry_their_unit_and_print_back(text: str, amount: Amount) -> None:
    assert parse_amount(text) == amount
    assert parse_amount(amount) is amount
    assert str(amount) == text


@pytest.mark.parametrize("text", ["5", 5, None, "5x", "pp", "xs"])
def test_an_amount_without_a_unit_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="unit|duration"):
        parse_amount(text)


def test_the_annotated_types_describe_themselves_in_json_schema() -> None:
    schema = TypeAdapter(Limit).json_schema()

    assert schema["type"] == "string"
    assert TypeAdapter(Limit).dump_python(Amount(0.5, Unit.PERCENT)) == "50%"


@pytest.mark.parametrize(("text", "per_s"), [("50/s", 50), ("300/m", 5), ("36/h", 0.01)])
def test_rates_are_read_per_second(text: str, per_s: float) -> None:
    assert parse_rate(text) == pytest.approx(per_s)


@pytest.mark.parametrize("text", ["50", "50/d", "/s", 50, "-1/s"])
def test_a_rate_needs_its_unit_of_time(text: object) -> None:
    with pytest.raises(ValueError, match="50/s"):
        parse_rate(text)


def test_rates_quantiles_and_splits_print_back() -> None:
    assert format_rate(parse_rate("50/s")) == "50/s"
    assert format_quantile(parse_quantile("p99.9")) == "p99.9"
    assert format_split(parse_split("80/20")) == "80/20"


@pytest.mark.parametrize("text", ["p0", "p100", "99", "p", 0.99, "p-5"])
def test_what_is_no_quantile_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="p99"):
        parse_quantile(text)


@pytest.mark.parametrize("text", ["50/40", "0/100", "100/0", "50", None, "50/50/0"])
def test_a_split_gives_both_sides_something_and_sums_to_a_hundred(text: object) -> None:
    with pytest.raises(ValueError, match="sum to 100"):
        parse_split(text)


@pytest.mark.parametrize("name", ["reviews", "a", "a-1", "x" * 63])
def test_names_are_rfc_1123_labels(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", "A", "-a", "a-", "x" * 64, "../../x", "a\n", "a b", "é", "\N{SMILE}", None, 1])
def test_what_is_no_name_is_refused(name: object) -> None:
    with pytest.raises(ValueError, match="not a name"):
        check_name(name)


def test_versions_may_have_dots_and_capitals_but_nothing_that_ends_a_line() -> None:
    assert check_version("v1.2.3-RC1") == "v1.2.3-RC1"
    for wrong in ("", "v1\n", "-v1", "a/b", "x" * 64, None):
        with pytest.raises(ValueError, match="not a version"):
            check_version(wrong)


@pytest.mark.parametrize(
    "url", ["http://reviews:9080/reviews/0", "https://a.b", "http://[::1]:80/", "http://127.0.0.1"]
)
def test_plain_http_urls_pass(url: str) -> None:
    assert check_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://h/",
        "http://user:pw@h/",
        "http://",
        "http://h/a b",
        "http://h/\n",
        "h",
        None,
        "http://h/" + "x" * 3000,
    ],
)
def test_other_schemes_credentials_and_control_characters_are_refused(url: object) -> None:
    with pytest.raises(ValueError, match="not a URL"):
        check_url(url)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), True, "3", None])
def test_only_finite_numbers_are_numbers(value: object) -> None:
    with pytest.raises(ValueError, match="finite number"):
        check_finite(value)
    assert check_finite(3) == 3.0


def test_what_is_shown_in_an_error_is_short_and_on_one_line() -> None:
    assert shown("a\nb") == r"'a\nb'"
    assert len(shown("x" * 500)) == 60
