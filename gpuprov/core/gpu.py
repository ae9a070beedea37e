"""GPU models and the programme's conversion between them, in whole numbers.

Awards are applied for in H100 and may be allocated in another model: 1 H100 = 4 A100 = 1 H200 (the programme's
conversion, 환산). The H100 side is what the rules check, the allocated side is what a quota carries.
"""

from __future__ import annotations

from enum import StrEnum

GPUS_PER_SERVER = 8
"""GPUs in one server of every supplier; track 2 is awarded by the server."""


class GpuModel(StrEnum):
    """A GPU model that the programme lends."""

    H100 = "H100"
    A100 = "A100"
    H200 = "H200"

    @property
    def per_h100(self) -> int:
        """GPUs of this model that count as one H100."""
        return _PER_H100[self]

    def gpus_for(self, h100: int) -> int:
        """Convert a quantity applied for in H100 to GPUs of this model; always exact."""
        return h100 * self.per_h100

    def h100_equivalents(self, gpus: int) -> int:
        """Convert GPUs of this model to whole H100: 3 A100 left over are worth no H100."""
        return gpus // self.per_h100


_PER_H100 = {GpuModel.H100: 1, GpuModel.A100: 4, GpuModel.H200: 1}
