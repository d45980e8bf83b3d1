# SPDX-License-Identifier: Apache-2.0
"""Fixtures every test folder may use."""

from tests.mariadb import mariadb
from tests.pki import pki
from tests.postgresql import copies, database_url, postgresql, postgresql_url
from tests.s3 import s3
from tests.softhsm import softhsm

__all__ = ["copies", "database_url", "mariadb", "pki", "postgresql", "postgresql_url", "s3", "softhsm"]
