"""What goes wrong with files: a full disk, a state that is gone, old or out of reach, a ledger that was cut off."""

from __future__ import annotations

import errno
import os

from faults import Fault, kind
from filelock import FileLock
from world import World

_BLOCK = 1 << 20


@kind
class FullDisk(Fault):
    """The operators' disk has a few KiB left, or nothing."""

    name = "disk full"

    @classmethod
    def missing(cls, world: World) -> str:
        return "" if world.own_disk else "mounts of its own (root, and `unshare`)"

    def inject(self) -> str:
        left = self.dice.choice((0, 0, 4, 16, 64)) * 1024
        path = self.world.disk / "filler"
        with path.open("wb", buffering=0) as file:
            for size in (_BLOCK, 4096):
                _fill(file, size)
            file.truncate(max(0, file.tell() - left))
        return f"{left // 1024} KiB left"

    def heal(self) -> str:
        (self.world.disk / "filler").unlink(missing_ok=True)
        return ""


def _fill(file, size: int) -> None:
    try:
        while file.write(bytes(size)) == size:
            pass
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise


class _State(Fault):
    """Before, while or after operators work."""

    lasting = True

    def prepare(self) -> None:
        self.when = self.dice.choice(("before", "during", "after"))


@kind
class StateDeleted(_State):
    name = "state deleted"

    def inject(self) -> str:
        self.world.backend.put({})
        return self.when


@kind
class StateOfYesterday(_State):
    """Somebody restores a backup: of the beginning of this round, or of the one before."""

    name = "state of yesterday"

    def inject(self) -> str:
        old = self.world.backups[0 if self.dice.random() < 0.5 else -1]
        self.world.backend.put(old)
        return self.when


@kind
class BackendAway(Fault):
    """The folder, the S3 server or the database cannot be reached for a while."""

    name = "backend away"

    def inject(self) -> str:
        self.world.backend.stop()
        return self.world.backend_kind

    def heal(self) -> str:
        self.world.backend.start()
        return ""


@kind
class LedgerCut(Fault):
    """A writer dies in the middle of a line; in the end somebody removes that line, as every command then says."""

    name = "ledger cut"
    lasting = True

    def prepare(self) -> None:
        self.when = self.dice.choice(("before", "during"))

    def inject(self) -> str:
        line = b'{"award":"HPC-0","at":"2026-01-02T09:00:00+09:00","by":"kim","reason":"cut","event":"forfeited"}'
        part = line[: self.dice.randrange(1, len(line) - 1)]
        path = self.world.folder.root / "ledger.jsonl"
        with FileLock(f"{path}.lock"), path.open("ab") as file:
            file.write(part)
            file.flush()
            os.fsync(file.fileno())
        return f"{self.when}, after {len(part)} bytes"

    def heal(self) -> str:
        path = self.world.folder.root / "ledger.jsonl"
        with FileLock(f"{path}.lock"):
            whole, newline, _ = path.read_bytes().rpartition(b"\n")
            path.write_bytes(whole + newline)
        return ""
