"""The cells that need the stacks' configuration: which supplier, and whether it has the GPU model."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from gpuprov.core.cluster import ProviderCluster
from gpuprov.load.cells import CellProblem, required_text
from gpuprov.load.text import clean

_COMPANY_FORMS = re.compile(r"\(주\)|\(유\)|주식회사|유한회사")
_LOOSE = re.compile(r"[\s_.\-]")


class Suppliers:
    """The suppliers whose clusters are configured, by every name that award lists use for them."""

    def __init__(self, clusters: Sequence[ProviderCluster]) -> None:
        self._known = ", ".join(" = ".join((cluster.provider, *cluster.aliases)) for cluster in clusters) or "none"
        self._models: dict[str, set[str]] = {}
        self._providers: dict[str, set[str]] = {}
        for cluster in clusters:
            self._models.setdefault(cluster.provider, set()).update(pool.model for pool in cluster.pools)
            for name in filter(None, map(_name, (cluster.provider, *cluster.aliases))):
                self._providers.setdefault(name, set()).add(cluster.provider)

    def provider(self, value: object) -> str:
        """Return the provider cluster's name. Case, spaces, hyphens and company forms such as (주) do not count."""
        supplier = required_text(value)
        providers = self._providers.get(_name(supplier), set())
        if not providers:
            raise CellProblem("is not a configured supplier", f"write one of the known ({self._known}) or add an alias")
        if len(providers) > 1:
            names = ", ".join(sorted(providers))
            raise CellProblem(f"is an alias of more than one supplier: {names}", "correct the stacks' aliases")
        return next(iter(providers))

    def check_pool(self, provider: str, wanted: str) -> None:
        """Raise CellProblem where this supplier has no GPUs of this model."""
        models = self._models[provider]
        if wanted not in models:
            raise CellProblem(
                f"{provider} has no {wanted}, only {', '.join(sorted(models))}",
                "correct the model or the supplier, or configure the pool",
            )


def _name(text: str) -> str:
    folded = unicodedata.normalize("NFKC", clean(text)).casefold()
    return _LOOSE.sub("", _COMPANY_FORMS.sub("", folded))
