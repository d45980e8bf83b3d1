# SPDX-License-Identifier: Apache-2.0
"""The vault: containers as they passed the hub, by their digest, encrypted at rest.

keyids      which data key encrypts what: one for each month and retention period
sealing     encrypting one thing under a data key
keyfolder   the data keys in a folder of their own, wrapped under the master key
largefiles, largestore
            containers too large for the database, in files of the data folder
incoming    writing one as it comes in, every byte held to what was announced
store       encrypted containers, names of keys, erasures
service     keeping and reading
holds       what must not be erased although its time is over
erasure     destroying a key, on record
archivefiles, places, archivestore, archiving
            moving a month into files that verify for themselves, on a disk or in an object store
upkeep      what is done from time to time
"""

from hub.vault.archivefiles import verify_archive
from hub.vault.archivestore import ArchiveRow
from hub.vault.archiving import Archiver, ArchiveReport
from hub.vault.erasure import ErasableKey, Eraser, ForgetsContainers
from hub.vault.holds import Hold, Holdings, HoldKind, Holds
from hub.vault.incoming import Incomer, Incoming
from hub.vault.keyfolder import KeyFolder
from hub.vault.keyids import KeyId
from hub.vault.largefiles import PIECE_BYTES, FileWriter, LargeFiles
from hub.vault.places import ArchivePlaces, S3Access
from hub.vault.routes import vault_routes
from hub.vault.service import ContainerState, Vault
from hub.vault.upkeep import VaultUpkeep

__all__ = [
    "PIECE_BYTES",
    "ArchivePlaces",
    "ArchiveReport",
    "ArchiveRow",
    "Archiver",
    "ContainerState",
    "ErasableKey",
    "Eraser",
    "FileWriter",
    "ForgetsContainers",
    "Hold",
    "HoldKind",
    "Holdings",
    "Holds",
    "Incomer",
    "Incoming",
    "KeyFolder",
    "KeyId",
    "LargeFiles",
    "S3Access",
    "Vault",
    "VaultUpkeep",
    "vault_routes",
    "verify_archive",
]
