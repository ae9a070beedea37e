"""What was read, for a diagnosis: of the project's files, and of each provider."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gpuprov.core.cluster import ProviderCluster
from gpuprov.core.diagnosis.finding import Finding, Item, Kind
from gpuprov.core.observed import ObservedCluster
from gpuprov.core.outputs import StackOutputs
from gpuprov.core.stackstate import StackState, outputs_of
from gpuprov.core.standing import Standing
from gpuprov.core.tenant import Desired


@dataclass(frozen=True, slots=True, kw_only=True)
class Papers:
    """What was read of the project's files. ``desired`` is None where list or ledger are invalid, with ``problems``.

    ``excesses`` say where capacities are exceeded, ``departed`` which providers are gone, ``shared`` which lead to one
    cluster, and ``lost`` what the ledger lacks of what was applied. ``uncommitted`` is the ledger's path where git has
    not all of it; ``tracked`` tells whether git knows the file.
    """

    desired: Desired | None = None
    problems: tuple[str, ...] = ()
    excesses: tuple[str, ...] = ()
    departed: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    uncommitted: str | None = None
    tracked: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What was read of one provider. What could not be read is None, or left out.

    ``states`` are those of its stacks, ``setup`` is that of the stack with the chart. ``locks`` has the owners of
    Pulumi's locks by stack, without those of a run that is at work. ``outdated`` says that the cluster's chart is
    not the project's; it is empty where it is.
    """

    cluster: ProviderCluster
    observed: ObservedCluster | None = None
    standing: Standing | None = None
    states: tuple[StackState, ...] = ()
    setup: StackState | None = None
    locks: Mapping[str, Sequence[str]] = field(default_factory=dict)
    outdated: str = ""

    @property
    def provider(self) -> str:
        """The provider's name."""
        return self.cluster.provider

    @property
    def outputs(self) -> StackOutputs:
        """The outputs of the provider's stacks, as far as they could be read, taken together."""
        return outputs_of(self.cluster, self.states)

    def found(self, kind: Kind, sentence: str, command: str | None, items: Sequence[Item] = ()) -> Finding:
        """Return a finding on this provider."""
        return Finding(kind=kind, provider=self.provider, sentence=sentence, command=command, items=tuple(items))

    def command(self, verb: str, *options: str) -> str:
        """Return a command of gpuprov's for this provider only."""
        return " ".join(["gpuprov", verb, "--provider", self.provider, *options])
