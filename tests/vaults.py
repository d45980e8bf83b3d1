# SPDX-License-Identifier: Apache-2.0
"""A vault of a test's own: a master key in memory, data keys in a folder."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hub.clock import SystemClock
from hub.custody.wrapping import FileWrappingKey
from hub.vault import KeyFolder, Vault

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine

    from hub.clock import Clock


def a_key_folder(path: Path) -> KeyFolder:
    """Return an empty folder of data keys under a new master key."""
    folder = KeyFolder(path, [FileWrappingKey(os.urandom(32))])
    folder.prepare()
    return folder


def a_vault(engine: Engine, path: Path, clock: Clock | None = None) -> Vault:
    """Return a vault over a database, with its data keys in `path`."""
    return Vault(engine, a_key_folder(path), clock or SystemClock(), default_retention="P10Y")
