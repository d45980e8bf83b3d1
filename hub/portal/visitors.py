# SPDX-License-Identifier: Apache-2.0
"""Who may open what: the groups of roles that pages name."""

from __future__ import annotations

from hub.accounts import Role

AUDITORS = frozenset({Role.AUDITOR})
"""Who reads what is in messages."""
OPERATORS = frozenset({Role.OPERATOR})
"""Who keeps messages moving: sees where each one stands, never what is in it."""
WATCHERS = AUDITORS | OPERATORS
"""Who may see how messages fare."""
CARERS = frozenset({Role.OPERATOR, Role.ADMINISTRATOR})
"""Who may say that they take care of an alarm."""
KEEPERS = AUDITORS | CARERS
"""Who looks after the log, and may sign in at all."""
