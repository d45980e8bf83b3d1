# SPDX-License-Identifier: Apache-2.0
"""What the hub and gateways say of themselves: metrics, traces, and lines of log."""

__all__: list[str] = []
