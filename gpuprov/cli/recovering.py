"""The work of `gpuprov recover`: show which states are not what their clusters have, ask, and rebuild them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from gpuprov.cli.asking import confirm
from gpuprov.cli.common import end_unread, use_toolchain
from gpuprov.cli.errors import print_json
from gpuprov.cli.live import Progress
from gpuprov.cli.screen import say
from gpuprov.core.stackstate import Behind, Why
from gpuprov.errors import GpuprovError
from gpuprov.i18n import joined, tr, trn
from gpuprov.load.project import Project
from gpuprov.run.aside import read_all
from gpuprov.run.pipeline import select
from gpuprov.run.recover import Recovery, find, recover

_MOST_NAMES = 5


def recover_states(project: Project, providers: Sequence[str], *, as_json: bool, yes: bool) -> None:
    """Show what is to be done, ask, do it, and end the command with its exit code.

    Raises InputError and ToolchainError.
    """
    use_toolchain()
    clusters = project.by_provider
    chosen = select(project.clusters, providers)
    found, failed = read_all({name: partial(find, project, clusters[name]) for name in chosen}, GpuprovError)
    due = {name: recovery for name, recovery in found.items() if recovery.stacks}
    for recovery in due.values():
        for stack in recovery.stacks:
            say(_sentence(stack), err=True)
    if due:
        question = tr("Rebuild the state of {providers} from the clusters? No award changes.", providers=", ".join(due))
        confirm(question, yes=yes)
    progress = Progress()
    work = {
        name: partial(recover, project, clusters[name], recovery, partial(progress.show, name))
        for name, recovery in due.items()
    }
    aside, not_done = read_all(work, GpuprovError)
    progress.close()
    failed |= not_done
    if as_json:
        done = {name: [_json(stack, aside[name]) for stack in due[name].stacks] for name in aside}
        print_json({"recovered": done, "failed": {name: error.message_text for name, error in failed.items()}})
    else:
        _report(found, aside, project)
    end_unread(failed)


def _report(found: Mapping[str, Recovery], aside: Mapping[str, Mapping[str, str]], project: Project) -> None:
    for name, recovery in found.items():
        if not recovery.stacks:
            say(tr("{provider}: the state is what the cluster has", provider=name))
        elif name in aside:
            say(tr("{provider}: the state is rebuilt from the cluster", provider=name))
            for stack, where in aside[name].items():
                say(tr("{stack}: what was damaged is kept as {where}", stack=stack, where=where))
            if project.by_provider[name].setup_stack in aside[name]:
                say(tr("{provider}: rebuild its set-up with `gpuprov setup --provider {provider}`", provider=name))


def _sentence(stack: Behind) -> str:
    if stack.why is Why.DAMAGED:
        return tr("{stack}: the state is damaged ({reason})", stack=stack.stack, reason=stack.reason)
    if stack.why is Why.LOST:
        return trn(
            "{stack}: the state is lost; {number} award is on the cluster ({awards})",
            "{stack}: the state is lost; {number} awards are on the cluster ({awards})",
            len(stack.unknown),
            stack=stack.stack,
            awards=_names(stack.unknown),
        )
    return tr("{stack}: the state is old: {what}", stack=stack.stack, what=joined("; ", _differences(stack)))


def _differences(stack: Behind) -> Iterator[str]:
    if stack.unknown:
        yield tr("it gets {awards}", awards=_names(stack.unknown))
    if stack.gone:
        yield tr("{awards} leave it, which are not on the cluster", awards=_names(stack.gone))
    if stack.otherwise:
        yield tr("{awards} are written as they are now", awards=_names(stack.otherwise))
    if stack.pending:
        yield trn(
            "{number} operation that was not ended is forgotten",
            "{number} operations that were not ended are forgotten",
            len(stack.pending),
        )


def _names(award_ids: Sequence[str]) -> str:
    names: str = ", ".join(award_ids[:_MOST_NAMES])
    if (more := len(award_ids) - _MOST_NAMES) > 0:
        names = tr("{names} and {more} more", names=names, more=more)
    return names


def _json(stack: Behind, aside: Mapping[str, str]) -> dict[str, Any]:
    return {
        "stack": stack.stack,
        "was": str(stack.why),
        "added": list(stack.unknown),
        "removed": list(stack.gone),
        "renewed": list(stack.otherwise),
        "set_aside": aside.get(stack.stack),
    }
