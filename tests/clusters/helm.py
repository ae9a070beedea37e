"""Helm as a cluster's administrator runs it."""

import os
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from gpuprov import toolchain


def run_helm(kubeconfig: Path, *arguments: str, context: str = "") -> subprocess.CompletedProcess[str]:
    """Run Helm from the toolchain, in the kubeconfig's current context unless another is named.

    Its home is a new one: neither the settings nor the caches of whoever runs the tests count.
    """
    program = toolchain.ensure(("helm",)).binary("helm")
    where = ["--kubeconfig", str(kubeconfig), *(["--kube-context", context] if context else [])]
    with TemporaryDirectory() as home:
        return subprocess.run(
            [str(program), *arguments, *where],
            env={"HOME": home, "PATH": os.defpath},
            capture_output=True,
            text=True,
            check=False,
        )
