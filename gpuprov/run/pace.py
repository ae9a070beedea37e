"""How services wait between two looks, and when one counts as stuck or out of date."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from gpuprov.core.upcoming import wait

STUCK_SECONDS = 1800
"""A look that takes longer than this counts as stuck: all waits in it together have a bound that is shorter."""

OLD_LOOKS = 3
"""After so many intervals without a good look a service is not ready."""

_MARGIN = timedelta(milliseconds=20)
"""A little later than an edge: a timer that rings too early would find nothing, and look again a round later."""


def pause(at: datetime, edge: datetime | None, interval: timedelta, failures: int) -> float:
    """Return the seconds to wait for the next look: until the edge, or less (`gpuprov.core.upcoming.wait`)."""
    jitter = random.random()  # noqa: S311 (it spreads looks over time, and is no secret)
    return (wait(at, edge, interval, failures, jitter) + _MARGIN).total_seconds()
