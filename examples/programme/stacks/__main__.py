"""The program that `pulumi up` runs: gpuprov's own, for the selected stack."""

from gpuprov.run.byhand import main

main()
