"""Breaks what a run that is gone has left locked: Pulumi's locks on a provider's stacks, and the turn on its cluster.

The Lease of a cluster ends by itself, half a minute after its holder has, so a turn that nobody renews is only waited
for. Pulumi's locks do not; those of this user's own killed runs on this machine are removed by the next run. What is
left are locks of other machines and users, of which only a person can know that their owner is gone.

The turn on the cluster is held while they are read, and again while they are removed: so no command of gpuprov,
wherever it runs, is at work then. It is not held while a person thinks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gpuprov.core.cluster import ProviderCluster
from gpuprov.engine.locks import Lock, locks_of, remove_locks
from gpuprov.engine.stacks import StackLocked
from gpuprov.engine.writes import locked
from gpuprov.errors import Stale
from gpuprov.i18n import tr
from gpuprov.kube.client import KubeApi
from gpuprov.kube.lease import read_standing, take_turn, until_over
from gpuprov.load.project import Project

_PURPOSE = "gpuprov unlock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The locks on a provider's stacks, by stack, and the last run there that left nothing undone.

    ``freed`` is whose turn had ended without being given back, and is free again now.
    """

    provider: str
    locks: Mapping[str, tuple[Lock, ...]]
    last_good_run: str
    freed: str = ""


def find_locks(project: Project, cluster: ProviderCluster) -> Found:
    """Return the locks on a provider's stacks. Raises ClusterError where somebody is at work there, and EngineError."""
    api = KubeApi(cluster)
    standing = read_standing(cluster, api)
    gone = standing.holder if standing is not None and standing.gone else ""
    with take_turn(cluster, _PURPOSE, patience=until_over(standing), api=api) as turn:
        turn.idle = True
        found = _locked(project, cluster)
        return Found(provider=cluster.provider, locks=_by_stack(found), last_good_run=turn.last_good_run, freed=gone)


def remove(project: Project, cluster: ProviderCluster, confirmed: Found) -> None:
    """Remove the locks that were found. Raises what `find_locks` raises, and Stale where there are others by now."""
    with take_turn(cluster, _PURPOSE, patience=0.0) as turn:
        found = _locked(project, cluster)
        if _by_stack(found) != confirmed.locks:
            turn.idle = True
            raise Stale(
                tr("{provider}: the locks have changed meanwhile; rerun the command", provider=cluster.provider)
            )
        for stack, complaint in found.items():
            turn.require_held()
            remove_locks(project.root, stack, complaint)
        turn.good = True


def _locked(project: Project, cluster: ProviderCluster) -> dict[str, StackLocked]:
    complaints = {stack: locked(project.root, project.name, stack) for stack in cluster.stacks}
    return {stack: complaint for stack, complaint in complaints.items() if complaint is not None}


def _by_stack(found: Mapping[str, StackLocked]) -> Mapping[str, tuple[Lock, ...]]:
    return {stack: tuple(locks_of(str(complaint))) for stack, complaint in found.items()}
