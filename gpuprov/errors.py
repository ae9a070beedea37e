"""Every error that gpuprov raises on purpose.

::

    GpuprovError
    ├── InputError             files that the operator wrote: every problem at once
    ├── PlanRefused            the guard stopped a plan before anything was changed
    ├── Stale                  what a decision was made on has changed: decide again
    ├── ClusterError           one provider's cluster; the other clusters go on
    │   ├── ClusterUnreachable no answer, or no rights
    │   └── NotReclaimed       a teardown that could not be proven complete
    ├── EngineError            Pulumi stopped with an error
    ├── ForgeError             GitHub or GitLab refused a comment or an issue, or did not answer
    ├── ToolchainError         a binary that could not be found, fetched or built
    └── SandboxError           the clusters on this machine

Each message says what happened and what to do next. The command line turns them into exit codes
(docs/cli.md); nothing below it knows about exit codes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gpuprov.i18n import Message, joined, tr


class GpuprovError(Exception):
    """Base of all errors that gpuprov raises on purpose; anything else is a bug."""

    @property
    def message_text(self) -> str:
        """What it says: where possible a message that `gpuprov.i18n.shown` can translate."""
        first = self.args[0] if len(self.args) == 1 else None
        return first if isinstance(first, str) else str(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing wrong in what the operator gave: where it stands, what stands there, and what to do about it.

    It stands in a ``file``, or is an ``argument``: an option, a name or an environment variable of the command. ``row``
    is the line or sheet row as the operator's editor counts it: the header is row 1.
    """

    message: str
    remedy: str
    file: str | None = None
    argument: str | None = None
    row: int | None = None
    column: str | None = None
    value: str | None = None

    @property
    def sentence(self) -> Message:
        """The whole problem in one line, which can be translated."""
        where = self.file or self.argument
        place = where if self.row is None else f"{where}:{self.row}"
        column = "" if self.column is None else f" [{self.column}]"
        value = "" if self.value is None else f" {self.value!r}:"
        return tr(
            "{place}{column}{value} {message}; {remedy}",
            place=place,
            column=column,
            value=value,
            message=self.message,
            remedy=self.remedy,
        )

    def __str__(self) -> str:
        return str(self.sentence)


class InputError(GpuprovError):
    """Files that cannot be used as they are. Carries every problem found, never only the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(joined("\n", (problem.sentence for problem in self.problems)))


class PlanRefused(GpuprovError):
    """The guard refused; nothing was changed. ``reasons`` has one line for each rule that was broken."""

    def __init__(self, reasons: Sequence[str]) -> None:
        self.reasons = tuple(reasons)
        super().__init__(joined("\n", self.reasons))


class Stale(GpuprovError):
    """What a decision was made on has changed since; nothing was written. Decide again on what is there now."""


class ClusterError(GpuprovError):
    """Something went wrong on one provider's cluster."""

    def __init__(self, provider: str, message: str) -> None:
        self.provider = provider
        self.message = message
        super().__init__(tr("{provider}: {message}", provider=provider, message=message))


class ClusterUnreachable(ClusterError):
    """The cluster did not answer, or refused our identity."""


class NotReclaimed(ClusterError):
    """Something of a teardown is still there; its capacity must not be given to anybody yet."""


class EngineError(GpuprovError):
    """Pulumi ended with an error. The message holds what Pulumi said."""


class ForgeError(GpuprovError):
    """The platform of the repository did not take a comment or an issue."""


class ToolchainError(GpuprovError):
    """A pinned binary could not be found, downloaded or built."""


class SandboxError(GpuprovError):
    """The sandbox clusters could not be started, stopped or found."""
