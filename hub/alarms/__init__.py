# SPDX-License-Identifier: Apache-2.0
"""What operators have to be told: raised once while it lasts, cleared when it is over."""

from hub.alarms.ports import AlarmSink, LoggedAlarms

__all__ = ["AlarmSink", "LoggedAlarms"]
