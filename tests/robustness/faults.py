"""The kinds of faults. Each is injected on the real part, and healed; ``KINDS`` has them by the name in the reports.

What an operator would have to do to mend it (a renewed certificate, a line removed from the ledger) is done by `heal`.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import ClassVar

from operations import Operation
from script import Script
from world import World


class Fault:
    """Nothing goes wrong: the control. ``when`` it comes is before, during or after what operators do.

    One that is ``lasting`` is healed when all operations have ended, another after some seconds.
    """

    name: ClassVar[str] = "nothing"
    when: str = "during"
    lasting: bool = False

    def __init__(self, world: World, script: Script, operations: Sequence[Operation]) -> None:
        self.world = world
        self.script = script
        self.operations = operations
        self.dice = script.dice

    @classmethod
    def missing(cls, world: World) -> str:
        """Say what this machine lacks for it; empty if nothing."""
        return ""

    def prepare(self) -> None:
        """Do what is needed before the operations begin."""

    def inject(self) -> str:
        """Let it go wrong; return what was hit, empty if nothing was there to be hit."""
        return "-"

    def heal(self) -> str:
        """Put it right, and return what more was hit. It is called once, whatever has happened."""
        return ""


KINDS: dict[str, type[Fault]] = {Fault.name: Fault}


def kind(fault: type[Fault]) -> type[Fault]:
    """Add a kind to the table."""
    assert fault.name not in KINDS
    KINDS[fault.name] = fault
    return fault


for _module in ("faults_processes", "faults_cluster", "faults_network", "faults_files"):
    importlib.import_module(_module)
