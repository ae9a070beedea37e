"""`python -m gpuprov` is the command line."""

from gpuprov.cli import main

main(prog_name="gpuprov")
