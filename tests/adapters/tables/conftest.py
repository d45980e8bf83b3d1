# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.adapters.tables.departments import ENGINES, department_database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.adapters.tables.departments import DepartmentDatabase


@pytest.fixture(params=ENGINES)
def department(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DepartmentDatabase]:
    """A department's database on each engine."""
    engine: str = request.param
    postgresql = request.getfixturevalue("postgresql") if engine == "postgresql" else None
    mariadb = request.getfixturevalue("mariadb") if engine == "mariadb" else None
    with department_database(engine, tmp_path, postgresql, mariadb) as database:
        yield database
