from collections import Counter
from itertools import cycle
from typing import Any

import pytest

from loadgen.core.chance import uniform
from loadgen.server.behaviour import SIZE_MAX, Behaviour, Fault, behaviour_of


def read(query: str, *draws: float) -> Behaviour:
    drawn = cycle(draws or (0.5,))
    return behaviour_of(query, lambda: next(drawn), delay_s_max=1.5)


@pytest.mark.parametrize(
    ("query", "field", "value"),
    [
        ("", "status", 200),
        ("status=503", "status", 503),
        ("status=503&status=404", "status", 503),
        ("status=503:20,404:40", "status", 404),
        ("status=503:20,404:10", "status", 200),
        ("status=503:60%", "status", 503),
        ("status=banana", "status", 400),
        ("status=503:x", "status", 400),
        ("status=503:60,404:60", "status", 400),
        ("status=999", "status", 400),
        ("delay=2ms", "delay_s", 0.002),
        ("delay=150us:10,2ms:50", "delay_s", 0.002),
        ("delay=150us:10,2ms:5", "delay_s", 0.0),
        ("delay=1h", "delay_s", 1.5),
        ("delay=soon", "delay_s", 0.0),
        ("tail=10ms:1", "delay_s", 0.02),
        ("delay=1ms&tail=10ms:1", "delay_s", 0.021),
        ("tail=x", "delay_s", 0.0),
        ("service=10ms", "service_s", 0.01),
        ("size=10", "size", 10),
        ("size=10:10,20:80", "size", 20),
        ("size=0", "size", 0),
        ("size=-5", "size", 0),
        ("size=99999999", "size", SIZE_MAX),
        ("", "size", None),
        ("close=true", "close", True),
        ("close=", "close", False),
        ("close=false", "close", False),
        ("close=60%", "close", True),
        ("close=40", "close", False),
        ("header=a:b&header=c: d:e&header=none", "headers", (("a", "b"), ("c", "d:e"))),
        ("header=a:b%0d%0ac:d", "headers", (("a", "bc:d"),)),
        ("fault=reset", "fault", Fault.RESET),
        ("fault=reset:5,truncate:50", "fault", Fault.TRUNCATE),
        ("fault=reset:5", "fault", Fault.NONE),
        ("fault=explode", "fault", Fault.NONE),
    ],
)
def test_a_parameter_says_how_to_behave(query: str, field: str, value: Any) -> None:
    assert (
        getattr(read(query), field) == pytest.approx(value)
        if field == "delay_s"
        else value == getattr(read(query), field)
    )


def test_weights_are_shares_and_the_rest_is_good() -> None:
    drawn = iter(uniform(5, index) for index in range(10_000))
    counts = Counter(
        behaviour_of("status=503:20,404:10,429:0.5%", lambda: next(drawn), delay_s_max=1).status for _ in range(10_000)
    )
    assert counts[503] / 10_000 == pytest.approx(0.2, abs=0.01)
    assert counts[404] / 10_000 == pytest.approx(0.1, abs=0.01)
    assert counts[429] / 10_000 == pytest.approx(0.005, abs=0.003)
    assert set(counts) == {200, 503, 404, 429}
