# SPDX-License-Identifier: Apache-2.0
"""One hub with its departments for all journeys of a test process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.journeys.bureaus import Bureaus, running_bureaus
from tests.journeys.world import World, running_world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.pki import ServedPki


@pytest.fixture(scope="session")
def world(pki: ServedPki, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running_world(tmp_path_factory.mktemp("world"), pki) as running:
        yield running


@pytest.fixture(scope="session")
def bureaus(world: World) -> Iterator[Bureaus]:
    with running_bureaus(world) as running:
        yield running
