"""The certificates of one cluster: they identify its servers and clients.

Each cluster has two authorities. The cluster's own signs the API server and its clients, so that a supplier's
credentials are worthless on another supplier's cluster. The other is for etcd only: etcd has no permissions and admits
everybody with a certificate of its authority, which must not be every client of the cluster.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gpuprov.sandbox.files import private_folder, remove_tree, write_private

VALID = dt.timedelta(days=365)
SERVER_NAMES = (
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)
SERVER_ADDRESSES = ("127.0.0.1", "10.0.0.1")
IDENTITIES = {
    "admin": ("sandbox-admin", "system:masters"),
    "gpuprov": ("gpuprov", "gpuprov-operators"),
    "kube-controller-manager": ("system:kube-controller-manager", None),
    "kube-scheduler": ("system:kube-scheduler", None),
    "kwok": ("system:kwok-controller", None),
}
"""Client certificates: the user (common name) and group (organisation) that each identifies."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes


class Authority:
    """A certificate authority that exists as long as this object: its key is never written to disk."""

    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = _builder(self._name, self._name, self._key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_usage(authority=True), critical=True)
        builder = builder.add_extension(self._subject_id(), critical=False)
        self.certificate = _pem(builder.sign(self._key, hashes.SHA256()))

    def server(self, name: str, *, also_client: bool = False) -> Pair:
        """Issue a certificate for a server on this machine's loopback interface."""
        names = [x509.DNSName(entry) for entry in SERVER_NAMES]
        addresses = [x509.IPAddress(ipaddress.ip_address(entry)) for entry in SERVER_ADDRESSES]
        usages = [ExtendedKeyUsageOID.SERVER_AUTH]
        if also_client:
            usages.append(ExtendedKeyUsageOID.CLIENT_AUTH)
        return self._issue(_subject(name, None), usages, x509.SubjectAlternativeName([*names, *addresses]))

    def client(self, user: str, group: str | None = None, *, valid: dt.timedelta = VALID) -> Pair:
        """Issue a client certificate for ``user``, in ``group`` if given, that expires after ``valid``."""
        return self._issue(_subject(user, group), [ExtendedKeyUsageOID.CLIENT_AUTH], None, valid)

    def _subject_id(self) -> x509.SubjectKeyIdentifier:
        return x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())

    def _issue(
        self,
        subject: x509.Name,
        usages: Sequence[x509.ObjectIdentifier],
        names: x509.SubjectAlternativeName | None,
        valid: dt.timedelta = VALID,
    ) -> Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(subject, self._name, key.public_key(), valid)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_usage(authority=False), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(self._subject_id())
        builder = builder.add_extension(issuer, critical=False)
        if names is not None:
            builder = builder.add_extension(names, critical=False)
        return Pair(_pem(builder.sign(self._key, hashes.SHA256())), private_pem(key))


def make_pki(folder: Path, cluster: str) -> None:
    """Write all keys and certificates of one cluster to ``folder``, unless it exists.

    They are written to a scratch folder, which is renamed at the end: if ``folder`` exists, it is complete.
    """
    if folder.is_dir():
        return
    scratch = folder.with_name(folder.name + ".new")
    remove_tree(scratch)
    private_folder(scratch)
    ca = Authority(f"gpuprov sandbox {cluster}")
    etcd_ca = Authority(f"gpuprov sandbox {cluster} etcd")
    pairs = {name: ca.client(*identity) for name, identity in IDENTITIES.items()}
    pairs |= {f"{name}-server": ca.server(name) for name in ("kube-apiserver", *_HEALTH_SERVERS)}
    pairs |= {"etcd-server": etcd_ca.server("etcd", also_client=True)}  # it is a client of its own peer port
    pairs |= {"etcd-client": etcd_ca.client("kube-apiserver")}
    for name, pair in pairs.items():
        write_private(scratch / f"{name}.crt", pair.certificate)
        write_private(scratch / f"{name}.key", pair.key)
    write_private(scratch / "ca.crt", ca.certificate)
    write_private(scratch / "etcd-ca.crt", etcd_ca.certificate)
    tokens = ec.generate_private_key(ec.SECP256R1())
    write_private(scratch / "service-accounts.key", private_pem(tokens))
    write_private(scratch / "service-accounts.pub", _public_pem(tokens.public_key()))
    scratch.rename(folder)


_HEALTH_SERVERS = ("kube-controller-manager", "kube-scheduler")


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Encode a private key in the format that Kubernetes and etcd read."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


def _public_pem(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _subject(user: str, group: str | None) -> x509.Name:
    organisation = [] if group is None else [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group)]
    return x509.Name([*organisation, x509.NameAttribute(NameOID.COMMON_NAME, user)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, valid: dt.timedelta = VALID
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + valid)
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
