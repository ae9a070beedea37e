"""The options that `forfeit` and `reduce` share; their work is in `changing`."""

from __future__ import annotations

import click

from gpuprov.i18n import shown, tr


def _not_empty(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if not value.strip():
        raise click.BadParameter(shown(tr("must not be empty")), ctx, param)
    return value


reason_option = click.option(
    "--reason", required=True, callback=_not_empty, help="The reason, in words that an auditor understands."
)


def _user() -> str:
    from gpuprov.kube import holders

    return holders.user()


by_option = click.option("--by", default=_user, callback=_not_empty, show_default="your user name", help="Who decided.")
