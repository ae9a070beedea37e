"""Two operators' folders and the commands that they give, at the same time."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from projects import REPOSITORY, Ran, run_command, timed

from gpuprov.core.tenant import desired_state
from gpuprov.load.ledgerfile import read_ledger
from gpuprov.load.project import open_project
from gpuprov.run.loading import load
from gpuprov.sandbox import H100

CAPACITY = 16

_HEADER = "award id,organization,track,applied,provider,model,quantity,start date,end date,status"
_PROJECT = """\
name: gpuprov
runtime: {name: python, options: {toolchain: pip}}
main: stacks
stackConfigDir: stacks
config:
  awards: {default: [awards.csv]}
  ledger: {default: ledger.jsonl}
"""
_STACK = f"""\
config:
  gpuprov:cluster:
    aliases: [Alpha]
    context: alpha
    adminContext: alpha-admin
    pools:
      - model: H100
        capacity: {CAPACITY}
        nodeLabel: {{nvidia.com/gpu.product: {H100}}}
"""


@dataclass(frozen=True)
class Row:
    """One line of an award list."""

    award_id: str
    gpus: int
    last_day: str
    status: str = "selected"

    def __str__(self) -> str:
        track = "2" if self.gpus == 8 else "1"
        numbers = f"{track},{self.gpus},Alpha,H100,{self.gpus}"
        return f"{self.award_id},org of {self.award_id},{numbers},2026-01-01,{self.last_day},{self.status}"


@dataclass
class Folder:
    """A project with a list, a ledger and a Pulumi state of its own."""

    root: Path
    environment: Mapping[str, str]
    rows: list[Row] = field(default_factory=list)

    def write(self) -> None:
        text = "\n".join([_HEADER, *map(str, self.rows)]) + "\n"
        (self.root / "awards.csv").write_text(text, encoding="utf-8")

    @property
    def ledger(self) -> bytes:
        path = self.root / "ledger.jsonl"
        return path.read_bytes() if path.exists() else b""

    def forfeited(self) -> list[str]:
        events = read_ledger(self.root / "ledger.jsonl")
        return [event.award for event in events if event.event == "forfeited"]

    def desired(self, at: datetime) -> dict[str, int]:
        """Return the GPUs that each award should have, also where a pool is exceeded: taking back goes on then."""
        loaded = load(open_project(self.root))
        desired = desired_state(loaded.histories, loaded.project.clusters, at, loaded.unlisted)
        return {tenant.award_id: tenant.gpus for tenant in desired.tenants}


@dataclass(frozen=True)
class Command:
    """What an operator types, where, and after how many seconds."""

    folder: Folder
    words: tuple[str, ...]
    after: float

    def __str__(self) -> str:
        return f"{self.after:.2f} s in {self.folder.root.name}: {' '.join(self.words)}"

    @property
    def by_hand(self) -> bool:
        return self.words[0] == "pulumi"

    def run(self, at: datetime) -> Ran:
        ours = [sys.executable, "-m", "gpuprov", *timed(self.words, at.isoformat())]
        return run_command(
            self.words if self.by_hand else ours,
            self.folder.root,
            {**self.folder.environment, "GPUPROV_AT": at.isoformat()},
        )


def make_folder(root: Path, environment: Mapping[str, str]) -> Folder:
    """Make a project with a Pulumi state of its own."""
    (root / "stacks").mkdir(parents=True)
    (root / "state").mkdir()
    shutil.copytree(REPOSITORY / "charts", root / "charts")
    shutil.copy(REPOSITORY / "stacks" / "__main__.py", root / "stacks")
    (root / "Pulumi.yaml").write_text(_PROJECT, encoding="utf-8")
    (root / "stacks" / "Pulumi.alpha.yaml").write_text(_STACK, encoding="utf-8")
    own = {"PULUMI_BACKEND_URL": f"file://{root / 'state'}", "PULUMI_HOME": str(root / "pulumi-home")}
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    return Folder(root, {**environment, **own, "PYTHONPATH": str(REPOSITORY)})


def side_by_side(commands: tuple[Command, ...], at: datetime) -> tuple[list[Ran], int]:
    """Run the commands, each after its seconds; return what they said, and which was the last to end."""
    ran: dict[int, Ran] = {}

    def run(number: int) -> None:
        time.sleep(commands[number].after)
        ran[number] = commands[number].run(at)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(commands))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [ran[number] for number in range(len(commands))], list(ran)[-1]
