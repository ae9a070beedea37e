"""A Lease on a provider's cluster: an object that one process at a time holds, and renews while it does.

A Lease that was not given back ends when its holder has not renewed it for the time that it promised. Whoever waits
measures that by its own clock, as client-go does, so that no two clocks are compared. It ends at once where the holder
was a process of this user on this machine and has ended: the kernel drops the lock that it held on a file.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from gpuprov.core.manifests import MANAGED_BY, MANAGER, SYSTEM_NAMESPACE
from gpuprov.core.standing import Standing
from gpuprov.errors import ClusterError, ClusterUnreachable
from gpuprov.kube import holders
from gpuprov.kube.answer import Answer
from gpuprov.kube.client import KubeApi
from gpuprov.kube.target import Target
from gpuprov.preflight.clock import FAILED_SECONDS

HOLDER = "gpuprov.dev/holder"
"""Annotation: who holds or held the Lease, and what for, in words."""

LAST_GOOD_RUN = "gpuprov.dev/last-good-run"
"""Annotation: when the last run that left nothing undone ended, and whose it was."""

LAST_GOOD_TURN = "gpuprov.dev/last-good-turn"
"""Annotation: which turn that was. Where the Lease counts more turns by now, a later run left something undone."""

_OK, _CREATED, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _CONFLICT = 200, 201, 401, 403, 404, 409

_SKEW = timedelta(seconds=FAILED_SECONDS)
"""How far the clocks of a holder and of an API server may be apart."""


class NoLease(ClusterError):
    """The cluster has no place for the Lease, or our identity may not write it."""


def path(cluster: Target) -> str:
    """Return the path of the collection that has our Leases.

    It is in the chart's namespace, or in `default` where the stack's configuration requires no chart.
    """
    namespace = SYSTEM_NAMESPACE if cluster.require_chart else "default"
    return f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"


class LeaseObject:
    """The Lease ``name`` as this process reads and writes it; ``data`` is the version that it has seen last.

    ``identity`` is who holds it, for machines; ``purpose`` tells people what it is for. It promises to be renewed
    within ``seconds``.
    """

    def __init__(self, api: KubeApi, cluster: Target, name: str, *, identity: str, purpose: str, seconds: int) -> None:
        self.cluster = cluster
        self.identity = identity
        self.seconds = seconds
        self.clock = api.clock
        self._name = name
        self._api = api
        self._words = f"{holders.words()} ({purpose})"
        self._annotations: dict[str, str] = {}
        self._path = path(cluster)
        self.data: dict[str, Any] = {}
        self.previous = ""
        self._seen, self._since = "", self.clock.now()

    def attempt(self) -> bool:
        """Take it where nobody holds it, and return whether it is ours now. Whoever waits calls this again and again.

        Then ``previous`` is who had it before us, and until then who has it.
        """
        if not self.read():
            return self.create()
        version = self.data["metadata"]["resourceVersion"]
        if version != self._seen:
            self._seen, self._since = version, self.clock.now()
        self.previous = self.words
        return self._is_free() and self.take()

    def _is_free(self) -> bool:
        silent_for = self.clock.now() - self._since
        return self.held_by in ("", self.identity) or holders.has_ended(self.held_by) or silent_for >= self._expires()

    def read(self) -> bool:
        """Read it; False where there is none yet."""
        answer = self._api.ask("GET", f"{self._path}/{self._name}")
        if answer.status == _NOT_FOUND:
            return False
        self._accept(answer)
        return True

    def create(self) -> bool:
        """Make it, as ours; False where somebody else was faster."""
        now = _now()
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name, "labels": {MANAGED_BY: MANAGER}, "annotations": {HOLDER: self._words}},
            "spec": self._spec(1, now, now),
        }
        return self._written(self._api.ask("POST", self._path, body=body))

    def take(self) -> bool:
        """Make it ours; False where somebody else was faster."""
        now = _now()
        return self._write(self._spec(self.number + 1, now, now))

    def renew(self) -> bool:
        """Renew it; False where it is not ours any more."""
        return self._write(self.data["spec"] | {"renewTime": _now()})

    def give_back(self, before: tuple[int, str] | None = None, *, good: bool = False) -> None:
        """Let the next one have it at once. ``before`` are number and words that it is to say again, and not ours.

        A run that left nothing undone was ``good``.
        """
        if good:
            self._annotations[LAST_GOOD_RUN] = f"{_now()} {self._words}"
            self._annotations[LAST_GOOD_TURN] = str(self.number)
        spec = self.data["spec"] | {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": _now()}
        if before is not None:
            spec |= {"leaseTransitions": before[0]}
            self._words = before[1] or self._words
        self._write(spec)

    @property
    def held_by(self) -> str:
        """The identity of who holds it; empty where nobody does."""
        return str(self.data.get("spec", {}).get("holderIdentity") or "")

    @property
    def words(self) -> str:
        """Who holds or held it, for people."""
        return words_of(self.data)

    @property
    def since(self) -> str:
        """Since when who holds it does, as the holder's clock says; empty where the Lease does not tell."""
        return str(self.data.get("spec", {}).get("acquireTime") or "")

    @property
    def last_good_run(self) -> str:
        """When the last run that left nothing undone ended, and whose it was; empty where there was none."""
        return _annotation(self.data, LAST_GOOD_RUN)

    @property
    def number(self) -> int:
        """How often it was taken."""
        return number_of(self.data)

    def _expires(self) -> float:
        """Return for how many seconds the holder need not renew it."""
        return float(self.data["spec"].get("leaseDurationSeconds") or self.seconds)

    def _spec(self, number: int, acquired: str, renewed: str) -> dict[str, Any]:
        return {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": self.seconds,
            "acquireTime": acquired,
            "renewTime": renewed,
            "leaseTransitions": number,
        }

    def _write(self, spec: dict[str, Any]) -> bool:
        """Write it unless somebody has changed it since we read it: its resourceVersion is sent along."""
        metadata = self.data["metadata"]
        metadata = metadata | {
            "annotations": (metadata.get("annotations") or {}) | self._annotations | {HOLDER: self._words}
        }
        body = {**self.data, "metadata": metadata, "spec": spec}
        return self._written(self._api.ask("PUT", f"{self._path}/{self._name}", body=body))

    def _written(self, answer: Answer) -> bool:
        if answer.status == _CONFLICT:
            return False
        self._accept(answer)
        return True

    def _remedy(self) -> str:
        if self.cluster.require_chart:
            provider = self.cluster.provider
            return f"the cluster's administrator installs the present chart with `gpuprov setup --provider {provider}`"
        return "let the cluster's administrator give the identity create, get, update and patch on leases in `default`"

    def _accept(self, answer: Answer) -> None:
        """Keep the version that the server answers with. Raises NoLease or ClusterUnreachable where there is none."""
        provider = self.cluster.provider
        if answer.status in (_FORBIDDEN, _NOT_FOUND):
            raise NoLease(
                provider, f"the Lease that keeps runs apart cannot be used ({answer.message}); {self._remedy()}"
            )
        if answer.status == _UNAUTHORIZED:
            raise ClusterUnreachable(
                provider,
                f"the API server does not know our identity any more ({answer.message}); renew its credentials in the "
                "kubeconfig, then rerun the same command",
            )
        if answer.status not in (_OK, _CREATED):
            raise ClusterUnreachable(
                provider,
                f"the Lease that keeps runs apart cannot be used ({answer.status} {answer.message}); rerun the command "
                "in a while, and if that does not help, run `gpuprov preflight`",
            )
        self.data = answer.data


def standing_of(lease: dict[str, Any], date: str | None) -> Standing:
    """Return what a Lease says, at the API server's time as HTTP writes it. Changes nothing."""
    spec = lease.get("spec", {})
    holder = str(spec.get("holderIdentity") or "")
    last_good_turn = _annotation(lease, LAST_GOOD_TURN)
    last_good_run = _annotation(lease, LAST_GOOD_RUN)
    known = last_good_turn.isdecimal() or not last_good_run  # else an older gpuprov kept the run and not its turn
    words = words_of(lease) if lease else ""
    return Standing(
        holder=words if holder else "",
        since=str(spec.get("acquireTime") or "") if holder else "",
        gone=bool(holder) and (holders.is_gone(holder) or _is_silent(spec, date)),
        last="" if holder else words,
        undone=not holder and known and number_of(lease) > (int(last_good_turn) if last_good_turn.isdecimal() else 0),
        last_good_run=last_good_run,
    )


def _is_silent(spec: dict[str, Any], date: str | None) -> bool:
    """Tell whether a holder has not renewed its Lease for longer than the distance of two clocks explains."""
    try:
        now = parsedate_to_datetime(date or "")
        renewed = datetime.fromisoformat(str(spec.get("renewTime") or ""))
        return now - renewed > timedelta(seconds=float(spec.get("leaseDurationSeconds") or 0)) + _SKEW
    except (ValueError, TypeError):  # TypeError: one of them has no time zone
        return False


def _annotation(lease: dict[str, Any], name: str) -> str:
    return str((lease.get("metadata", {}).get("annotations") or {}).get(name) or "")


def words_of(lease: dict[str, Any]) -> str:
    """Return who holds or held a Lease, for people."""
    return _annotation(lease, HOLDER) or str(lease.get("spec", {}).get("holderIdentity") or "somebody")


def number_of(lease: dict[str, Any]) -> int:
    """Return how often a Lease was taken."""
    return int(lease.get("spec", {}).get("leaseTransitions") or 0)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
