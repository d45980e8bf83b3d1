# SPDX-License-Identifier: Apache-2.0
"""Fixtures every test folder may use."""

from tests.pki import pki

__all__ = ["pki"]
