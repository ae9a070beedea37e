"""The work of `gpuprov unlock`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from gpuprov.cli.asking import confirm
from gpuprov.cli.common import end_unread, use_toolchain
from gpuprov.cli.errors import print_json
from gpuprov.cli.screen import say
from gpuprov.errors import GpuprovError
from gpuprov.i18n import tr
from gpuprov.load.project import Project
from gpuprov.run.aside import read_all
from gpuprov.run.pipeline import select
from gpuprov.run.unlock import Found, find_locks, remove


def unlock_stacks(project: Project, providers: Sequence[str], *, as_json: bool, yes: bool) -> None:
    """Show the locks, ask, and remove them. Raises InputError and ToolchainError."""
    use_toolchain()
    clusters = project.by_provider
    chosen = select(project.clusters, providers)
    found, failed = read_all({name: partial(find_locks, project, clusters[name]) for name in chosen}, GpuprovError)
    locked = {name: of for name, of in found.items() if of.locks}
    for of in locked.values():
        _show(of)
    if locked:
        question = tr("Remove these locks on {providers}? Their owners must have ended.", providers=", ".join(locked))
        confirm(question, yes=yes)
    removals = {name: partial(remove, project, clusters[name], of) for name, of in locked.items()}
    _, not_removed = read_all(removals, GpuprovError)
    failed |= not_removed
    done = {name: of for name, of in locked.items() if name not in failed}
    if as_json:
        removed = {
            name: {stack: [lock.words for lock in locks] for stack, locks in of.locks.items()}
            for name, of in done.items()
        }
        freed = {name: of.freed for name, of in found.items() if of.freed}
        errors = {name: error.message_text for name, error in failed.items()}
        print_json({"removed": removed, "freed": freed, "failed": errors})
    else:
        for name, of in found.items():
            if of.freed:
                say(tr("{provider}: the turn of {holder} is over", provider=name, holder=of.freed))
            if name in done:
                say(tr("{provider}: locks removed", provider=name))
            elif name not in locked:
                say(tr("{provider}: no lock", provider=name))
    end_unread(failed)


def _show(found: Found) -> None:
    for stack, locks in found.locks.items():
        if not locks:
            say(tr("{stack}: a lock that was cut off while it was written", stack=stack), err=True)
        for lock in locks:
            say(tr("{stack}: locked by {owner}", stack=stack, owner=lock.words), err=True)
    if found.last_good_run:
        say(tr("{provider}: the last good run: {run}", provider=found.provider, run=found.last_good_run), err=True)
