"""Where the data is that comes with gpuprov: programmes, templates, the chart, the policy pack, the stacks' program.

A wheel has all of it inside of the package (`hatch_build.py`). In a checkout, also an editable one, the last three stay
beside the package, where people look for them.
"""

from __future__ import annotations

from pathlib import Path

DEFAULT_PROGRAMME = "2026-h1"
"""The programme that holds where a project names none."""

_PACKAGE = Path(__file__).parent.parent


def packaged(path: str) -> Path:
    """Return a file or folder that comes with gpuprov, by its path from the package or from the repository."""
    inside = _PACKAGE / path
    return inside if inside.exists() else _PACKAGE.parent / path


def programmes() -> dict[str, Path]:
    """Return the programme files that come with gpuprov, by their names."""
    return {path.stem: path for path in sorted(packaged("programmes").glob("*.yaml"))}
