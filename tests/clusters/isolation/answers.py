"""What came of an attempt, and who it was that refused it: read from the API server's own words."""

import re
from dataclasses import dataclass

from gpuprov.sandbox.api import Reply

WORKS = "works"
PENDING = "scheduler"
OWN_MODEL = "own model"
RBAC = "RBAC"
ESCALATION = "RBAC's escalation check"
AUTHENTICATION = "authentication"
QUOTA = "ResourceQuota gpu"
FIXED = "ResourceQuota fixed"
POD_SECURITY = "Pod Security"
NODE_SELECTOR = "PodNodeSelector"
VALIDATION = "API validation"
UNKNOWN = "unknown"

_SAID = (
    (r"ValidatingAdmissionPolicy '([a-z-]+)' with binding '\1' denied request", r"policy \1"),
    (r"attempting to grant RBAC permissions not currently held", ESCALATION),
    (r"(?:exceeded|failed) quota: gpu\b", QUOTA),
    (r"(?:exceeded|failed) quota: fixed\b", FIXED),
    (r"violates PodSecurity", POD_SECURITY),
    (r"pod node label selector conflicts with its namespace node label selector", NODE_SELECTOR),
    (r'User "[^"]+" cannot [\w:-]+ (?:resource|path)', RBAC),
)
_AROUND = (
    (r"^.*denied request: ", ""),
    (r'^.*User "[^"]+" (cannot .*)$', r"\1"),
    (r"^.*(?:is forbidden|is invalid): (.*)$", r"\1"),
    (r"\. no new claims to deallocate.*$", ""),
    (r' in API group "[^"]*"', ""),
    (r' in the namespace "[^"]*"', ""),
)
_LONGEST = 230


def policy(name: str) -> str:
    """Return how the table calls one of the chart's admission policies."""
    return f"policy gpuprov-{name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One attempt's end: the HTTP status, who refused (or `WORKS`, `PENDING`), and what was answered or seen."""

    status: int
    by: str
    answer: str


def refused(reply: Reply) -> Outcome:
    """Read a refusal."""
    assert not reply.ok, reply
    message = str(reply.body.get("message", ""))
    return Outcome(status=reply.status, by=_who(reply.status, message), answer=short(message))


def pods_refused(reply: Reply, message: str) -> Outcome:
    """Read what a controller was told about the pods of an object that was itself accepted."""
    assert reply.ok, reply
    return Outcome(status=reply.status, by=_who(403, message), answer=f"taken; its pods: {short(message)}")


def works(reply: Reply, seen: str) -> Outcome:
    """State that the attempt got what it wanted, and what was seen of that."""
    assert reply.ok, reply
    return Outcome(status=reply.status, by=WORKS, answer=seen)


def own_model(reply: Reply) -> Outcome:
    """State that a pod came to a server of its award's own model."""
    assert reply.ok, reply
    return Outcome(status=reply.status, by=OWN_MODEL, answer="runs on a server of its own model")


def pending(reply: Reply, message: str) -> Outcome:
    """State that the server took a pod which no node takes."""
    assert reply.ok, reply
    return Outcome(status=reply.status, by=PENDING, answer=f"taken; stays Pending: {short(message)}")


def _who(status: int, message: str) -> str:
    for pattern, name in _SAID:
        if found := re.search(pattern, message):
            return found.expand(name)
    return {401: AUTHENTICATION, 422: VALIDATION, 400: VALIDATION}.get(status, UNKNOWN)


def short(message: str) -> str:
    """Return the part of a message that tells something, the same in every run."""
    for pattern, kept in _AROUND:
        message = re.sub(pattern, kept, message)
    message = " ".join(message.split())
    return message if len(message) <= _LONGEST else message[: _LONGEST - 1] + "…"
