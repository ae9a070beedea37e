"""The program that `pulumi up` runs: the same declaration as the command line's, for the selected stack."""

from pathlib import Path

import pulumi

from gpuprov.run import byhand

pulumi.run(byhand.program(Path(__file__).parent.parent, pulumi.get_stack()))
