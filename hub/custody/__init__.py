# SPDX-License-Identifier: Apache-2.0
"""Whose private keys sign here, and where they are kept: encrypted files or PKCS#11 tokens."""

__all__: list[str] = []
