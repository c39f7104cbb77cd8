"""Settings: flag over environment over file over default, and each says where it came from."""

from pathlib import Path
from typing import Any

import pytest

from rollout.settings import Settings, SettingsError, load_settings


def test_defaults_are_safe() -> None:
    settings, origins = load_settings({}, {}, None)

    assert (settings.host, settings.port) == ("127.0.0.1", 8383)
    assert set(origins.values()) == {"default"}
    assert set(origins) == set(Settings.model_fields)


def test_each_source_beats_the_next_and_says_so(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("listen: 127.0.0.1:1\nlogLevel: debug\nprometheus: http://file:9090\n")
    environment = {"ROLLOUT_LISTEN": "127.0.0.1:2", "ROLLOUT_PROMETHEUS": "http://env:9090", "ROLLOUT_MESH": ""}

    settings, origins = load_settings({"listen": "127.0.0.1:3", "mesh": None}, environment, file)

    assert (settings.port, settings.prometheus, settings.log_level) == (3, "http://env:9090", "debug")
    assert (origins["listen"], origins["prometheus"], origins["log_level"]) == ("flag", "environment", str(file))
    assert origins["mesh"] == "default"


def test_an_ipv6_address_is_an_address() -> None:
    assert load_settings({"listen": "[::1]:80"}, {}, None)[0].host == "::1"


@pytest.mark.parametrize(
    ("flags", "text", "says"),
    [
        ({"listen": "nonsense"}, "", "listen: .*from flag"),
        ({"listen": "0.0.0.0:80"}, "", "there are no tokens"),
        ({"prometheus": "ftp://x"}, "", "prometheus: "),
        ({}, "listne: x", "unknown setting 'listne'; there are listen"),
        ({}, "- a", "expected a mapping"),
        ({}, "a: b: c", "settings.yaml:1"),
        ({}, "listen: 5", r"listen: expected text, got 5 \(from .*settings.yaml\)"),
    ],
)
def test_what_is_wrong_is_named_with_its_source(tmp_path: Path, flags: dict[str, Any], text: str, says: str) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(text)

    with pytest.raises(SettingsError, match=says):
        load_settings(flags, {}, file if text else None)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(SettingsError, match="nowhere"):
        load_settings({}, {}, Path("/nowhere.yaml"))


def test_tokens_open_the_door_to_other_addresses() -> None:
    assert load_settings({"listen": "0.0.0.0:80", "tokens": "t"}, {}, None)[0].host == "0.0.0.0"
