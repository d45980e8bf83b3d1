# SPDX-License-Identifier: Apache-2.0
"""`heliograph trust`: whom to believe, and why."""

from __future__ import annotations

import typer

app = typer.Typer(help="Whom to believe: the trust list.", no_args_is_help=True)
lists = typer.Typer(help="The trust list: its versions, and their publication.", no_args_is_help=True)
app.add_typer(lists, name="list")
