"""Who acts on a cluster and how the last run there ended, as the cluster's Lease tells it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the Lease says. All is empty on a cluster on which nobody has acted yet.

    ``holder`` has the turn now, ``since`` then; ``gone`` where that process was killed, or is silent far longer than it
    promised. ``last`` had the turn last and gave it back; ``undone`` where it left something undone. ``last_good_run``
    is when the last run ended that did not, and whose it was.
    """

    holder: str = ""
    since: str = ""
    gone: bool = False
    last: str = ""
    undone: bool = False
    last_good_run: str = ""

    @property
    def at_work(self) -> bool:
        """True while somebody acts on the cluster: what differs there may be what that run is about to change."""
        return bool(self.holder) and not self.gone
