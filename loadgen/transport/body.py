"""What a response's body says: whether it was a good one, and which version wrote it.

A page can be 200 and say that it is broken; a service can name its version nowhere but in its text. Only plans that ask
for it pay for it: their connections keep bodies and leave the fast path.
"""

import re

from loadgen.core.http1_head import Head, version_of
from loadgen.core.outcome import Outcome
from loadgen.core.plan import Plan, VersionSource
from loadgen.transport.channel import Desk

BODY_KEPT_MAX = 1 << 20  # a pattern is looked for in the first MiB (and a read): bodies must not fill the memory


def group_of_body(desk: Desk, head: Head, body: bytes, target: str) -> int:
    """Judge a response by its body, or name its version by it; give the ledger's number."""
    outcome = desk.outcome_of(head.status, from_proxy=head.from_proxy)
    if outcome is Outcome.OK:
        outcome = outcome_of_body(desk.plan, body)
    version = version_in(desk.plan, body, header=head.version, target=target)
    return desk.ledger.group(version, outcome, head.status)


def outcome_of_body(plan: Plan, body: bytes) -> Outcome:
    """Judge the body of a response whose status was right."""
    if plan.expect_body and not re.search(plan.expect_body.encode(), body):
        return Outcome.BODY
    if plan.reject_body and re.search(plan.reject_body.encode(), body):
        return Outcome.BODY
    return Outcome.OK


def version_in(plan: Plan, body: bytes, *, header: str, target: str) -> str:
    """Say which version answered, by whatever the plan tells versions apart."""
    match plan.version.source:
        case VersionSource.BODY:
            found = re.search(plan.version.key.encode(), body)
            return version_of(found[1] if found.lastindex else found[0]) if found else ""
        case VersionSource.TARGET:
            return target
        case VersionSource.NONE | VersionSource.HEADER | VersionSource.COOKIE:
            return header
