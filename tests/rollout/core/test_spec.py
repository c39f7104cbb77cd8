"""What a spec answers about its steps."""

from rollout.core.spec import RolloutSpec
from tests.rollout.core.worlds import spec


def test_a_step_keeps_the_weight_before_it() -> None:
    assert [spec().weight_at(index) for index in range(7)] == [0, 0, 5, 25, 25, 50, 100]


def test_a_cohort_lasts_to_the_end() -> None:
    cohorts = [spec().cohort_at(index) for index in range(7)]

    assert cohorts[0] is None
    assert all(cohort is not None and "end-user" in cohort.headers for cohort in cohorts[1:])


def test_the_route_is_named_like_the_service_unless_said_otherwise() -> None:
    assert spec().route.name == "reviews"
    assert spec(route={"name": "edge", "http": "default"}).route.http == "default"


def test_steps_are_named_the_way_people_say_them() -> None:
    names = [str(step) for step in spec().steps]

    assert names == [
        "probe",
        "cohort end-user: jason",
        "weight 5%",
        "weight 25%",
        "gate sre-signoff",
        "weight 50%",
        "weight 100%",
    ]


def test_a_spec_survives_json() -> None:
    text = spec().model_dump_json(by_alias=True, exclude_unset=True)

    assert RolloutSpec.model_validate_json(text) == spec()
