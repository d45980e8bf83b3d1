# SPDX-License-Identifier: Apache-2.0
"""A gateway's console: where its administrators register adapters, on a port of its own.

settings        who administers, and how they show it
administrators  passwords and tokens checked
passwords       how a password is kept
workbench       what the API and the pages have in common
routes          the API, `/api/v1/adapters` and what belongs to it
app             the application: the API, its errors, and the pages
serving         the port, as long as the gateway runs
client          the API as commands use it
"""

from adapters.console.administrators import Administrator, Administrators
from adapters.console.settings import ConsoleSettings
from adapters.console.workbench import Workbench

__all__ = ["Administrator", "Administrators", "ConsoleSettings", "Workbench"]
