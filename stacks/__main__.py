"""The program that `pulumi up` runs: the same declaration as `gpuprov up`, for the selected stack."""

from functools import partial
from pathlib import Path

import pulumi

from gpuprov.program import declare
from gpuprov.run import byhand

what = byhand.decide(Path(__file__).parent.parent, pulumi.get_stack())
pulumi.run(partial(declare, what.cluster, what.tenants, what.cluster_uid, access=what.access))
