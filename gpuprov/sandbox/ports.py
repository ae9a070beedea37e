"""Free ports on the loopback interface."""

from __future__ import annotations

import secrets
import socket
from pathlib import Path

from gpuprov.errors import SandboxError

LOOPBACK = "127.0.0.1"
_FIRST = 20_000
_LAST = 32_767
_RANGE_FILE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_TRIES = 2_000


def port_range() -> tuple[int, int]:
    """Return the lowest and highest port to choose from, both included.

    The kernel's ephemeral ports are excluded: they are also the source ports of outgoing connections, of which a
    starting control plane opens hundreds, so that sooner or later one would take a port that was free a second ago, or
    the port of a stopped cluster that is started again.
    """
    try:
        lowest_outgoing = int(_RANGE_FILE.read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        lowest_outgoing = _LAST + 1
    last = min(_LAST, lowest_outgoing - 1)
    return (_FIRST, last) if last - _FIRST >= 1_000 else (_FIRST, _LAST)  # noqa: PLR2004 (room to choose from)


def is_free(port: int) -> bool:
    """Tell whether ``port`` of the loopback interface is free at this moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Go servers set this too: without it, closing connections of a stopped server look like a conflict.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_ports(count: int, taken: frozenset[int] = frozenset()) -> tuple[int, ...]:
    """Choose ``count`` distinct ports that are free now and not in ``taken``. Raises `SandboxError`.

    Another program may take a port before the server listens; the caller has to retry then.
    """
    first, last = port_range()
    chosen: list[int] = []
    for _ in range(_TRIES):
        port = first + secrets.randbelow(last - first + 1)
        if port not in taken and port not in chosen and is_free(port):
            chosen.append(port)
        if len(chosen) == count:
            return tuple(chosen)
    raise SandboxError(f"no {count} free ports between {first} and {last} on {LOOPBACK}; end what listens there")
