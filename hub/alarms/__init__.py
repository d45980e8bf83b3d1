# SPDX-License-Identifier: Apache-2.0
"""What operators have to be told: raised once while it lasts, cleared when it is over.

Gateways and commands use the small part alone, so the part with a database and routes is loaded on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from hub.alarms.model import Alarm, AlarmKind, Severity, alarm_kinds
from hub.alarms.ports import AlarmSink, LoggedAlarms

if TYPE_CHECKING:
    from hub.alarms.routes import alarm_routes
    from hub.alarms.service import Alarms

_LOADED_ON_USE = {"Alarms": "hub.alarms.service", "alarm_routes": "hub.alarms.routes"}

__all__ = [
    "Alarm",
    "AlarmKind",
    "AlarmSink",
    "Alarms",
    "LoggedAlarms",
    "Severity",
    "alarm_kinds",
    "alarm_routes",
]


def __getattr__(name: str) -> object:
    if name not in _LOADED_ON_USE:
        raise AttributeError(name)
    return getattr(import_module(_LOADED_ON_USE[name]), name)
