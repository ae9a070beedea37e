"""Where the tools are, and the PATH that Pulumi needs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from gpuprov.errors import ToolchainError
from gpuprov.toolchain.lookup import LANGUAGE_HOST, Found
from gpuprov.toolchain.pins import ANALYZER, CLI_TOOLS


class Installed:
    """The tools that `ensure` provided."""

    def __init__(self, tools: Iterable[Found]) -> None:
        self._tools = {tool.tool: tool for tool in tools}

    def __iter__(self) -> Iterator[Found]:
        return iter(self._tools.values())

    def binary(self, name: str) -> Path:
        """Return the executable of a tool. Raises ToolchainError if `ensure` was not asked for it."""
        if name not in self._tools:
            raise ToolchainError(f"{name} was not asked for; there are: {', '.join(self._tools)}")
        return self._tools[name].path

    def path_for_cli(self) -> str:
        """Return the folders to put before PATH for the Automation API: pulumi, its plugin and the analyzer script.

        The language host that we build (sdk 3.77.1) is left out: if the engine finds it, it runs policy packs with it
        and fails, because that host ignores the request's program folder; without it the engine uses the analyzer
        script. Pulumi's release has a newer host beside pulumi, which runs policy packs without the script.
        """
        return os.pathsep.join(self._cli_folders())

    def path_for_hand(self) -> str:
        """Return the folders to put before PATH for a manual `pulumi up`: those of the CLI and the language host."""
        folders = [*self._cli_folders(), str(self.binary(LANGUAGE_HOST).parent)]
        return os.pathsep.join(dict.fromkeys(folders))

    def _cli_folders(self) -> list[str]:
        pulumi, host, plugin = (self.binary(name) for name in CLI_TOOLS)
        folders = [pulumi.parent, plugin.parent]
        analyzer = host.parent.parent / "analyzer" / ANALYZER
        if analyzer.is_file():
            folders.append(analyzer.parent)
        return list(dict.fromkeys(str(folder) for folder in folders))
