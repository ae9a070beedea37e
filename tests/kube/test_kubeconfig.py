"""Kubeconfigs that cannot be used: which file, what is wrong with it, and what to do."""

import base64
import json

import pytest
import yaml
from played_api import kubeconfig
from strategies import cluster

from gpuprov.errors import ClusterUnreachable
from gpuprov.kube.client import KubeApi

NAME = "samsung-sds"
SECRET = "hunter2"
NO_PEM = base64.b64encode(b"no PEM").decode()


def document(*, context=None, cluster=None, user=None, **parts):
    return {
        "contexts": [{"name": NAME, "context": context or {"cluster": NAME, "user": NAME}}],
        "clusters": [{"name": NAME, "cluster": {"server": "https://127.0.0.1:1", **(cluster or {})}}],
        "users": [{"name": NAME, "user": {"token": SECRET, **(user or {})}}],
    } | parts


def entry(part, value):
    return {f"{part}s": [{"name": NAME, part: value}]}


BAD = {
    "malformed": ("contexts:\n  - name: [a\n", "FILE:3 is malformed YAML (expected ',' or ']'"),
    "a tab": (f"token: {SECRET}\n\t- a", "FILE:2 is malformed YAML (found character '\\t'"),
    "binary": (b"\0\1", "FILE is malformed YAML (not a text)"),
    "not UTF-8": ("a: b".encode("utf-16"), "FILE is not text in UTF-8"),
    "a list": ([1], "FILE is not a kubeconfig but YAML of another form"),
    "a word": ("hello", "FILE is not a kubeconfig but YAML of another form"),
    "a number": ("5", "FILE is not a kubeconfig but YAML of another form"),
    "empty": ("", "there is no such file, or nothing in it; set KUBECONFIG"),
    "a word for contexts": (document(contexts="hello"), "`contexts` in FILE is not a list"),
    "a context that is a word": (document(contexts=["hello"]), "entry 1 of `contexts` in FILE has no name"),
    "a name that is a number": (document(users=[{"name": 5}]), "entry 1 of `users` in FILE has no name"),
    "a context of a word": (document(**entry("context", "x")), "`context` of 'samsung-sds' in FILE is not a mapping"),
    "an empty context": (document(**entry("context", None)), "its cluster None is not among `clusters`"),
    "a user of a word": (document(**entry("user", "x")), "`user` of 'samsung-sds' in FILE is not a mapping"),
    "no clusters": (document(clusters=[]), "its cluster 'samsung-sds' is not among `clusters`"),
    "no users": (document(users=None), "its user 'samsung-sds' is not among `users`"),
    "no server": (document(**entry("cluster", {})), "its cluster 'samsung-sds' has no `server`"),
    "a server of a number": (document(cluster={"server": 5}), "its cluster 'samsung-sds' has no `server`"),
    "no such context": (
        document(contexts=[{"name": "b", "context": {}}, {"name": "a", "context": {}}]),
        "it has the contexts a, b; set KUBECONFIG to the file that has it, or correct `context`",
    ),
    "no contexts": (document(contexts=[]), "it has the contexts (none); set KUBECONFIG"),
    "no base64": (
        document(cluster={"certificate-authority-data": "abcde"}),
        "`certificate-authority-data` of 'samsung-sds' is not base64",
    ),
    "other signs": (document(user={"client-key-data": "!!!!"}), "`client-key-data` of 'samsung-sds' is not base64"),
    "data of a number": (
        document(user={"client-certificate-data": 5}),
        "`client-certificate-data` of 'samsung-sds' is",
    ),
    "no PEM": (document(cluster={"certificate-authority-data": NO_PEM}), "its certificate authority cannot be used ("),
    "no PEM of the client": (
        document(user={"client-certificate-data": NO_PEM, "client-key-data": NO_PEM}),
        "its client certificate or its key cannot be used (",
    ),
    "no certificate file": (document(cluster={"certificate-authority": "none.crt"}), "none.crt"),
    "no key file": (document(user={"client-key": "none.key", "client-certificate-data": NO_PEM}), "none.key"),
    "no token file": (document(**entry("user", {"tokenFile": "none.token"})), "none.token"),
    "a plugin without its settings": (
        document(user={"auth-provider": {"name": "oidc", "config": {"client-secret": SECRET}}}),
        "Expected key id-token in FILE/; correct the file",
    ),
}


def written(path, content):
    text = content if isinstance(content, bytes) else (content if isinstance(content, str) else yaml.safe_dump(content))
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize("case", BAD)
def test_a_bad_kubeconfig_is_told_with_its_place_and_a_way_out(case, tmp_path, monkeypatch):
    content, told = BAD[case]
    path = written(tmp_path / "kubeconfig", content)
    monkeypatch.setenv("KUBECONFIG", str(path))
    with pytest.raises(ClusterUnreachable) as caught:
        KubeApi(cluster())
    message = str(caught.value)
    assert message.startswith(f"samsung-sds: no usable context 'samsung-sds' in the kubeconfig {path}: ")
    assert told.replace("FILE", str(path)) in message
    assert "set KUBECONFIG to" in message
    assert len(message.splitlines()) == 1
    assert SECRET not in message


def running(program, tmp_path, key="exec"):
    """A kubeconfig whose user has a program for credentials, which leaves a trace."""
    trace = tmp_path / "trace"
    script = tmp_path / program
    status = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": SECRET}}
    script.write_text(f"#!/bin/sh\ntouch {trace}\necho '{json.dumps(status)}'\n", encoding="utf-8")
    script.chmod(0o755)
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(script), "interactiveMode": "Never"}
    legacy = {"name": "gcp", "config": {"cmd-path": str(script), "expiry": "2020-01-01T00:00:00Z", "access-token": ""}}
    user = {"exec": plugin} if key == "exec" else {"auth-provider": legacy}
    path = written(tmp_path / "kubeconfig", document(**entry("user", user), cluster={"server": "http://127.0.0.1:1"}))
    return path, str(script), trace


@pytest.mark.parametrize("key", ["exec", "auth-provider"])
@pytest.mark.parametrize("allowed", [(), ("aws",), ("kubelogin",)])
def test_no_program_is_run_that_the_stack_does_not_name(tmp_path, monkeypatch, key, allowed):
    path, program, trace = running("kubelogin", tmp_path, key)
    monkeypatch.setenv("KUBECONFIG", str(path))
    with pytest.raises(ClusterUnreachable) as caught:
        KubeApi(cluster().model_copy(update={"exec_plugins": allowed}))
    assert f"runs the program {program!r} for credentials" in str(caught.value)
    assert "`execPlugins`" in str(caught.value)
    assert not trace.exists()


def test_a_program_that_the_stack_names_tells_the_token(tmp_path, monkeypatch):
    path, program, trace = running("kubelogin", tmp_path)
    monkeypatch.setenv("KUBECONFIG", str(path))
    api = KubeApi(cluster().model_copy(update={"exec_plugins": ("aws", program)}))
    assert api._client.configuration.api_key["BearerToken"] == f"Bearer {SECRET}"
    assert trace.exists()


def test_a_missing_file_a_folder_and_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    for path, told in (
        (
            tmp_path / "none",
            "there is no such file, or nothing in it; set KUBECONFIG to the file that has it, or correct `context` in",
        ),
        (tmp_path, f"{tmp_path} cannot be read (Is a directory); correct the file, or set KUBECONFIG to another"),
    ):
        monkeypatch.setenv("KUBECONFIG", str(path))
        with pytest.raises(ClusterUnreachable) as caught:
            KubeApi(cluster())
        assert told in str(caught.value)


def test_a_list_of_files_is_read_as_one(tmp_path, monkeypatch):
    first = kubeconfig(tmp_path / "first", "http://127.0.0.1:1", "kt-cloud")
    second = kubeconfig(tmp_path / "second", "http://127.0.0.1:2", NAME)
    third = kubeconfig(tmp_path / "third", "http://127.0.0.1:3", NAME)
    empty = written(tmp_path / "empty", "")
    monkeypatch.setenv("KUBECONFIG", f"{empty}:{tmp_path / 'none'}::{first}:{second}:{third}")
    assert KubeApi(cluster())._client.configuration.host == "http://127.0.0.1:2"
    assert KubeApi(cluster("kt-cloud"))._client.configuration.host == "http://127.0.0.1:1"
    with pytest.raises(ClusterUnreachable, match="it has the contexts kt-cloud, samsung-sds; set KUBECONFIG"):
        KubeApi(cluster("elice-cloud"))


def test_the_file_of_a_list_that_is_bad_is_named(tmp_path, monkeypatch):
    good = kubeconfig(tmp_path / "good", "http://127.0.0.1:1")
    bad = written(tmp_path / "bad", "a: [")
    monkeypatch.setenv("KUBECONFIG", f"{good}:{bad}")
    with pytest.raises(ClusterUnreachable, match=f"{bad}:1 is malformed YAML"):
        KubeApi(cluster())


@pytest.mark.parametrize("value", ["", None])
def test_without_kubeconfig_the_file_in_the_home_folder_is_read(tmp_path, monkeypatch, value):
    (tmp_path / ".kube").mkdir()
    kubeconfig(tmp_path / ".kube" / "config", "http://127.0.0.1:1")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    if value is not None:
        monkeypatch.setenv("KUBECONFIG", value)
    assert KubeApi(cluster())._client.configuration.host == "http://127.0.0.1:1"


def test_data_may_be_broken_into_lines_or_left_empty(tmp_path, monkeypatch):
    content = document(cluster={"server": "http://127.0.0.1:1", "certificate-authority-data": "YWJj\nZGVm\n"})
    monkeypatch.setenv("KUBECONFIG", str(written(tmp_path / "lines", content)))
    KubeApi(cluster())
    content = document(cluster={"certificate-authority-data": ""})
    monkeypatch.setenv("KUBECONFIG", str(written(tmp_path / "none", content)))
    assert KubeApi(cluster())._client.configuration.ssl_ca_cert is None


@pytest.mark.parametrize("text", ["", yaml.safe_dump(document(contexts=[]))])
def test_for_the_set_up_it_is_the_administrators_context_that_is_corrected(tmp_path, monkeypatch, text):
    path = tmp_path / "kubeconfig"
    path.write_text(text, encoding="utf-8")
    monkeypatch.setenv("KUBECONFIG", str(path))
    admin = cluster(NAME, H100=8).model_copy(update={"admin_context": "root"}).administered
    with pytest.raises(ClusterUnreachable, match=r"or correct `adminContext` in the stack's configuration"):
        KubeApi(admin)
