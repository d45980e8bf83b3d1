# SPDX-License-Identifier: Apache-2.0
"""Connections: TLS with certificates on both sides, limits on requests, headers of answers."""

__all__: list[str] = []
