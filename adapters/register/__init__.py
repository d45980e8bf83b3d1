# SPDX-License-Identifier: Apache-2.0
"""Registered adapters: versions of descriptions, what answers now, and previews of mappings."""

from adapters.register.live import LiveServices
from adapters.register.model import (
    AdapterVersion,
    Change,
    ChangeKind,
    Event,
    EventKind,
    Plan,
    VersionState,
)
from adapters.register.observing import Loss, LossReason, MappedField
from adapters.register.preview import Preview, Refusal, Side, preview
from adapters.register.rules import FileService, Rules
from adapters.register.service import AdapterRegister
from adapters.register.store import VersionStore

__all__ = [
    "AdapterRegister",
    "AdapterVersion",
    "Change",
    "ChangeKind",
    "Event",
    "EventKind",
    "FileService",
    "LiveServices",
    "Loss",
    "LossReason",
    "MappedField",
    "Plan",
    "Preview",
    "Refusal",
    "Rules",
    "Side",
    "VersionState",
    "VersionStore",
    "preview",
]
