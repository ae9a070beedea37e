"""The program that `pulumi up` runs: the same declaration as `gpuprov up`, for the selected stack."""

from pathlib import Path

import pulumi

from gpuprov.program import declare
from gpuprov.run import byhand

decision = byhand.decide(Path(__file__).parent.parent, pulumi.get_stack())
declare(decision.cluster, decision.tenants, decision.cluster_uid)
