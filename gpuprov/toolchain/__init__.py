"""Pinned versions of the programs that gpuprov starts: found, downloaded or built (docs/toolchain.md).

>>> installed = ensure(CLUSTER_TOOLS)          # doctest: +SKIP
>>> installed.binary("etcd")                   # doctest: +SKIP
PosixPath('/home/me/.cache/gpuprov/toolchain/etcd/3.6.16/linux-amd64/bin/etcd')
"""

from gpuprov.toolchain.events import Event, Progress
from gpuprov.toolchain.install import ensure, find, require
from gpuprov.toolchain.installed import Installed
from gpuprov.toolchain.lookup import Found, locate
from gpuprov.toolchain.pins import CLI_TOOLS, CLUSTER_TOOLS, KNOWN_NAMES, TOOL_NAMES
from gpuprov.toolchain.settings import Settings

__all__ = [
    "CLI_TOOLS",
    "CLUSTER_TOOLS",
    "KNOWN_NAMES",
    "TOOL_NAMES",
    "Event",
    "Found",
    "Installed",
    "Progress",
    "Settings",
    "ensure",
    "find",
    "locate",
    "require",
]
