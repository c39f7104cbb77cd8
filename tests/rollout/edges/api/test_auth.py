"""Token files. (Who may do what is tested over the whole table of routes in test_server.py.)"""

from pathlib import Path

import pytest

from rollout.edges.api.auth import TokenFileError, read_tokens
from rollout.edges.api.endpoints import Role

HASH = "A" * 64


def test_tokens_are_read_with_comments_and_blank_lines(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"# who\n\nview {HASH} grafana  # dashboards\noperate {'b' * 64} ci\n")

    tokens = read_tokens(file)

    assert [(token.role, token.name) for token in tokens] == [(Role.VIEW, "grafana"), (Role.OPERATE, "ci")]
    assert tokens[0].sha256 == HASH.lower()


@pytest.mark.parametrize(
    "line", ["public x y", f"admin {HASH} x", f"view {HASH}", f"view {'x' * 64} a", f"view {'a' * 63} b"]
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"operate {HASH} ok\n{line}\n")

    with pytest.raises(TokenFileError, match="tokens:2"):
        read_tokens(file)


def test_an_empty_file_opens_nothing(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("# none\n")

    with pytest.raises(TokenFileError, match="has no tokens"):
        read_tokens(file)
