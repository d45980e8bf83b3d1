# SPDX-License-Identifier: Apache-2.0
"""What was made of messages, forgotten with them: nobody finds an erased message by what it said.

The row of an exchange stays: ids, digests, states, which the log has for good. The keys of a message go as a
whole with its first container that is erased; its other ones are of the same retention, and at most some
months younger.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.exchange.search_store import forget_keys
from hub.exchange.store import ids_of_containers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection


class ErasedSearchKeys:
    """Forgets business keys; a `hub.vault.ForgetsContainers`."""

    def forget(self, connection: Connection, digests: Sequence[str]) -> None:
        """Let no message whose request or answer is among the containers be found by a business key."""
        for message_id in ids_of_containers(connection, digests):
            forget_keys(connection, message_id)
