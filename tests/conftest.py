# SPDX-License-Identifier: Apache-2.0
"""Fixtures every test folder may use."""

from tests.pki import pki
from tests.softhsm import softhsm

__all__ = ["pki", "softhsm"]
