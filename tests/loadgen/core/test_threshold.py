import pytest

from loadgen.core.outcome import Outcome
from loadgen.core.threshold import Verdict, judge, parse
from tests.loadgen.core.reports import report
from tests.loadgen.core.snapshots import cell

REPORT = report(
    cell(Outcome.OK, *range(1, 100)),
    cell(Outcome.TIMEOUT, 3000, version="", status=0),
    cell(Outcome.OK, 400, version="v3"),
    cell(Outcome.DROPPED, 0, version="", status=0),
    sent=101,
    dropped=1,
)


def held(text: str) -> Verdict:
    return judge(parse(text), REPORT)


@pytest.mark.parametrize(
    ("text", "passed", "told"),
    [
        ("p50<100ms", True, "51ms"),
        ("p99<300ms", False, "400ms"),
        ("p99@v1<300ms", True, "99ms"),
        ("p99.9 >= 2s", True, "3s"),
        ("p50@v3<=399ms", False, "400ms"),
        ("max<1s", False, "3s"),
        ("min<2ms", True, "999µs"),
        ("mean@v1<51ms", True, "50ms"),
        ("errors<1%", True, "0.99%"),
        ("errors<=0", False, "0.99%"),
        ("errors@v3<=0", True, "0.00%"),
        ("dropped<0.5%", False, "0.98%"),
        ("share@v3<=1%", True, "1.00%"),
        ("share@v1<90%", False, "99.00%"),
        ("share@v9<=0", True, "0.00%"),
        ("rate>10/s", True, "10.1/s"),
        ("rate>=700/m", False, "10.1/s"),
    ],
)
def test_a_number_is_held_against_its_limit(text: str, passed: bool, told: str) -> None:
    verdict = held(text)
    assert (verdict.passed, verdict.told()) == (passed, told)


@pytest.mark.parametrize("text", ["p99@v9<1h", "errors@v9<1%"])
def test_silence_is_no_success(text: str) -> None:
    assert (held(text).passed, held(text).told()) == (False, "no data")
    empty = report()
    assert not judge(parse("dropped<1%"), empty).passed
    assert not judge(parse("max<1s"), empty).passed
    assert judge(parse("share@v3<1%"), empty).told() == "no data"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is none"),
        ("p99", "is none"),
        ("p99<", "is none"),
        ("p99=5", "is none"),
        ("p100<1s", "expected p50 to p99.999"),
        ("latency<1s", "expected p50 to p99.999"),
        ("p99<1%", "is no duration"),
        ("errors<1s", "is no share"),
        ("rate>1s", "is no rate"),
        ("share<1%", "that of a version"),
        ("rate@v1>1/s", "of the whole run only"),
    ],
)
def test_what_is_no_threshold_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(text)
