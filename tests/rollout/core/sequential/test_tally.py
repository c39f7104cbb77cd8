from math import inf, nan

import pytest

from rollout.core.sequential.tally import check_share
from tests.rollout.core.sequential.strategies import tally


@pytest.mark.parametrize(("events", "exposure"), [(-1, 10), (1, -1), (nan, 10), (1, nan), (inf, 1), (1, inf)])
def test_a_tally_of_anything_but_finite_counts_is_refused(events: float, exposure: float) -> None:
    with pytest.raises(ValueError, match="finite counts"):
        tally(events, exposure)


def test_more_events_than_requests_are_refused_where_every_event_is_a_request() -> None:
    check_share(tally(10, 10))
    with pytest.raises(ValueError, match="11 events among 10 requests"):
        check_share(tally(11, 10))
