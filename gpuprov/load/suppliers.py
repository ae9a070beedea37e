"""The cells that need the stacks' configuration: which supplier, and whether it has the GPU model."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from gpuprov.core.cluster import ProviderCluster
from gpuprov.i18n import tr
from gpuprov.load.cells import CellProblem, required_text
from gpuprov.load.text import clean

_COMPANY_FORMS = re.compile(r"\(주\)|\(유\)|주식회사|유한회사")
_LOOSE = re.compile(r"[\s_.\-]")


class Suppliers:
    """The suppliers whose clusters are configured, by every name that award lists use for them."""

    def __init__(self, clusters: Sequence[ProviderCluster]) -> None:
        known = ", ".join(" = ".join((cluster.provider, *cluster.aliases)) for cluster in clusters)
        self._known = known or tr("none")
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
            remedy = tr(
                "write one of the known ({suppliers}) or add an alias to a stack file",
                suppliers=self._known,
            )
            raise CellProblem(tr("is not a configured supplier"), remedy)
        if len(providers) > 1:
            names = ", ".join(sorted(providers))
            message = tr("is an alias of more than one supplier: {suppliers}", suppliers=names)
            raise CellProblem(message, tr("leave it under `aliases` in one of their stack files only"))
        return next(iter(providers))

    def check_pool(self, provider: str, wanted: str) -> None:
        """Raise CellProblem where this supplier has no GPUs of this model."""
        models = self._models[provider]
        if wanted not in models:
            message = tr(
                "{provider} has no {model}, only {models}",
                provider=provider,
                model=wanted,
                models=", ".join(sorted(models)),
            )
            raise CellProblem(message, tr("correct the model or the supplier, or add the pool to the stack file"))


def _name(text: str) -> str:
    folded = unicodedata.normalize("NFKC", clean(text)).casefold()
    return _LOOSE.sub("", _COMPANY_FORMS.sub("", folded))
