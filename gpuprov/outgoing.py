"""Requests that leave this machine: through its proxy, and with certificates verified."""

from __future__ import annotations

import re
import urllib.parse
import urllib.request

import urllib3

LOOPBACK = ("127.0.0.1", "::1", "localhost")
"""Names of this machine, to which plain HTTP is as good as HTTPS."""


def pool_for(url: str, timeout: urllib3.Timeout) -> urllib3.PoolManager:
    """Return a connection pool that honours HTTPS_PROXY and NO_PROXY; certificates are always verified."""
    parts = urllib.parse.urlsplit(url)
    proxy = urllib.request.getproxies().get(parts.scheme)
    if proxy and not urllib.request.proxy_bypass(parts.hostname or ""):
        return urllib3.ProxyManager(proxy if "://" in proxy else f"http://{proxy}", timeout=timeout)
    return urllib3.PoolManager(timeout=timeout)


def cause(error: BaseException) -> str:
    """Return what an error says, without urllib3's connection objects."""
    text = re.sub(r"^(<[^>]*>|HTTPS?Connection(Pool)?\([^)]*\)): ", "", str(error))
    return text or type(error).__name__
