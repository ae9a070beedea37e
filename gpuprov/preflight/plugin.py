"""Whether NVIDIA's device plugin is set so that a container sees the GPUs that it was given, whole, and no other.

With the device list in an environment variable (the plugin's default) the container runtime must obey
``NVIDIA_VISIBLE_DEVICES``, also where an image sets it to ``all``: a container without any GPU then sees every one.
Settings are taken as the plugin takes them: argument, environment, configuration file, default.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gpuprov.core.cluster import ProviderCluster
from gpuprov.preflight.facts import Live, Seen, Unread
from gpuprov.preflight.finding import BY_SETUP, Finding, failed, ok, some, warning
from gpuprov.preflight.nodes import Node

CHECK = "device plugin"

_NVIDIA = "nvidia.com/"
_IMAGE = "k8s-device-plugin"
_PROGRAM = "nvidia-device-plugin"
_OTHER_PROGRAMS = ("gpu-feature-discovery", "mps-control-daemon", "config-manager")
"""What the plugin's image holds beside the plugin."""

_KEYS = {"version", "flags", "resources", "sharing"}
"""By these a configuration of the plugin is told from other files that its DaemonSet mounts."""

_ENVVAR = "envvar"
_HIDDEN = "(from elsewhere)"
ACCEPT = "ACCEPT_NVIDIA_VISIBLE_DEVICES_ENVVAR_WHEN_UNPRIVILEGED"
_ACCEPT_KEY = "accept-nvidia-visible-devices-envvar-when-unprivileged"
_HARDEN = "set the device plugin's DEVICE_LIST_STRATEGY to volume-mounts or cdi-cri"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """A container that runs NVIDIA's device plugin; ``configs`` are the ConfigMaps that its DaemonSet mounts."""

    where: str
    container: Mapping[str, Any]
    configs: tuple[str, ...]

    def values(self, option: str, path: Sequence[str], read: Mapping[str, tuple[Live, ...] | Unread]) -> set[str]:
        """Return a setting's values: one, or one of each configuration; `_HIDDEN` where that is not seen.

        Empty where nothing is given, and an empty text where a configuration leaves it to the default.
        """
        given = _argument(self.container, option) or _environment(self.container, _variable(option))
        if given:
            return {given}
        if any(isinstance(read.get(name), Unread) for name in self.configs):
            return {_HIDDEN}
        return {_flag(config, path) for config in self._configurations(read)}

    def shared(self, read: Mapping[str, tuple[Live, ...] | Unread]) -> set[str]:
        """Return the resources of which a configuration makes more than there are, as ``name x replicas``."""
        shared_resources = set()
        for config in self._configurations(read):
            for way in ("timeSlicing", "mps"):
                for resource in _mapping(_mapping(config.get("sharing")).get(way)).get("resources") or ():
                    if _number(resource.get("replicas")) > 1:
                        shared_resources.add(f"{resource.get('name')} x {resource['replicas']}")
        return shared_resources

    def _configurations(self, read: Mapping[str, tuple[Live, ...] | Unread]) -> Iterator[Live]:
        for name in self.configs:
            configs = read.get(name, ())
            if not isinstance(configs, Unread):
                yield from (config for config in configs if config.keys() & _KEYS)


def plugins(daemon_sets: Iterable[Live]) -> list[Plugin]:
    """Find NVIDIA's device plugin by its image or its program."""
    device_plugins = []
    for daemon_set in daemon_sets:
        namespace, spec = daemon_set["metadata"]["namespace"], daemon_set["spec"]["template"]["spec"]
        volumes = [_mapping(volume.get("configMap")).get("name") for volume in spec.get("volumes") or ()]
        device_plugins += [
            Plugin(
                where=f"{namespace}/{daemon_set['metadata']['name']}",
                container=container,
                configs=tuple(f"{namespace}/{name}" for name in volumes if name),
            )
            for container in spec.get("containers") or ()
            if _runs_the_plugin(container)
        ]
    return device_plugins


def check(
    cluster: ProviderCluster,
    daemon_sets: Seen,
    configs: Mapping[str, tuple[Live, ...] | Unread],
    nodes: Sequence[Node],
) -> list[Finding]:
    """Judge the device plugin's settings, what the nodes say of sharing, and what of the runtime can be seen.

    A cluster whose pools have other makers' devices alone needs none of it.
    """
    if not any(pool.resource.startswith(_NVIDIA) for pool in cluster.pools):
        return [ok(CHECK, "no pool has devices of NVIDIA's device plugin")]
    if isinstance(daemon_sets, Unread):
        seen = f"DaemonSets cannot be seen: {daemon_sets.reason}"
        unseen = warning(CHECK, seen, f"{BY_SETUP}; or ask the provider for its device plugin's settings")
        return [unseen, *_shared_nodes(cluster, nodes), _runtime(())]
    device_plugins = plugins(daemon_sets)
    findings = [
        finding for plugin in device_plugins for finding in (_strategy(plugin, configs), *_pieces(plugin, configs))
    ]
    if not device_plugins:
        seen = "no DaemonSet of NVIDIA's device plugin was found"
        remedy = (
            "ask the provider which device plugin or driver gives the GPUs to containers, and whether an image with "
            "NVIDIA_VISIBLE_DEVICES=all sees all of them"
        )
        findings.append(warning(CHECK, seen, remedy))
    return [*findings, *_shared_nodes(cluster, nodes), _runtime(daemon_sets)]


def _strategy(plugin: Plugin, configs: Mapping[str, tuple[Live, ...] | Unread]) -> Finding:
    values = plugin.values("device-list-strategy", ("plugin", "deviceListStrategy"), configs)
    if _HIDDEN in values:
        remedy = f"ask the provider, or read it on the cluster: it must not be {_ENVVAR}"
        return warning(CHECK, f"{plugin.where}: its device list strategy is set where it was not read", remedy)
    ways = {way.strip() or _ENVVAR for value in values or {""} for way in value.split(",")}
    default_note = "" if values - {""} else " (the default)"
    seen = f"{plugin.where}: device list strategy {', '.join(sorted(ways))}{default_note}"
    if ways == {_ENVVAR} or values & {"", _ENVVAR}:
        seen += ": an image can ask for all GPUs of its node by NVIDIA_VISIBLE_DEVICES=all"
        return failed(CHECK, seen, f"{_HARDEN}, and the container runtime's {_ACCEPT_KEY} to false")
    if _ENVVAR in ways:
        return warning(CHECK, seen, f"{_HARDEN}: with {_ENVVAR} among them the runtime may still obey an image")
    return ok(CHECK, seen)


def _pieces(plugin: Plugin, configs: Mapping[str, tuple[Live, ...] | Unread]) -> list[Finding]:
    """A quota counts what the plugin offers: with shares or MIG slices under the GPU's name these are no GPUs."""
    findings = []
    if shared := plugin.shared(configs):
        remedy = "remove `sharing` from the plugin's configuration: awards are whole GPUs"
        findings.append(failed(CHECK, f"{plugin.where}: GPUs are shared: {', '.join(sorted(shared))}", remedy))
    values = plugin.values("mig-strategy", ("migStrategy",), configs)
    if "single" in values:
        remedy = "keep MIG off on the nodes of awards: slices would count as GPUs; MIG strategy none or mixed says so"
        findings.append(warning(CHECK, f"{plugin.where}: MIG strategy single", remedy))
    elif _HIDDEN not in values:
        strategy = ", ".join(sorted(values - {""})) or "none (the default)"
        findings.append(ok(CHECK, f"{plugin.where}: MIG strategy {strategy}"))
    return findings


def _shared_nodes(cluster: ProviderCluster, nodes: Iterable[Node]) -> list[Finding]:
    """What GPU feature discovery writes on nodes tells of sharing and MIG also where the settings cannot be read."""
    shared, sliced = [], []
    for node in nodes:
        replicas = _number(node.labels.get("nvidia.com/gpu.replicas"))
        way = node.labels.get("nvidia.com/gpu.sharing-strategy", "none")
        if replicas > 1 or way not in ("", "none") or node.offers.get("nvidia.com/gpu.shared"):
            shared.append(f"{node.name} ({way} x {replicas})" if replicas > 1 else node.name)
        in_a_pool = any(node.of(pool) for pool in cluster.pools)
        if "-MIG-" in node.labels.get("nvidia.com/gpu.product", "") or (in_a_pool and _slices(node)):
            sliced.append(node.name)
    findings = []
    if shared:
        remedy = "switch time-slicing and MPS off on the nodes of awards: a share would count as a GPU"
        findings.append(failed(CHECK, f"nodes share their GPUs: {some(shared)}", remedy))
    if sliced:
        remedy = "switch MIG off on the nodes of awards: an award is a whole GPU"
        findings.append(failed(CHECK, f"nodes cut their GPUs up by MIG: {some(sliced)}", remedy))
    return findings


def _slices(node: Node) -> int:
    return sum(amount for name, amount in node.offers.items() if name.startswith("nvidia.com/mig-"))


def _runtime(daemon_sets: Iterable[Live]) -> Finding:
    """Only the GPU operator's toolkit sets the runtime by a DaemonSet; else it is a file on each node."""
    settings: dict[str, str] = {}
    for daemon_set in daemon_sets:
        for container in daemon_set["spec"]["template"]["spec"].get("containers") or ():
            if value := _environment(container, ACCEPT):
                settings[f"{daemon_set['metadata']['namespace']}/{daemon_set['metadata']['name']}"] = value.lower()
    if settings and set(settings.values()) == {"false"}:
        return ok(
            CHECK, f"{some(sorted(settings))}: the runtime obeys NVIDIA_VISIBLE_DEVICES of privileged containers only"
        )
    if any(value not in ("false", _HIDDEN) for value in settings.values()):
        seen = f"{some(sorted(settings))}: the runtime obeys NVIDIA_VISIBLE_DEVICES of every container"
        return failed(CHECK, seen, f"set {ACCEPT} to false there")
    remedy = (
        f"on a GPU node: `grep {_ACCEPT_KEY} /etc/nvidia-container-runtime/config.toml` must say false (with the GPU "
        "operator the file is in /usr/local/nvidia/toolkit/.config/nvidia-container-runtime)"
    )
    return warning(CHECK, "whether the container runtime obeys an image's NVIDIA_VISIBLE_DEVICES is not seen", remedy)


def _runs_the_plugin(container: Mapping[str, Any]) -> bool:
    words = [str(word) for word in (*(container.get("command") or ()), *(container.get("args") or ()))]
    if any(program in word for word in words for program in _OTHER_PROGRAMS):
        return False
    image = str(container.get("image", "")).rpartition("/")[2]
    return image.startswith((_IMAGE, _PROGRAM)) or any(_PROGRAM in word for word in words)


def _variable(option: str) -> str:
    return option.upper().replace("-", "_")


def _argument(container: Mapping[str, Any], option: str) -> str:
    """Return an option's value from the command line, ``--x=v`` or ``--x v``, joined where it is given repeatedly."""
    words = [
        part
        for word in (*(container.get("command") or ()), *(container.get("args") or ()))
        for part in str(word).split()
    ]
    values = []
    for index, word in enumerate(words):
        name, equals, value = word.lstrip("-").partition("=")
        if word.startswith("-") and name == option:
            values.append(value if equals else "".join(words[index + 1 : index + 2]))
    return ",".join(values)


def _environment(container: Mapping[str, Any], name: str) -> str:
    for variable in container.get("env") or ():
        if variable.get("name") == name:
            return _HIDDEN if "valueFrom" in variable else str(variable.get("value") or "")
    return ""


def _flag(config: Live, path: Sequence[str]) -> str:
    value: Any = _mapping(config.get("flags"))
    for key in path:
        value = _mapping(value).get(key)
    return ",".join(str(item) for item in value) if isinstance(value, list) else str(value or "")


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _number(value: object) -> int:
    text = str(value)
    return int(text) if text.isdecimal() else 0
