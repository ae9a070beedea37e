"""Signals to processes of ours and Pulumi's, two operators at once, and a clock that is wrong."""

from __future__ import annotations

import signal
from contextlib import suppress

import psutil
from faults import Fault, kind
from operations import name_of


class _Signal(Fault):
    """One process gets a signal; each part that runs is as likely as the others, however many processes it has."""

    number = signal.SIGKILL

    def inject(self) -> str:
        parts: dict[str, list[psutil.Process]] = {}
        for process in self.operations[0].family():
            parts.setdefault(name_of(process), []).append(process)
        if not parts:
            return ""
        part = self.dice.choice(sorted(parts))
        with suppress(psutil.NoSuchProcess):
            self.dice.choice(parts[part]).send_signal(self.number)
            return part
        return ""


@kind
class SigKill(_Signal):
    name = "SIGKILL"


@kind
class SigTerm(_Signal):
    name = "SIGTERM"
    number = signal.SIGTERM


@kind
class PowerCut(Fault):
    """All processes of an operation end at the same instant."""

    name = "SIGKILL of all"

    def inject(self) -> str:
        names = set()
        while found := self.operations[0].family():
            for process in found:
                with suppress(psutil.NoSuchProcess):
                    names.add(name_of(process))
                    process.kill()
        return ", ".join(sorted(names))


@kind
class CtrlC(Fault):
    """Once, or a second time by somebody who is impatient."""

    name = "Ctrl-C"

    def inject(self) -> str:
        return ", ".join(sorted(set(self.operations[0].interrupt())))

    def heal(self) -> str:
        again = self.dice.random() < 0.3 and self.operations[0].interrupt()
        return "and again" if again else ""


@kind
class TwoOperators(Fault):
    """The script has a second operation, on this machine or on another one."""

    name = "two operators"
    lasting = True

    def heal(self) -> str:
        first, second = (operation.entry for operation in self.operations)
        return "at once" if first["start"] < second["end"] and second["start"] < first["end"] else "one after the other"


@kind
class WrongClock(Fault):
    """The machine's clock is wrong by up to half a day: gpuprov's one clock, as a rehearsal sets it."""

    name = "clock off"
    when = "before"
    lasting = True

    def inject(self) -> str:
        hours = self.dice.choice((-12, -6, -2, 2, 6, 12))
        for operation in self.operations:
            operation.clock_hours = hours
        return f"{hours:+d} h"
