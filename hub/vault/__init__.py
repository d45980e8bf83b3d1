# SPDX-License-Identifier: Apache-2.0
"""The vault: containers as they passed the hub, by their digest."""

from hub.vault.service import Vault

__all__ = ["Vault"]
