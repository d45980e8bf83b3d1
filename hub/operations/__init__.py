# SPDX-License-Identifier: Apache-2.0
"""How partners and flows fare: success, latency, silence."""

__all__: list[str] = []
