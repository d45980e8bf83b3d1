# SPDX-License-Identifier: Apache-2.0
"""Messages for gateways that nobody can call: laid out by the hub, come for by the gateway, answered by it.

model       what is laid out, and what a gateway says that comes for it
store       the tables: what is laid out, who comes, which polls were used
waking      who waits in this process is woken; other processes look
courier     lays a message out and waits for its answer
desk        hands messages out and takes answers, each by its signature
routes      over HTTP
"""

from hub.collection.courier import CollectionCourier
from hub.collection.desk import CollectionDesk
from hub.collection.model import COLLECTIONS_PURPOSE, Handed, Poll
from hub.collection.routes import collection_routes
from hub.collection.waking import Waking

__all__ = [
    "COLLECTIONS_PURPOSE",
    "CollectionCourier",
    "CollectionDesk",
    "Handed",
    "Poll",
    "Waking",
    "collection_routes",
]
