# SPDX-License-Identifier: Apache-2.0
"""One hub with its departments for all journeys of a test process."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.chromium import running_chromium
from tests.journeys.bureaus import Bureaus, running_bureaus
from tests.journeys.world import World, running_world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

    from tests.pki import ServedPki


@pytest.fixture(scope="session")
def world(pki: ServedPki, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running_world(tmp_path_factory.mktemp("world"), pki) as running:
        yield running


@pytest.fixture(scope="session")
def bureaus(world: World) -> Iterator[Bureaus]:
    with running_bureaus(world) as running:
        yield running


@pytest.fixture(scope="module")
def chromium(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """The browser; the hub is there first, for its fixtures run event loops of their own."""
    del world
    if shutil.which("chromium") is None:
        pytest.skip("chromium is not installed")
    with running_chromium(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser
