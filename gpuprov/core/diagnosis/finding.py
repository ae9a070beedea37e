"""A finding: two sources that disagree, in which awards, and the one command that mends it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gpuprov.i18n import Word, tr


class Source(Word):
    """Where something is written down."""

    LIST = tr("list")
    LEDGER = tr("ledger")
    GIT = tr("git")
    SETTINGS = tr("settings")
    LEASE = tr("lease")
    LOCK = tr("lock")
    STATE = tr("state")
    CLUSTER = tr("cluster")


class Kind(StrEnum):
    """What can disagree, the most severe first: what nothing can be decided without, what takes GPUs from an award or
    leaves them with one, what stops the next run, and what the next run does by itself.
    """

    FILES = "files-invalid"
    CAPACITY = "over-capacity"
    CLUSTER = "wrong-cluster"
    SHARED = "shared-cluster"
    DEPARTED = "provider-gone"
    LEDGER = "ledger-lost"
    OUTRUN = "term-guard-early"
    CHART = "chart"
    ENDED = "ended"
    UNWANTED = "unwanted"
    TERMINATING = "terminating"
    DAMAGED = "state-damaged"
    LOST = "state-lost"
    LOCKED = "locked"
    LEASE = "lease-held"
    MISSING = "missing"
    DRIFTED = "drifted"
    OLD = "state-old"
    PENDING = "state-unfinished"
    SETTINGS = "state-settings"
    SETUP = "setup-state"
    UNDONE = "run-unfinished"
    UNCOMMITTED = "ledger-uncommitted"

    @property
    def severity(self) -> int:
        """The place among the kinds: 0 is the most severe."""
        return list(Kind).index(self)

    @property
    def sources(self) -> tuple[Source, Source]:
        """The two sources that disagree."""
        return _SOURCES[self]


_SOURCES: Mapping[Kind, tuple[Source, Source]] = {
    Kind.FILES: (Source.LIST, Source.LEDGER),
    Kind.CAPACITY: (Source.LIST, Source.SETTINGS),
    Kind.CLUSTER: (Source.SETTINGS, Source.CLUSTER),
    Kind.SHARED: (Source.SETTINGS, Source.CLUSTER),
    Kind.DEPARTED: (Source.SETTINGS, Source.STATE),
    Kind.LEDGER: (Source.LEDGER, Source.STATE),
    Kind.OUTRUN: (Source.LEDGER, Source.CLUSTER),
    Kind.CHART: (Source.SETTINGS, Source.CLUSTER),
    Kind.ENDED: (Source.LEDGER, Source.CLUSTER),
    Kind.UNWANTED: (Source.LIST, Source.CLUSTER),
    Kind.TERMINATING: (Source.LIST, Source.CLUSTER),
    Kind.DAMAGED: (Source.STATE, Source.CLUSTER),
    Kind.LOST: (Source.STATE, Source.CLUSTER),
    Kind.LOCKED: (Source.LOCK, Source.LEASE),
    Kind.LEASE: (Source.LEASE, Source.CLUSTER),
    Kind.MISSING: (Source.LIST, Source.CLUSTER),
    Kind.DRIFTED: (Source.LIST, Source.CLUSTER),
    Kind.OLD: (Source.STATE, Source.CLUSTER),
    Kind.PENDING: (Source.STATE, Source.CLUSTER),
    Kind.SETTINGS: (Source.SETTINGS, Source.STATE),
    Kind.SETUP: (Source.STATE, Source.CLUSTER),
    Kind.UNDONE: (Source.LEASE, Source.CLUSTER),
    Kind.UNCOMMITTED: (Source.LEDGER, Source.GIT),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One award, file or stack that a finding is about, and what is known of it."""

    name: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One disagreement on one provider, or in the project where ``provider`` is None, with all that it is about.

    ``command`` mends it, as it can be pasted in the project's folder; None where only a person can, as the sentence
    says.
    """

    kind: Kind
    provider: str | None
    sentence: str
    command: str | None
    items: tuple[Item, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the finding as plain data for machines."""
        return {
            "code": str(self.kind),
            "provider": self.provider,
            "between": [str(source) for source in self.kind.sources],
            "message": str(self.sentence),
            "command": self.command,
            "items": [{"name": item.name, "detail": str(item.detail)} for item in self.items],
        }


def in_order(findings: Sequence[Finding]) -> list[Finding]:
    """Return findings by severity, those of the project before those of a provider."""
    return sorted(findings, key=lambda finding: (finding.kind.severity, finding.provider or ""))
