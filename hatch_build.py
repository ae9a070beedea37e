"""Puts what `gpuprov/load/packaged.py` looks for into the wheel. An editable install finds it in the repository."""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_OUTSIDE = {
    "charts": "gpuprov/charts",
    "policies/PulumiPolicy.yaml": "gpuprov/policies/PulumiPolicy.yaml",
    "policies/__main__.py": "gpuprov/policies/__main__.py",
    "policies/given.py": "gpuprov/policies/given.py",
    "policies/pulumi-analyzer-policy-gpuprov": "gpuprov/policies/pulumi-analyzer-policy-gpuprov",
    "policies/requirements.txt": "gpuprov/policies/requirements.txt",
    "policies/setup": "gpuprov/policies/setup",
    "stacks/__main__.py": "gpuprov/stacks/__main__.py",
}


class BuildHook(BuildHookInterface[Any]):
    """Called by hatch for each build."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the files to ``build_data``; ``version`` is ``editable`` for an editable install."""
        if version != "editable":
            build_data["force_include"].update(_OUTSIDE)
