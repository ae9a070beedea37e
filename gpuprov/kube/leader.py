"""Which of several replicas of a service leads on a provider's cluster, by a Lease, as client-go elects leaders.

The leader renews the Lease every `RETRY_SECONDS`. Where it cannot for `RENEW_SECONDS`, it stops to lead, by its own
clock. Others take over only after `LEASE_SECONDS` without a renewal, by theirs. So no two lead at once, unless one
clock runs a third slower than another; and even then each act on a cluster has a turn of its own (`lease`).
"""

from __future__ import annotations

import logging
from contextlib import ExitStack, suppress
from threading import Event, Thread

from gpuprov.core.cluster import ProviderCluster
from gpuprov.core.manifests import WATCH_LEASE
from gpuprov.errors import ClusterError
from gpuprov.kube import holders
from gpuprov.kube.client import KubeApi
from gpuprov.kube.leaseobject import LeaseObject, NoLease

LEASE_SECONDS = 15
"""After how many seconds without a renewal others take over."""

RENEW_SECONDS = 10
"""After how many seconds without a renewal the leader stops to lead."""

RETRY_SECONDS = 2

_LOG = logging.getLogger(__name__)


class Leader:
    """A candidate for one cluster, from `start` to `resign`. ``purpose`` tells others what it is for.

    ``has_stood`` is true once it knows whether it or another leads; ``error`` is why it could not ask last, if so.

    Where the Lease cannot be used, because the cluster's chart is too old for it, every candidate leads: the turns on
    the cluster still keep them apart, and GPUs come back all the same.
    """

    def __init__(self, cluster: ProviderCluster, purpose: str, api: KubeApi | None = None) -> None:
        self.cluster = cluster
        self.has_stood = False
        self.error = ""
        self._purpose = purpose
        self._api = api
        self._resources = ExitStack()
        self._presence = self._resources.enter_context(holders.present())
        self._lease: LeaseObject | None = None
        self._until = 0.0
        self._without_lease = False
        self._stopped = Event()
        self._thread = Thread(target=self._run, name=f"leader {cluster.provider}", daemon=True)

    def start(self) -> None:
        """Stand for election from now on."""
        self._thread.start()

    def resign(self) -> None:
        """Stop, and let another lead at once."""
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join()
        with suppress(ClusterError):  # it ends by itself then
            if self._lease is not None and self._holds(self._lease):
                self._lease.give_back()
            self._presence.holds_nothing = True
        self._until, self._without_lease = 0.0, False
        self._resources.close()

    @property
    def leads(self) -> bool:
        """True while this process leads."""
        return self._without_lease or (self._lease is not None and self._holds(self._lease))

    def step(self) -> None:
        """Renew the Lease, or try to take it, once."""
        try:
            lease = self._lease = self._lease or self._new()
            asked = lease.clock.now()
            held = lease.renew() if self._holds(lease) else lease.attempt()
            self._until, self._without_lease = asked + RENEW_SECONDS if held else 0.0, False
            self.has_stood, self.error = True, ""
        except NoLease as error:
            if not self._without_lease:
                _LOG.warning("%s; this replica leads without it", error.message, extra={"provider": error.provider})
            self._until, self._without_lease, self.has_stood, self.error = 0.0, True, True, ""
        except ClusterError as error:
            if error.message != self.error:
                _LOG.warning("the Lease was not read: %s", error.message, extra={"provider": error.provider})
            self.error = error.message

    def _holds(self, lease: LeaseObject) -> bool:
        return lease.clock.now() < self._until

    def _new(self) -> LeaseObject:
        api = self._api or KubeApi(self.cluster)
        return LeaseObject(
            api,
            self.cluster,
            WATCH_LEASE,
            identity=self._presence.identity,
            purpose=self._purpose,
            seconds=LEASE_SECONDS,
        )

    def _run(self) -> None:
        while not self._stopped.is_set():
            led = self.leads
            self.step()
            if led != self.leads:
                word = "this replica leads now" if self.leads else "this replica does not lead any more"
                _LOG.info(word, extra={"provider": self.cluster.provider})
            self._stopped.wait(RETRY_SECONDS)
