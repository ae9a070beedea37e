"""The cells that need the stacks' configuration: which supplier, which GPU model, and whether one has the other."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from gpuprov.core.cluster import ProviderCluster
from gpuprov.core.gpu import GpuModel
from gpuprov.load.cells import CellProblem, required_text
from gpuprov.load.text import clean, key

_COMPANY_FORMS = re.compile(r"\(주\)|\(유\)|주식회사|유한회사")
_LOOSE = re.compile(r"[\s_.\-]")
_MODEL = re.compile(
    rf"(?:nvidia)?(?:tesla|hgx|dgx)?({'|'.join(GpuModel).lower()})"
    r"(?:sxm[0-9]?|pcie|nvl|hbm[0-9]e?|tensorcore|gpu|(?:40|64|80|94|96|141)gb?)*"
)
"""A model with the words that data sheets put around it. A memory size of a MIG slice (1g.5gb) does not fit."""


def model(value: object) -> GpuModel:
    """Return the GPU model from H100, NVIDIA H100 80GB, NVIDIA-A100-SXM4-40GB and the like."""
    found = required_text(value)
    match = _MODEL.fullmatch(key(found))
    if match is None:
        raise CellProblem("is no GPU model of the programme", f"write one of {', '.join(GpuModel)}")
    return GpuModel(match[1].upper())


class Suppliers:
    """The suppliers whose clusters are configured, by every name that award lists use for them."""

    def __init__(self, clusters: Sequence[ProviderCluster]) -> None:
        self._known = ", ".join(" = ".join((cluster.provider, *cluster.aliases)) for cluster in clusters) or "none"
        self._models: dict[str, set[GpuModel]] = {}
        self._providers: dict[str, set[str]] = {}
        for cluster in clusters:
            self._models.setdefault(cluster.provider, set()).update(pool.model for pool in cluster.pools)
            for name in filter(None, map(_name, (cluster.provider, *cluster.aliases))):
                self._providers.setdefault(name, set()).add(cluster.provider)

    def provider(self, value: object) -> str:
        """Return the provider cluster's name. Case, spaces, hyphens and company forms such as (주) do not count."""
        found = required_text(value)
        providers = self._providers.get(_name(found), set())
        if not providers:
            raise CellProblem("is not a configured supplier", f"write one of the known ({self._known}) or add an alias")
        if len(providers) > 1:
            names = ", ".join(sorted(providers))
            raise CellProblem(f"is an alias of more than one supplier: {names}", "correct the stacks' aliases")
        return next(iter(providers))

    def check_pool(self, provider: str, wanted: GpuModel) -> None:
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
