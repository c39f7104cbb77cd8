"""What a finished command says to the shell. Documented by `rollout help exit-codes`."""

from enum import IntEnum


class Exit(IntEnum):
    """The process's exit code."""

    OK = 0
    ERROR = 1
    USAGE = 2
    ROLLED_BACK = 3
    FORBIDDEN = 4
    STILL_RUNNING = 5
    NOT_NOW = 6
    ABORTED = 7
    INTERRUPTED = 130


MEANINGS = {
    Exit.OK: "done; for status: promoted",
    Exit.ERROR: "it failed: the daemon cannot be reached, there is no such rollout, a file cannot be read",
    Exit.USAGE: "wrong flags, or a document with problems",
    Exit.ROLLED_BACK: "the rollout was rolled back by a check, the breaker or a deadline",
    Exit.FORBIDDEN: "not authenticated, or not allowed",
    Exit.STILL_RUNNING: "the wait timed out; the rollout goes on",
    Exit.NOT_NOW: "understood, but not possible in the present state: a conflict, or a precondition that does not hold",
    Exit.ABORTED: "the rollout was aborted by a person",
    Exit.INTERRUPTED: "interrupted by Ctrl-C; the rollout goes on",
}
