# SPDX-License-Identifier: Apache-2.0
"""`heliograph adapters`: the adapters of a gateway."""

from __future__ import annotations

import typer

from hub.cli import trying

app = typer.Typer(help="Adapters: what speaks to a department's systems.", no_args_is_help=True)
app.command("test")(trying.try_out)
