import pytest

from rollout.mesh.translate.proto import extension, given, hundred, million, string_matcher
from rollout.mesh.translate.virtual_service import Percentage, StringMatch


@pytest.mark.parametrize(("percent", "parts"), [(100, 1_000_000), (0.0001, 1), (12.5, 125_000), (0, 0), (0.00019, 1)])
def test_a_percentage_is_drawn_in_parts_of_a_million(percent: float, parts: int) -> None:
    assert million(Percentage(value=percent)) == {"numerator": parts, "denominator": "MILLION"}


def test_a_whole_percentage_is_drawn_in_parts_of_a_hundred() -> None:
    assert hundred(7) == {"numerator": 7, "denominator": "HUNDRED"}


@pytest.mark.parametrize(
    ("string", "matcher"),
    [
        (StringMatch(exact=""), {"exact": ""}),
        (StringMatch(prefix="a"), {"prefix": "a"}),
        (StringMatch(regex="a.*"), {"safe_regex": {"regex": "a.*"}}),
    ],
)
def test_strings_are_compared_as_asked(string: StringMatch, matcher: dict[str, object]) -> None:
    assert string_matcher(string) == matcher


def test_what_says_nothing_is_left_out() -> None:
    assert given(a=1, b=None, c="", d=0, e=[], f={}, g=False, h="x") == {"a": 1, "h": "x"}


def test_an_extension_names_its_type() -> None:
    assert extension("a", "b.C", d=1) == {"name": "a", "typed_config": {"@type": "type.googleapis.com/b.C", "d": 1}}
