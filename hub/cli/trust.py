# SPDX-License-Identifier: Apache-2.0
"""`heliograph trust`: whom to believe, and why."""

from __future__ import annotations

import typer

from hub.cli.explaining import explain
from hub.cli.trustlists import lists

app = typer.Typer(help="Whom to believe, and why.", no_args_is_help=True)
app.add_typer(lists, name="list")
app.command()(explain)
