"""Process settings of the daemon: flag over environment over file over default; each with its unit and reason."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from rollout.core.plan_errors import problems_of
from rollout.yaml_documents import YamlError, load

LOOPBACK = {"127.0.0.1", "::1", "localhost"}
ENVIRONMENT_PREFIX = "ROLLOUT_"


class SettingsError(ValueError):
    """The settings are wrong; says which and where it came from."""


class Settings(BaseModel):
    """Everything `rollout serve` can be told."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True, use_attribute_docstrings=True
    )

    listen: Annotated[str, Field(pattern=r"^[^\s/]+:\d{1,5}$")] = "127.0.0.1:8383"
    """Address of the API. Loopback unless said otherwise; anything else needs tokens."""
    state: Path = Path("build/rollout.sqlite")
    """The journal. Losing it loses the history, not the traffic."""
    mesh: Path | None = None
    """Directory of a running embedded mesh (`rollout mesh`)."""
    prometheus: Annotated[str, Field(pattern=r"^https?://\S+$")] | None = None
    """Base URL of Prometheus; None: checks with source prometheus hold."""
    plans: Path | None = None
    """Directory of RolloutPlan files, read at start."""
    tokens: Path | None = None
    """File of API tokens: `role sha256-hex name` per line; roles are view and operate."""
    hooks: Path | None = None
    """YAML file that maps webhook payloads to services and versions."""
    log_level: Annotated[str, Field(pattern="^(debug|info|warning|error)$")] = "info"

    @property
    def host(self) -> str:
        """Of listen."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """Of listen; 0 takes a free one."""
        return int(self.listen.rpartition(":")[2])


def load_settings(
    flags: Mapping[str, Any], environment: Mapping[str, str], file: Path | None
) -> tuple[Settings, dict[str, str]]:
    """Merge the sources and say where each value came from ("flag", "environment", a file name, or "default").

    Raises SettingsError.
    """
    values: dict[str, Any] = {}
    origins = dict.fromkeys(Settings.model_fields, "default")
    for origin, found in (
        (str(file), _from_file(file)),
        ("environment", _from_environment(environment)),
        ("flag", {key: value for key, value in flags.items() if value is not None}),
    ):
        values |= found
        origins |= dict.fromkeys(found, origin)
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        problems = problems_of(Settings, error)
        lines = [f"{problem} (from {origins.get(str(problem.location[0]), 'file')})" for problem in problems]
        raise SettingsError("\n".join(lines)) from error
    if settings.host not in LOOPBACK and settings.tokens is None:
        raise SettingsError(
            f"listen: {settings.listen} can be reached from elsewhere, and there are no tokens:"
            " set tokens, or listen on 127.0.0.1"
        )
    return settings, origins


def _from_file(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        data = load(file.read_bytes(), file=str(file)).value
    except (OSError, YamlError) as error:
        raise SettingsError(str(error)) from error
    if not isinstance(data, dict):
        raise SettingsError(f"{file}: expected a mapping of settings")
    names = {field.alias or name: name for name, field in Settings.model_fields.items()}
    unknown = [key for key in data if key not in names]
    if unknown:
        raise SettingsError(f"{file}: unknown setting {unknown[0]!r}; there are {', '.join(names)}")
    return {names[key]: value for key, value in data.items()}


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    """ROLLOUT_LISTEN and the like."""
    found = {name: environment.get(ENVIRONMENT_PREFIX + name.upper()) for name in Settings.model_fields}
    return {name: value for name, value in found.items() if value}
