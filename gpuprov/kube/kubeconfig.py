"""Reads one context of the kubeconfig, and names the file and the entry where something is wrong with it.

The official client does the reading. It answers most mistakes with a traceback, or with a message that prints the entry
and its credentials, so what it needs is checked first.
"""

from __future__ import annotations

import os
import ssl
from base64 import b64decode
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import yaml
from kubernetes import client, config
from kubernetes.config.config_exception import ConfigException

from gpuprov.errors import ClusterUnreachable
from gpuprov.kube.target import Target

_DEFAULT = "~/.kube/config"
_PARTS = {"contexts": "context", "clusters": "cluster", "users": "user"}
_DATA = ("certificate-authority-data", "client-certificate-data", "client-key-data")
_KEY = "{key}"
_ANOTHER = f"set KUBECONFIG to the file that has it, or correct `{_KEY}` in the stack's configuration"
_CORRECT = "correct the file, or set KUBECONFIG to another"

Entries = dict[str, dict[str, dict[str, Any]]]


_loading = Lock()
"""One thread loads at a time: the client gives another the file of a certificate that the first has not written."""


class _Unusable(Exception):
    """Something is wrong with the kubeconfig; the message is the end of the sentence that says what."""


def read_context(cluster: Target) -> client.Configuration:
    """Return the official client's settings for the context of a cluster. Raises ClusterUnreachable.

    ``KUBECONFIG`` may list several files, as for kubectl: the first that has an entry of a name counts, and files that
    are missing or empty are left out.
    """
    names = (os.environ.get("KUBECONFIG") or _DEFAULT).split(os.pathsep)
    files = [Path(os.path.expanduser(name)) for name in names if name]  # noqa: PTH111 (Path's raises without a home)
    try:
        return _settings(files, cluster)
    except _Unusable as error:
        place = os.pathsep.join(map(str, files))
        reason = str(error).replace(_KEY, "adminContext" if cluster.context == cluster.admin_context else "context")
        raise ClusterUnreachable(
            cluster.provider, f"no usable context {cluster.context!r} in the kubeconfig {place}: {reason}"
        ) from error


def _settings(files: Sequence[Path], cluster: Target) -> client.Configuration:
    documents = {file: document for file in files if (document := _document(file)) is not None}
    if not documents:
        raise _Unusable(f"there is no such file, or nothing in it; {_ANOTHER}")
    user = _check(_entries(documents), cluster.context)
    _check_programs(user, cluster.exec_plugins)
    settings = client.Configuration()
    try:
        with _loading:
            config.load_kube_config(os.pathsep.join(map(str, documents)), cluster.context, settings)
        _check_certificates(settings)
    except (ConfigException, OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        message = str(error).partition("{")[0]  # what follows would be the entry, with its credentials
        raise _Unusable(f"{message}; {_CORRECT}") from error
    return settings


def _document(file: Path) -> Mapping[str, Any] | None:
    """Return what a file says, None where it is missing or empty."""
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _Unusable(f"{file} cannot be read ({error.strerror}); {_CORRECT}") from error
    except UnicodeDecodeError as error:
        raise _Unusable(f"{file} is not text in UTF-8; {_CORRECT}") from error
    except yaml.YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None) or "not a text"
        place = f"{file}:{mark.line + 1}" if mark else str(file)
        raise _Unusable(f"{place} is malformed YAML ({problem}); {_CORRECT}") from error
    if document is not None and not isinstance(document, Mapping):
        raise _Unusable(f"{file} is not a kubeconfig but YAML of another form; {_CORRECT}")
    return document


def _entries(documents: Mapping[Path, Mapping[str, Any]]) -> Entries:
    """Return contexts, clusters and users by name."""
    found: Entries = {part: {} for part in _PARTS}
    for file, document in documents.items():
        for part, key in _PARTS.items():
            entries = document.get(part) or []
            if not isinstance(entries, list):
                raise _Unusable(f"`{part}` in {file} is not a list; {_CORRECT}")
            for number, entry in enumerate(entries, start=1):
                if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str):
                    raise _Unusable(f"entry {number} of `{part}` in {file} has no name; {_CORRECT}")
                values = entry.get(key) or {}
                if not isinstance(values, dict):
                    raise _Unusable(f"`{key}` of {entry['name']!r} in {file} is not a mapping; {_CORRECT}")
                found[part].setdefault(entry["name"], values)
    return found


def _check(entries: Entries, name: str) -> Mapping[str, Any]:
    """Look whether the context leads to a server, and whether what is given as data is base64; return its user."""
    context = entries["contexts"].get(name)
    if context is None:
        raise _Unusable(f"it has the contexts {', '.join(sorted(entries['contexts'])) or '(none)'}; {_ANOTHER}")
    values: Mapping[str, Any] = {}
    for part, key in (("clusters", "cluster"), ("users", "user")):
        chosen = context.get(key)
        if chosen is None and key == "user":
            return {}
        found = entries[part].get(str(chosen))
        if found is None:
            raise _Unusable(f"its {key} {chosen!r} is not among `{part}`; {_CORRECT}")
        values = found
        if key == "cluster" and not isinstance(values.get("server"), str):
            raise _Unusable(f"its cluster {chosen!r} has no `server`; {_CORRECT}")
        for data in _DATA:
            if data in values and not _is_base64(values[data]):
                raise _Unusable(f"`{data}` of {chosen!r} is not base64; {_CORRECT}")
    return values


def _check_programs(user: Mapping[str, Any], allowed: Collection[str]) -> None:
    """Refuse a user whose credentials come from a program that the stack's configuration does not name.

    A kubeconfig that somebody hands over could else run anything here, as could one that was changed unseen.
    """
    plugin, provider = user.get("exec"), user.get("auth-provider")
    settings = provider.get("config") if isinstance(provider, Mapping) else None
    for part, key in ((plugin, "command"), (settings, "cmd-path")):
        program = part.get(key) if isinstance(part, Mapping) else None
        if program is not None and program not in allowed:
            raise _Unusable(
                f"its user runs the program {program!r} for credentials, and `execPlugins` in the stack's "
                "configuration does not name that; if you know the program, add it there"
            )


def _is_base64(data: object) -> bool:
    """Tell whether data can be decoded, as an empty text can, which stands for none."""
    try:
        return isinstance(data, str) and b64decode("".join(data.split()), validate=True) is not None
    except ValueError:
        return False


def _check_certificates(settings: client.Configuration) -> None:
    """Load the certificates as the client does with its first request: a bad one is reported now."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    part = "certificate authority"
    try:
        if settings.ssl_ca_cert:
            context.load_verify_locations(settings.ssl_ca_cert)
        part = "client certificate or its key"
        if settings.cert_file:
            context.load_cert_chain(settings.cert_file, settings.key_file, password=lambda: "")  # never ask for one
    except OSError as error:
        raise _Unusable(f"its {part} cannot be used ({error}); {_CORRECT}") from error
