from typing import Any

import click
import pytest

from loadgen.cli.units import (
    ARM_TYPE,
    DURATION_TYPE,
    HEADER_TYPE,
    REUSE_TYPE,
    SPLIT_TYPE,
    STAGE_TYPE,
    STATUSES_TYPE,
)
from loadgen.core.plan import Stage, VersionFrom, VersionSource


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (DURATION_TYPE, "1m", 60.0),
        (HEADER_TYPE, "Host:  reviews:9080 ", ("Host", "reviews:9080")),
        (STAGE_TYPE, "200/s:30s", Stage(from_per_s=200, to_per_s=200, duration_s=30)),
        (STAGE_TYPE, "0..2k/s:1m", Stage(from_per_s=0, to_per_s=2000, duration_s=60)),
        (ARM_TYPE, "canary=5%", ("canary", 0.05)),
        (SPLIT_TYPE, "cookie:ver", VersionFrom(source=VersionSource.COOKIE, key="ver")),
        (SPLIT_TYPE, "body:pod-(v\\d:?)", VersionFrom(source=VersionSource.BODY, key="pod-(v\\d:?)")),
        (STATUSES_TYPE, "200-299,418", ((200, 299), (418, 418))),
        (REUSE_TYPE, "100", (100, 100)),
        (REUSE_TYPE, "50:150", (50, 150)),
    ],
)
def test_what_people_type_becomes_a_value(kind: click.ParamType[Any], text: str, value: object) -> None:
    assert kind.convert(text, None, None) == value
    assert kind.convert(value, None, None) is value


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (HEADER_TYPE, "no colon"),
        (STAGE_TYPE, "200/s"),
        (STAGE_TYPE, "x:1s"),
        (ARM_TYPE, "canary"),
        (SPLIT_TYPE, "x-version"),
        (SPLIT_TYPE, "header:a b"),
        (STATUSES_TYPE, "2xx"),
        (REUSE_TYPE, "many"),
    ],
)
def test_what_means_nothing_is_the_users_error(kind: click.ParamType[Any], text: str) -> None:
    with pytest.raises(click.BadParameter):
        kind.convert(text, None, None)
