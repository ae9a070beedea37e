"""The way to the API server: slow, broken off, silent, busy; and credentials that have expired."""

from __future__ import annotations

import base64
import json
import time
from datetime import timedelta
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from faults import Fault, kind
from sandbox_fixtures import eventually
from script import LATEST

from gpuprov.sandbox.controlplane import ISSUER
from gpuprov.sandbox.files import write_private


class _Network(Fault):
    def heal(self) -> str:
        proxy = self.world.proxy
        proxy.latency, proxy.silent, proxy.broken, proxy.refusing = 0.0, False, False, None
        return f"{proxy.hit} times" if proxy.hit else ""

    def prepare(self) -> None:
        self.world.proxy.hit = 0
        self.world.proxy.dice = self.dice


@kind
class Latency(_Network):
    name = "latency"

    def inject(self) -> str:
        self.world.proxy.latency = self.dice.uniform(0.05, 0.4)
        return f"{self.world.proxy.latency * 1000:.0f} ms"


@kind
class Reset(_Network):
    """Connections are reset, and new ones too for a while."""

    name = "reset"

    def inject(self) -> str:
        self.world.proxy.broken = self.dice.random() < 0.5
        broken = self.world.proxy.break_off()
        return f"{broken} connections" if broken else ""


@kind
class Blackhole(_Network):
    """Nothing arrives, in either direction, and nobody is told."""

    name = "blackhole"

    def inject(self) -> str:
        self.world.proxy.silent = True
        return "all"


class _Refusing(_Network):
    code = 0

    def prepare(self) -> None:
        super().prepare()
        self.world.connect(answering=True)

    def inject(self) -> str:
        self.world.proxy.refusing = (self.code, self.dice.uniform(0.2, 1.0))
        return f"{self.world.proxy.refusing[1]:.0%} of requests"

    def heal(self) -> str:
        return super().heal()


@kind
class Busy(_Refusing):
    name = "429"
    code = 429


@kind
class Failing(_Refusing):
    name = "500"
    code = 500


class _Credential(Fault):
    """It expires while the command runs, or shortly before it begins. A new one is issued after all has failed."""

    when = "before"
    lasting = True

    def heal(self) -> str:
        self.world.connect()
        return ""


@kind
class ExpiredCertificate(_Credential):
    name = "expired certificate"

    def inject(self) -> str:
        pair = self.world.certificate(timedelta(seconds=self.script.moment))
        data = {"client-certificate-data": pair.certificate, "client-key-data": pair.key}
        self.world.connect({key: base64.b64encode(value).decode() for key, value in data.items()})
        return f"after {self.script.moment:.1f} s"


@kind
class ExpiredToken(_Credential):
    """A service account's token, in a file as a kubelet writes it. The server remembers good ones for 10 s."""

    name = "expired token"

    def inject(self) -> str:
        path = self.world.disk / "token"
        seconds = self.script.moment - LATEST / 2
        write_private(path, self._token(seconds))
        self.world.connect({"tokenFile": str(path)})
        return f"{seconds:+.1f} s after the beginning"

    def _token(self, seconds: float) -> str:
        """Sign a token as the API server does for the service account, which is made where it is missing."""
        api = self.world.api
        for path, name in (("/api/v1/namespaces", "robustness"), (_ACCOUNTS, "operator")):
            eventually(lambda path=path, name=name: _made(api, path, name))
        account = api.get(f"{_ACCOUNTS}/operator")
        assert account is not None
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": [ISSUER],
            "sub": "system:serviceaccount:robustness:operator",
            "iat": now - 60,
            "nbf": now - 60,
            "exp": int(now + seconds),
            "kubernetes.io": {
                "namespace": "robustness",
                "serviceaccount": {"name": "operator", "uid": account["metadata"]["uid"]},
            },
        }
        return signed(claims, self.world.layout.pki / "service-accounts.key")


_ACCOUNTS = "/api/v1/namespaces/robustness/serviceaccounts"


def _made(api, path: str, name: str) -> bool:
    return api.request("POST", path, {"metadata": {"name": name}}).status in (201, 409)


def signed(claims: dict[str, object], key: Path) -> str:
    """Return a JSON Web Token (ES256)."""
    private = serialization.load_pem_private_key(key.read_bytes(), None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    text = ".".join(_encoded(json.dumps(part).encode()) for part in ({"alg": "ES256", "typ": "JWT"}, claims))
    r, s = utils.decode_dss_signature(private.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{text}.{_encoded(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
