"""What a command writes to the log: what was decided, refused and recorded, and its outcome."""

from __future__ import annotations

import logging
from collections.abc import Collection

from gpuprov.core.ledger import Event
from gpuprov.errors import PlanRefused
from gpuprov.run.job import Outcome
from gpuprov.run.pipeline import PlanContext

_LOG = logging.getLogger(__name__)


def refused(purpose: str, error: PlanRefused) -> None:
    """Log why the guard refused a plan."""
    for reason in error.reasons:
        _LOG.warning("%s refused: %s", purpose, reason)


def recorded(event: Event) -> None:
    """Log that an event was written to the ledger."""
    _LOG.info("recorded %s from %s on", event.event, event.at.isoformat(), extra={"award": event.award})


def decided(purpose: str, planned: PlanContext, only: Collection[str] | None) -> None:
    """Log each change to the awards ``only`` (None: all) that is about to be made, and what could not be read."""
    for provider, error in {**planned.failed, **planned.unread}.items():
        _LOG.error("not read: %s", str(error).removeprefix(f"{provider}: "), extra={"provider": provider})
    changes = [change for change in planned.plan.changes if only is None or change.award_id in only]
    _LOG.info("%s decided %d changes for %s", purpose, len(changes), planned.desired.at.isoformat())
    for change in changes:
        context = {"provider": change.provider, "award": change.award_id, "namespace": change.namespace}
        reasons = "; ".join(change.reasons)
        _LOG.info("%s, %d to %d %s: %s", change.op, change.before, change.after, change.model, reasons, extra=context)


def done(outcome: Outcome) -> None:
    """Log the outcome of each award on a provider's cluster."""
    provider = outcome.provider
    for award_id in outcome.lowered:
        _LOG.info("quota lowered", extra={"provider": provider, "award": award_id})
    for freed in outcome.freed:
        context = {"provider": provider, "award": freed.award_id, "namespace": freed.namespace}
        at, seconds = freed.proven_at.isoformat(timespec="milliseconds"), freed.pods_seconds
        _LOG.info("%d %s proven free at %s, after %.1f s", freed.gpus, freed.model, at, seconds, extra=context)
    for award_id in outcome.applied:
        _LOG.info("applied, and read back as it should be", extra={"provider": provider, "award": award_id})
    for award_id, reason in outcome.stuck.items():
        _LOG.error("not reclaimed: %s", reason, extra={"provider": provider, "award": award_id})
    for award_id in outcome.postponed:
        _LOG.warning("not granted until its GPUs are free", extra={"provider": provider, "award": award_id})
    if outcome.stale:
        _LOG.warning("overtaken: %s", outcome.stale, extra={"provider": provider})
    if outcome.error:
        _LOG.error("failed: %s", outcome.error.removeprefix(f"{provider}: "), extra={"provider": provider})
