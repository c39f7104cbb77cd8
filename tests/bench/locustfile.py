"""Locust's fastest client, without a pause. Run by locust, where it is installed."""

from locust import FastHttpUser, task  # type: ignore[import-not-found]  # not a dependency: who has it, has it


class User(FastHttpUser):  # type: ignore[misc]
    """Asks for the host itself, again and again."""

    @task  # type: ignore[untyped-decorator]
    def ask(self) -> None:
        """Ask once."""
        self.client.get("")
