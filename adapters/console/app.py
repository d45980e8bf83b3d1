# SPDX-License-Identifier: Apache-2.0
"""The console's application: its API, and its errors as problem documents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI

from adapters.console.problems import status_of
from adapters.console.routes import build_router
from hub.errors import AdapterError
from hub.problems import install_problems

if TYPE_CHECKING:
    from adapters.console.workbench import Workbench


def build_console_app(bench: Workbench) -> FastAPI:
    """Return what the console's port serves."""
    app = FastAPI(title="Heliograph gateway console", docs_url=None, redoc_url=None, openapi_url=None)
    failure = AdapterError("adapter.system_fault", "the console failed")
    install_problems(app, status=status_of, failure=failure)
    app.include_router(build_router(bench))
    return app
