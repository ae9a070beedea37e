"""Which requests to an API server are sent again, and after how long.

As client-go does it: what the server did not do may be sent again, and so may what does no harm twice. A refused
connection is neither a status nor judged here: the client takes it for a restart if the server has answered it before.
"""

from __future__ import annotations

TRIES = 6
"""How often one request is sent at most."""

TOTAL_SECONDS = 40.0
"""Seconds since its first sending after which a request is not sent again."""

FIRST_SECONDS = 0.5
"""The wait after the first try, where the server asks for none. It doubles with each try."""

LONGEST_SECONDS = 10.0
"""The longest wait before one try, also where the server asks for more."""

_TOO_MANY_REQUESTS, _UNAVAILABLE = 429, 503
_PASSING = frozenset({_TOO_MANY_REQUESTS, 500, 502, _UNAVAILABLE, 504})


def passing(status: int, *, repeatable: bool, asked: float | None) -> bool:
    """Tell whether a request that was answered with ``status`` may be sent again.

    ``repeatable`` says that it does no harm to do it twice. Without that only an answer counts which the server gives
    before it acts: 429, and 503 where it names the seconds to wait (``asked``).
    """
    if status == _TOO_MANY_REQUESTS or (status == _UNAVAILABLE and asked is not None):
        return True
    return repeatable and status in _PASSING


def pause(sent: int, spent: float, asked: float | None, draw: float) -> float | None:
    """Return the seconds to wait before a request is sent again, and None where it is not.

    It was sent ``sent`` times in ``spent`` s; ``draw`` from 0 to 1 keeps many clients from coming back at once.
    """
    backoff = FIRST_SECONDS * 2 ** (sent - 1) * (0.5 + draw / 2)
    wait = min(max(backoff, asked or 0.0), LONGEST_SECONDS)
    return wait if sent < TRIES and spent + wait <= TOTAL_SECONDS else None
