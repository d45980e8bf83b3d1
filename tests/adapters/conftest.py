# SPDX-License-Identifier: Apache-2.0
"""The stand-ins, started once for all tests that need them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.adapters.running import running_stand_ins

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.adapters.running import RunningStandIns


@pytest.fixture(scope="session")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStandIns]:
    with running_stand_ins(tmp_path_factory.mktemp("stand-ins")) as running:
        yield running
