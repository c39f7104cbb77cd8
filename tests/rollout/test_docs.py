"""The references name every key, setting and exit code there is, and no other; and the pages lead to each other."""

import re
import typing
from pathlib import Path

from pydantic import BaseModel

from rollout.cli.exit_codes import MEANINGS
from rollout.core.spec import RolloutPlan
from rollout.settings import ENVIRONMENT_PREFIX, Settings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reference/plan.md").read_text()


def keys_of(model: type[BaseModel]) -> set[str]:
    found: set[str] = set()
    for name, field in model.model_fields.items():
        found.add(field.alias or name)
        for part in parts_of(field.annotation):
            found |= keys_of(part)
    return found


def parts_of(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [part for argument in typing.get_args(annotation) for part in parts_of(argument)]


def test_every_key_is_documented() -> None:
    missing = {key for key in keys_of(RolloutPlan) if not re.search(rf"[`{{, ]{key}\b", PAGE)}

    assert len(keys_of(RolloutPlan)) > 40
    assert not missing


def test_every_documented_key_exists() -> None:
    documented = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))

    assert documented <= keys_of(RolloutPlan)


def test_every_setting_is_documented_with_its_flag_variable_and_default() -> None:
    page = (ROOT / "docs/reference/settings.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| `--([\w-]+)` \| `(\w+)` \| `?([^|`]+?)`? \|", page, re.MULTILINE)

    assert rows == [
        (
            field.alias,
            name.replace("_", "-"),
            ENVIRONMENT_PREFIX + name.upper(),
            "none" if field.default is None else str(field.default),
        )
        for name, field in Settings.model_fields.items()
    ]


def test_every_exit_code_is_documented() -> None:
    page = (ROOT / "docs/reference/exit-codes.md").read_text()

    assert re.findall(r"^\| (\d+) \| (.+) \|$", page, re.MULTILINE) == [
        (str(int(code)), meaning) for code, meaning in MEANINGS.items()
    ]


def test_every_link_of_the_documentation_leads_somewhere() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {link}"
        for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md")]
        for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text())
        if "://" not in link and not (page.parent / link).exists()
    ]

    assert not broken
