"""Problems as sentences. (How plans use them is in test_plan_rules.py.)"""

from pydantic import BaseModel, ConfigDict, Field

from rollout.core.plan_errors import Problem, problems_from


class Sample(BaseModel):
    model_config = ConfigDict(extra="forbid")

    count: int = Field(strict=True, gt=0, lt=10)
    words: list[str]
    url: str = Field(pattern="^http")


def sentences(**document: object) -> list[str]:
    problems, value = problems_from(Sample, document)
    assert (value is None) is bool(problems)
    return [str(problem) for problem in problems]


def test_paths_are_written_as_people_write_them() -> None:
    assert Problem(("spec", "steps", 2, "hold"), "x").path == "spec.steps[2].hold"
    assert Problem((), "x").path == "the document"


def test_good_documents_have_no_problems() -> None:
    assert sentences(count=1, words=["a"], url="http://x") == []


def test_limits_types_and_patterns_are_said_in_plain_words() -> None:
    assert sentences(count=10, words="a", url="x") == [
        "count: 10 must be less than 10",
        "words: expected a list, got 'a'",
        "url: string should match pattern '^http', got 'x'",
    ]
    assert sentences(count=0, words=[5], url="http:") == [
        "count: 0 must be more than 0",
        "words[0]: expected text, got 5",
    ]
