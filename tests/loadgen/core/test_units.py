import pytest

from loadgen.core.units import per_second, seconds, share, told_s


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("300ms", 0.3),
        ("1m30s", 90),
        ("1.5h", 5400),
        ("2", 2),
        (".5", 0.5),
        ("10us", 1e-5),
        ("7µs", 7e-6),
        ("1d", 86400),
    ],
)
def test_a_duration_is_read_as_go_writes_it(text: str, value: float) -> None:
    assert seconds(text) == pytest.approx(value)


@pytest.mark.parametrize(("text", "value"), [("200/s", 200), ("30/m", 0.5), ("2k/s", 2000), ("1k", 1000), ("7", 7)])
def test_a_rate_is_per_second_unless_it_says_otherwise(text: str, value: float) -> None:
    assert per_second(text) == value


@pytest.mark.parametrize(("text", "value"), [("1%", 0.01), ("0.25", 0.25), (".5%", 0.005)])
def test_a_share_may_be_in_per_cent(text: str, value: float) -> None:
    assert share(text) == value


@pytest.mark.parametrize("read", [seconds, per_second, share])
@pytest.mark.parametrize("text", ["", "x", "-1", "1x", "1 s", "nan", "1e3", "1.2.3", "s"])
def test_anything_else_is_refused_by_name(read: object, text: str) -> None:
    with pytest.raises(ValueError, match="expected something like"):
        read(text)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0.00085, "850µs"),
        (0.0182, "18.2ms"),
        (0.9996, "1s"),
        (1.234, "1.23s"),
        (3600, "3600s"),
        (0, "0µs"),
    ],
)
def test_a_duration_is_told_in_three_digits(value: float | None, text: str) -> None:
    assert told_s(value) == text
