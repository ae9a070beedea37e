"""All attempts, by what they go around."""

from isolation import cluster, devices, host, identity, names, objects, placements, quota
from isolation.attempt import Attempt

AREAS: dict[str, tuple[Attempt, ...]] = {
    "More than was awarded": quota.ATTEMPTS,
    "Under another name": names.ATTEMPTS,
    "Without asking": devices.ATTEMPTS,
    "Other servers, others' turn, no end": placements.ATTEMPTS,
    "The server itself": host.ATTEMPTS,
    "What bounds the namespace": objects.ATTEMPTS,
    "Somebody else, or for longer": identity.ATTEMPTS,
    "The whole cluster": cluster.ATTEMPTS,
}
ATTEMPTS = tuple(attempt for attempts in AREAS.values() for attempt in attempts)
