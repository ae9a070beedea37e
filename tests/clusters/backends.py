"""The places where teams keep Pulumi's state, as real servers on loopback: a folder, an S3 server, PostgreSQL."""

import base64
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest
import urllib3
from loopback import unused_port
from projects import lock_elsewhere, others_lock
from sandbox_fixtures import eventually

from gpuprov import toolchain

SECRET = "planted-secret-1f8e"
KEY, BUCKET, DATABASE = "gpuprov", "bucket", "state"
POSTGRES = Path("/usr/lib/postgresql")
"""Where Debian's packages have the server, by version."""


class Backend(Protocol):
    """Where the state of a project lies. ``variables`` lead commands there; `locks` are those on all stacks.

    `dump` returns the state of each stack by its place, and `put` lets these be all that there is.
    """

    variables: Mapping[str, str]

    def locks(self) -> list[str]: ...
    def lock(self, stack: str) -> None: ...
    def dump(self) -> dict[str, str]: ...
    def put(self, stacks: Mapping[str, str]) -> None: ...
    def stop(self) -> None: ...
    def start(self) -> None: ...


class FileBackend:
    """A folder. It is away while it has another name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.variables = {"PULUMI_BACKEND_URL": f"file://{folder}"}

    def locks(self) -> list[str]:
        return [path.stem for path in (self.folder / ".pulumi" / "locks").rglob("*.json")]

    def lock(self, stack: str) -> None:
        lock_elsewhere(self.folder, stack)

    def dump(self) -> dict[str, str]:
        found = self._stacks.rglob("*.json")
        return {str(path.relative_to(self._stacks)): path.read_text(encoding="utf-8") for path in found}

    def put(self, stacks: Mapping[str, str]) -> None:
        for path in [path for path in self._stacks.rglob("*") if path.is_file()]:
            path.unlink(missing_ok=True)
        for name, text in stacks.items():
            (self._stacks / name).write_text(text, encoding="utf-8")

    @property
    def _stacks(self) -> Path:
        return self.folder / ".pulumi" / "stacks"

    def stop(self) -> None:
        self.folder.rename(self.folder.with_suffix(".away"))

    def start(self) -> None:
        self.folder.with_suffix(".away").rename(self.folder)


class Server:
    """A server in a process of its own."""

    def __init__(self, command: Sequence[str], **settings: Any) -> None:
        self.command = command
        self.settings = settings
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        output = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(self.command, **output, **self.settings)
        eventually(self.answers)

    def stop(self) -> None:
        assert self.process
        self.process.terminate()
        self.process.wait()

    def answers(self) -> bool:
        raise NotImplementedError


class S3Backend(Server):
    """A bucket of versitygw, which keeps objects as files in a folder."""

    def __init__(self, folder: Path) -> None:
        (folder / BUCKET).mkdir(parents=True)
        self.bucket = FileBackend(folder / BUCKET)
        self.port = unused_port()
        program = toolchain.ensure(("versitygw",)).binary("versitygw")
        command = [str(program), "--quiet", "--port", f"127.0.0.1:{self.port}", "posix", str(folder)]
        secrets = {"ROOT_ACCESS_KEY": KEY, "ROOT_SECRET_KEY": SECRET}
        super().__init__(command, env={"PATH": os.defpath, "HOME": str(folder)} | secrets)
        self.variables = {
            "PULUMI_BACKEND_URL": f"s3://{BUCKET}?endpoint=http://127.0.0.1:{self.port}&s3ForcePathStyle=true",
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
        }
        self.locks, self.lock = self.bucket.locks, self.bucket.lock
        self.dump, self.put = self.bucket.dump, self.bucket.put

    def answers(self) -> bool:
        try:
            urllib3.request("GET", f"http://127.0.0.1:{self.port}/", timeout=5, retries=False)
        except urllib3.exceptions.HTTPError:
            return False
        return True


class PostgresBackend(Server):
    """A database of a PostgreSQL server, which does not run as root."""

    def __init__(self, folder: Path) -> None:
        self.port = unused_port()
        if not (found := list(POSTGRES.glob("*/bin"))):
            pytest.skip("PostgreSQL's server is not on this machine")
        self.bin = max(found)
        user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
        if user:
            shutil.chown(folder, "postgres")
        password, data = folder / "password", folder / "data"
        password.write_text(SECRET, encoding="utf-8")
        made = [self.bin / "initdb", "-D", data, "-U", KEY, "--auth=scram-sha-256", f"--pwfile={password}", "--no-sync"]
        subprocess.run([*made, "--locale=C", "--encoding=UTF8"], cwd=folder, check=True, capture_output=True, **user)
        settings = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": "", "fsync": "off"}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        super().__init__([str(self.bin / "postgres"), "-D", str(data), *options], cwd=folder, **user)
        address = f"{KEY}:{SECRET}@127.0.0.1:{self.port}/{DATABASE}"
        self.variables = {"PULUMI_BACKEND_URL": f"postgres://{address}?sslmode=disable"}

    def answers(self) -> bool:
        """Tell whether it does, and see to it that the database is there."""
        created = self.ask("CREATE DATABASE state", database="postgres")
        return created.returncode == 0 or "already exists" in created.stderr

    def ask(self, statement: str, database: str = DATABASE, **values: str) -> subprocess.CompletedProcess[str]:
        """Run a statement of SQL, in which ``:'name'`` is a value."""
        command = [str(self.bin / "psql"), "-h", "127.0.0.1", "-p", str(self.port), "-U", KEY, "-At", database]
        command += [word for name, value in values.items() for word in ("-v", f"{name}={value}")]
        environment = {"PATH": os.defpath, "PGPASSWORD": SECRET}
        return subprocess.run(
            [*command, "-v", "ON_ERROR_STOP=1"],
            env=environment,
            input=statement,
            capture_output=True,
            text=True,
            check=False,
        )

    def locks(self) -> list[str]:
        return self.ask("SELECT key FROM pulumi_state WHERE key LIKE 'state/.pulumi/locks/%'").stdout.split()

    def lock(self, stack: str) -> None:
        path, lock = others_lock(stack)
        self._insert(f"{DATABASE}/{path}", lock)

    def dump(self) -> dict[str, str]:
        found = self.ask("SELECT key || E'\\t' || data FROM pulumi_state WHERE key LIKE 'state/.pulumi/stacks/%.json'")
        rows = (line.split("\t", 1) for line in found.stdout.splitlines())
        return {key: base64.b64decode(json.loads(data)["data"]).decode() for key, data in rows}

    def put(self, stacks: Mapping[str, str]) -> None:
        self.ask("DELETE FROM pulumi_state WHERE key LIKE 'state/.pulumi/stacks/%'")
        for key, text in stacks.items():
            self._insert(key, text)

    def _insert(self, key: str, text: str) -> None:
        data = json.dumps({"data": base64.b64encode(text.encode()).decode()})
        # A state is too long for an argument; base64 in JSON has no quote that would end the text.
        statement = f"INSERT INTO pulumi_state (key, data) VALUES (:'key', '{data}')"  # noqa: S608
        written = self.ask(statement, key=key)
        assert written.returncode == 0, written.stderr


KINDS = {"file": FileBackend, "s3": S3Backend, "postgres": PostgresBackend}


@contextmanager
def backend(kind: str) -> Iterator[Backend]:
    """Let there be a place for state as long as the block lasts. It is in a folder that other users may reach."""
    with tempfile.TemporaryDirectory(prefix="gpuprov-backend-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        made = KINDS[kind](folder / "state" if kind == "file" else folder)
        if isinstance(made, Server):
            made.start()
        try:
            yield made
        finally:
            if isinstance(made, Server):
                made.stop()
