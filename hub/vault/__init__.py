# SPDX-License-Identifier: Apache-2.0
"""The vault: containers as they passed the hub, by their digest, encrypted at rest.

keyids      which data key encrypts what: one for each month and retention period
sealing     encrypting one thing under a data key
keyfolder   the data keys in a folder of their own, wrapped under the master key
store       encrypted containers, names of keys, erasures
service     keeping and reading
"""

from hub.vault.keyfolder import KeyFolder
from hub.vault.keyids import KeyId
from hub.vault.service import ContainerState, Vault

__all__ = ["ContainerState", "KeyFolder", "KeyId", "Vault"]
