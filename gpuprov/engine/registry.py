"""Registers resources with Pulumi's engine, many at once, in the gRPC protocol of all Pulumi SDKs.

Pulumi's Python classes are made for programs whose resources depend on each other's outputs: each property becomes an
awaitable, and each registration occupies one of a few threads. Our objects are plain data and depend on nothing but
each other's names, so they are sent as they are (figures: docs/performance.md). The engine receives the same requests
and writes the same state.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
import pulumi
from google.protobuf import struct_pb2
from pulumi.runtime import get_root_resource, rpc
from pulumi.runtime.proto import resource_pb2
from pulumi.runtime.settings import get_monitor

AT_ONCE = 64
"""How many registrations run at once; the engine's own `--parallel` is the other limit."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A registered resource. ``id`` is empty for a component."""

    urn: str
    id: str

    @property
    def as_provider(self) -> str:
        """The reference of resources to this provider; in a preview that would create it, its id is unknown."""
        return f"{self.urn}::{self.id or rpc.UNKNOWN}"


class Registry:
    """The connection to the engine that runs this program. ``stack_urn`` is the parent of top-level resources."""

    def __init__(self, monitor: Any, stack_urn: str) -> None:  # noqa: ANN401 (a generated gRPC stub)
        self._monitor = monitor
        self._stack_urn = stack_urn

    def component(self, kind: str, name: str) -> Registered:
        """Register a component, which only groups resources. Raises pulumi.RunError, as all methods do."""
        return self.register(resource_pb2.RegisterResourceRequest(type=kind, name=name, parent=self._stack_urn))

    def provider(self, kind: str, name: str, inputs: Mapping[str, Any], *, version: str) -> Registered:
        """Register the configuration of a provider plugin of that version."""
        return self.register(
            resource_pb2.RegisterResourceRequest(
                type=f"pulumi:providers:{kind}",
                name=name,
                parent=self._stack_urn,
                custom=True,
                object=_struct(inputs),
                version=version,
            )
        )

    def custom(
        self,
        kind: str,
        name: str,
        inputs: Mapping[str, Any],
        *,
        parent: Registered,
        provider: Registered,
        depends_on: Collection[Registered] = (),
        deleted_with: Registered | None = None,
    ) -> Registered:
        """Register a resource that the provider's plugin creates; return once it exists.

        Pulumi never deletes it: a resource that the program no longer declares leaves the state, and stays on the
        cluster.
        """
        return self.register(
            resource_pb2.RegisterResourceRequest(
                type=kind,
                name=name,
                parent=parent.urn,
                custom=True,
                object=_struct(inputs),
                provider=provider.as_provider,
                dependencies=[dependency.urn for dependency in depends_on],
                deletedWith="" if deleted_with is None else deleted_with.urn,
                retainOnDelete=True,
            )
        )

    def register(self, request: resource_pb2.RegisterResourceRequest) -> Registered:
        """Send a request to the engine, and return what came of it."""
        request.acceptSecrets = request.acceptResources = request.supportsPartialValues = True
        request.supportsResultReporting = True
        try:
            answer = self._monitor.RegisterResource(request)
        except grpc.RpcError as error:
            # The engine has already reported the error; a traceback would only hide it.
            raise pulumi.RunError(f"{request.name}: not applied ({error.details()})") from error
        if answer.result != resource_pb2.Result.SUCCESS:
            raise pulumi.RunError(f"{request.name}: not applied")
        return Registered(urn=answer.urn, id=answer.id)


def _struct(inputs: Mapping[str, Any]) -> struct_pb2.Struct:
    struct = struct_pb2.Struct()
    struct.update(inputs)
    return struct


async def open_registry() -> Registry:
    """Return the registry of the current program, once its stack is registered. Raises pulumi.RunError."""
    root = get_root_resource()
    if root is None:
        raise pulumi.RunError("no Pulumi program is running")
    return Registry(get_monitor(), str(await root.urn.future()))


async def side_by_side(work: Callable[[T], None], items: Iterable[T]) -> None:
    """Do ``work`` for all items at once, in threads: a registration mostly waits for the cluster.

    After the first error nothing new is started; it is raised once all work in progress has ended.
    """
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        futures = [loop.run_in_executor(pool, copy_context().run, work, item) for item in items]
        try:
            await asyncio.gather(*futures)
        except BaseException:
            for future in futures:
                future.cancel()
            raise
