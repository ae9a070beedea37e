"""The tools of the toolchain: their versions, where they are published and how they are built.

A *tool* is one executable that callers ask for. A *unit* is installed as a whole: the three Kubernetes servers come
from one build. Templates may use ``{version}``, ``{os}`` and ``{arch}`` (Go's names, "linux", "amd64").

There are no checksums of the vendors' files here: none could be confirmed with a second source, so the vendor's own
SHA-256 file, downloaded over TLS, decides. A digest in ``Download.sha256`` takes precedence over that file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

PULUMI_VERSION = "3.259.0"
"""Must equal the version of the ``pulumi`` Python package (pyproject.toml)."""

PLUGIN_VERSION = "4.25.0"
"""Must equal the version of the ``pulumi-kubernetes`` Python package (pyproject.toml)."""

LANGUAGE_HOST_VERSION = "3.77.1"
"""The last sdk/v3 module that contains the Python language host and the policy analyzer script (August 2023)."""

KUBERNETES_VERSION = "1.36.3"
GO_VERSION = "1.26"
"""The Go release that the recipes' go.mod files require. An older Go downloads it itself unless GOTOOLCHAIN=local."""

EXEC_SCRIPT = "pulumi-language-python-exec"
ANALYZER = "pulumi-analyzer-policy-python"
SDK_MODULE = "github.com/pulumi/pulumi/sdk/v3"
PROVIDER_MODULE = "github.com/pulumi/pulumi-kubernetes/provider/v4"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One executable. ``ask`` are the arguments that make it print its version; empty if it has none.

    ``pattern`` matches the version in that output; its first group is the bare version.
    """

    name: str
    ask: tuple[str, ...] = ()
    pattern: str = r"v?(\d+\.\d+\.\d+)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """One file of the vendor's release.

    ``members`` maps archive members to their places in the installed folder; ``place`` is that of a bare executable.
    ``sums`` is the URL of the vendor's SHA-256 digest (`Downloader.published_digest` lists the formats); ``sha256`` has
    digests by platform ("linux-amd64") that take precedence over it.
    """

    url: str
    sums: str
    sha256: Mapping[str, str] = field(default_factory=dict)
    members: Mapping[str, str] = field(default_factory=dict)
    place: str = ""
    systems: tuple[str, ...] = ("linux",)
    arch_names: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a unit is built from Go modules. ``folder`` is in ``recipes``; ``minutes`` were measured on 2 cores."""

    folder: str
    packages: tuple[str, ...]
    minutes: float
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """Tools that are installed together. ``places`` maps each tool to its executable in the installed folder.

    ``files`` are further files of a complete *built* installation. Raise ``revision`` if the recipe changes but the
    version does not: units cached with another revision are built again.
    """

    name: str
    version: str
    tools: tuple[Tool, ...]
    places: Mapping[str, str]
    recipe: Recipe
    files: tuple[str, ...] = ()
    downloads: tuple[Download, ...] = ()
    revision: int = 1


_K8S_SERVERS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
_K8S_MAJOR, _K8S_MINOR, _ = KUBERNETES_VERSION.split(".")
_VERSION_PACKAGE = "k8s.io/component-base/version"

PULUMI = Unit(
    name="pulumi",
    version=PULUMI_VERSION,
    tools=(Tool(name="pulumi", ask=("version",)),),
    places={"pulumi": "bin/pulumi"},
    recipe=Recipe(
        folder="pulumi",
        packages=("github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",),
        minutes=4,
        # Without this variable the version is empty and the Automation API refuses the CLI.
        variables={"github.com/pulumi/pulumi/sdk/v3/go/common/version.Version": f"v{PULUMI_VERSION}"},
    ),
    downloads=(
        Download(
            url="https://get.pulumi.com/releases/sdk/pulumi-v{version}-{os}-{arch}.tar.gz",
            sums="https://get.pulumi.com/releases/sdk/pulumi-{version}-checksums.txt",
            # The release's own language host stays beside pulumi, as in the archive: the engine finds it there.
            members={
                "pulumi/pulumi": "bin/pulumi",
                "pulumi/pulumi-language-python": "bin/pulumi-language-python",
                f"pulumi/{EXEC_SCRIPT}": f"bin/{EXEC_SCRIPT}",
            },
            systems=("linux", "darwin"),
            arch_names={"amd64": "x64"},
        ),
    ),
)

LANGUAGE = Unit(
    name="pulumi-language-python",
    # The exec script belongs to the Pulumi release: the unit changes with either version.
    version=f"{LANGUAGE_HOST_VERSION}+exec{PULUMI_VERSION}",
    tools=(Tool(name="pulumi-language-python"),),
    places={"pulumi-language-python": "host/pulumi-language-python"},
    files=(f"host/{EXEC_SCRIPT}", f"analyzer/{ANALYZER}"),
    recipe=Recipe(
        folder="pulumi-language-python",
        packages=("github.com/pulumi/pulumi/sdk/v3/python/cmd/pulumi-language-python",),
        minutes=0.5,
    ),
)

PLUGIN = Unit(
    name="pulumi-resource-kubernetes",
    version=PLUGIN_VERSION,
    tools=(Tool(name="pulumi-resource-kubernetes"),),
    places={"pulumi-resource-kubernetes": "bin/pulumi-resource-kubernetes"},
    recipe=Recipe(
        folder="pulumi-resource-kubernetes", packages=(".",), minutes=8, variables={"main.version": PLUGIN_VERSION}
    ),
    downloads=(
        Download(
            url="https://github.com/pulumi/pulumi-kubernetes/releases/download/v{version}"
            "/pulumi-resource-kubernetes-v{version}-{os}-{arch}.tar.gz",
            # GitHub's description of the release, which has the digests of its assets.
            sums="https://api.github.com/repos/pulumi/pulumi-kubernetes/releases/tags/v{version}",
            members={"pulumi-resource-kubernetes": "bin/pulumi-resource-kubernetes"},
            systems=("linux", "darwin"),
        ),
    ),
)

KUBERNETES = Unit(
    name="kubernetes",
    version=KUBERNETES_VERSION,
    tools=tuple(Tool(name=name, ask=("--version",)) for name in _K8S_SERVERS),
    places={name: f"bin/{name}" for name in _K8S_SERVERS},
    recipe=Recipe(
        folder="kubernetes",
        packages=tuple(f"k8s.io/kubernetes/cmd/{name}" for name in _K8S_SERVERS),
        minutes=5,
        # Without these the servers report v0.0.0 and clients misjudge their features.
        variables={
            f"{_VERSION_PACKAGE}.gitVersion": f"v{KUBERNETES_VERSION}",
            f"{_VERSION_PACKAGE}.gitMajor": _K8S_MAJOR,
            f"{_VERSION_PACKAGE}.gitMinor": _K8S_MINOR,
        },
    ),
    downloads=tuple(
        Download(
            url=f"https://dl.k8s.io/release/v{{version}}/bin/{{os}}/{{arch}}/{name}",
            sums=f"https://dl.k8s.io/release/v{{version}}/bin/{{os}}/{{arch}}/{name}.sha256",
            place=f"bin/{name}",
        )
        for name in _K8S_SERVERS
    ),
)

ETCD = Unit(
    name="etcd",
    version="3.6.16",
    tools=(Tool(name="etcd", ask=("--version",), pattern=r"etcd Version: (\S+)"),),
    places={"etcd": "bin/etcd"},
    recipe=Recipe(folder="etcd", packages=("go.etcd.io/etcd/server/v3",), minutes=1),
    downloads=(
        Download(
            url="https://github.com/etcd-io/etcd/releases/download/v{version}/etcd-v{version}-{os}-{arch}.tar.gz",
            sums="https://github.com/etcd-io/etcd/releases/download/v{version}/SHA256SUMS",
            members={"etcd-v{version}-{os}-{arch}/etcd": "bin/etcd"},
        ),
    ),
)

KWOK = Unit(
    name="kwok",
    version="0.7.0",
    tools=(Tool(name="kwok", ask=("--version",)),),
    places={"kwok": "bin/kwok"},
    recipe=Recipe(folder="kwok", packages=("sigs.k8s.io/kwok/cmd/kwok",), minutes=2),
    downloads=(
        Download(
            url="https://github.com/kubernetes-sigs/kwok/releases/download/v{version}/kwok-{os}-{arch}",
            sums="https://api.github.com/repos/kubernetes-sigs/kwok/releases/tags/v{version}",
            place="bin/kwok",
            systems=("linux", "darwin"),
        ),
    ),
)

HELM = Unit(
    name="helm",
    version="3.20.2",
    tools=(Tool(name="helm", ask=("version", "--short")),),
    places={"helm": "bin/helm"},
    recipe=Recipe(
        folder="helm",
        packages=("helm.sh/helm/v3/cmd/helm",),
        minutes=2,
        # The module itself only knows "v3.20".
        variables={"helm.sh/helm/v3/internal/version.version": "v3.20.2"},
    ),
    downloads=(
        Download(
            url="https://get.helm.sh/helm-v{version}-{os}-{arch}.tar.gz",
            sums="https://get.helm.sh/helm-v{version}-{os}-{arch}.tar.gz.sha256sum",
            members={"{os}-{arch}/helm": "bin/helm"},
            systems=("linux", "darwin"),
        ),
    ),
)

VERSITYGW = Unit(
    name="versitygw",
    version="1.8.0",
    tools=(Tool(name="versitygw"),),  # a build from its module does not know its version
    places={"versitygw": "bin/versitygw"},
    recipe=Recipe(folder="versitygw", packages=("github.com/versity/versitygw/cmd/versitygw",), minutes=2),
)
"""An S3 server over a folder, for tests of Pulumi's backend there. Nothing of gpuprov's starts it, so nothing but its
name installs it."""

ACTIONLINT = Unit(
    name="actionlint",
    version="1.7.12",
    tools=(Tool(name="actionlint", ask=("-version",)),),
    places={"actionlint": "bin/actionlint"},
    recipe=Recipe(folder="actionlint", packages=("github.com/rhysd/actionlint/cmd/actionlint",), minutes=0.2),
)
"""Checks workflows of GitHub Actions, for the tests of those that `gpuprov init --ci github` writes; as versitygw."""

# In the order of installation: what clusters need first, the longest build last.
UNITS = (ETCD, KUBERNETES, KWOK, PULUMI, LANGUAGE, HELM, PLUGIN)
ON_REQUEST = (VERSITYGW, ACTIONLINT)
TOOL_NAMES = tuple(tool.name for unit in UNITS for tool in unit.tools)
KNOWN_NAMES = (*TOOL_NAMES, *(tool.name for unit in ON_REQUEST for tool in unit.tools))
CLI_TOOLS = ("pulumi", "pulumi-language-python", "pulumi-resource-kubernetes")
CLUSTER_TOOLS = ("etcd", *_K8S_SERVERS, "kwok")


def unit_of(tool: str) -> Unit:
    """Return the unit that ``tool`` belongs to. Raises KeyError for an unknown tool."""
    for unit in (*UNITS, *ON_REQUEST):
        if tool in unit.places:
            return unit
    raise KeyError(tool)
