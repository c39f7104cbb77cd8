"""How an API server says no: a Status body."""

from typing import Any

Json = dict[str, Any]


class ApiError(Exception):
    """A refusal with its HTTP status."""

    def __init__(self, code: int, reason: str, message: str, causes: list[Json] | None = None) -> None:
        super().__init__(message)
        self.code, self.reason, self.message, self.causes = code, reason, message, causes or []
        self.retry_after: int | None = None

    @property
    def body(self) -> Json:
        """The Status."""
        details: Json = {"causes": self.causes} if self.causes else {}
        if self.retry_after is not None:
            details["retryAfterSeconds"] = self.retry_after
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        } | ({"details": details} if details else {})


def not_found(what: str) -> ApiError:
    return ApiError(404, "NotFound", f"{what} not found")


def conflict(what: str) -> ApiError:
    return ApiError(
        409,
        "Conflict",
        f"Operation cannot be fulfilled on {what}: the object has been modified; please apply your changes to the"
        " latest version and try again",
    )


def invalid(what: str, *problems: str) -> ApiError:
    causes = [{"reason": "FieldValueInvalid", "message": problem} for problem in problems]
    return ApiError(422, "Invalid", f"{what} is invalid: {'; '.join(problems)}", causes)
