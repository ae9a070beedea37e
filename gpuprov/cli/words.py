"""Words of the core that are data, which machines read in English, as they are shown to people."""

from __future__ import annotations

from gpuprov.core.award import Status
from gpuprov.core.lifecycle import AwardState
from gpuprov.core.plan import Loss, Op
from gpuprov.i18n import tr

STATUSES = {
    Status.SELECTED: tr("selected"),
    Status.WAITLISTED: tr("waitlisted"),
    Status.FORFEITED: tr("forfeited"),
}
"""What a list says of an award."""

OPERATIONS = {
    Op.CREATE: tr("create"),
    Op.UPDATE: tr("update"),
    Op.RECLAIM: tr("reclaim"),
}

LOSSES = {
    Loss.TEARDOWN: tr("teardown"),
    Loss.MODEL: tr("change of model"),
    Loss.SUPPLIER: tr("change of supplier"),
    Loss.REDUCTION: tr("reduction"),
    Loss.ACCESS: tr("change of group"),
}

STATES = {
    AwardState.WAITLISTED: tr("waitlisted"),
    AwardState.UPCOMING: tr("upcoming"),
    AwardState.ACTIVE: tr("active"),
    AwardState.EXPIRED: tr("expired"),
    AwardState.FORFEITED: tr("forfeited"),
    AwardState.UNLISTED: tr("unlisted"),
    AwardState.ORPHAN: tr("orphan"),
}

EVENTS = {
    "accepted": tr("accepted"),
    "forfeited": tr("forfeited"),
    "reduced": tr("reduced"),
    "extended": tr("extended"),
}
"""The kinds of events in the ledger."""

PULUMI_OPERATIONS = {
    "create": tr("create"),
    "update": tr("update"),
    "replace": tr("replace"),
    "delete": tr("delete"),
}
"""What Pulumi did to Kubernetes objects, where it is one of these."""
