import pytest

from loadgen.fortio.go import Flag, duration, parse_flags, shortest

FLAGS = {
    "c": Flag(kind=int, default=4),
    "qps": Flag(kind=float, default=8.0),
    "t": Flag(kind=None, default=5.0),
    "k": Flag(kind=bool, default=False),
    "H": Flag(kind=list, default=""),
    "X": Flag(kind=str, default=""),
}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.00167415, "0.00167415"),
        (0.0001, "0.0001"),
        (0.00004, "4e-05"),
        (6.2587e-05, "6.2587e-05"),
        (1048576, "1.048576e+06"),
        (1e6, "1e+06"),
        (999999, "999999"),
        (230.0, "230"),
        (99.9, "99.9"),
        (-0.5, "-0.5"),
        (-2e-7, "-2e-07"),
        (1.5e300, "1.5e+300"),
    ],
)
def test_a_number_is_written_as_go_writes_it(value: float, text: str) -> None:
    assert shortest(value) == text


@pytest.mark.parametrize(
    ("value_ns", "text"),
    [
        (0, "0s"),
        (5, "5ns"),
        (1_500, "1.5µs"),
        (20_111_000, "20.111ms"),
        (5_000_000_000, "5s"),
        (90_500_000_000, "1m30.5s"),
        (3_605_000_000_000, "1h0m5s"),
    ],
)
def test_a_duration_is_written_as_go_writes_it(value_ns: int, text: str) -> None:
    assert duration(value_ns) == text


def test_flags_are_read_as_go_reads_them() -> None:
    arguments = ["-c", "3", "--qps=0", "-k", "-t", "1m30s", "-H", "a: b", "-H=c:d", "-X", "-", "http://x/", "-c", "9"]
    values, rest = parse_flags(arguments, FLAGS)
    assert values == {"c": 3, "qps": 0.0, "t": 90.0, "k": True, "H": ["a: b", "c:d"], "X": "-"}
    assert rest == ["http://x/", "-c", "9"]
    assert parse_flags(["-k=false", "--", "-c"], FLAGS)[1] == ["-c"]
    assert parse_flags(["-"], FLAGS)[1] == ["-"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-z"], "flag provided but not defined: -z"),
        (["-c"], "flag needs an argument: -c"),
        (["-c", "x"], 'invalid value "x" for flag -c'),
        (["-t", "soon"], 'invalid value "soon" for flag -t'),
        (["-k=maybe"], 'invalid value "maybe" for flag -k: parse error'),
    ],
)
def test_a_flag_that_means_nothing_is_refused_in_gos_words(arguments: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_flags(arguments, FLAGS)
