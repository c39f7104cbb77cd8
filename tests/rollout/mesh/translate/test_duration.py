import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout.mesh.schema import read
from rollout.mesh.translate.duration import NANOSECONDS_MAX, Duration, Span


@pytest.mark.parametrize(
    ("text", "proto"),
    [
        ("0", "0s"),
        ("0s", "0s"),
        ("500ms", "0.5s"),
        ("0.5s", "0.5s"),
        (".5s", "0.5s"),
        ("1h2m3.5s", "3723.5s"),
        ("3m", "180s"),
        ("1m500ms", "60.5s"),
        ("1us", "0.000001s"),
        ("1µs", "0.000001s"),
        ("7ns", "0.000000007s"),
        ("100s", "100s"),
    ],
)
def test_go_durations_become_proto_json(text: str, proto: str) -> None:
    assert Duration.parse(text).proto() == proto


@pytest.mark.parametrize("text", ["", "5", "-1s", "1h99", "1e9h", "five", "1 s", "s", "1S", "1d", "0x1s", "1s\n", "٣s"])
def test_other_spellings_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        Duration.parse(text)


def test_what_go_cannot_hold_is_too_long() -> None:
    with pytest.raises(ValueError, match="duration too long"):
        Duration.parse("2562048h")


@given(st.integers(0, NANOSECONDS_MAX))
def test_every_length_survives_the_way_to_envoy(nanoseconds: int) -> None:
    assert Duration.parse(Duration(nanoseconds).proto()).nanoseconds == nanoseconds


@pytest.mark.parametrize(
    ("text", "complaint"), [("0s", "must be at least 1ms"), ("1500us", "must be whole milliseconds")]
)
def test_istiod_wants_whole_milliseconds(text: str, complaint: str) -> None:
    value, problems = read(Span, text)

    assert value is None
    assert [problem.message for problem in problems] == [complaint]


def test_whole_seconds_are_rounded_down() -> None:
    assert Duration.parse("1999ms").whole_seconds == 1
