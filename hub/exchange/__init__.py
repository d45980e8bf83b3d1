# SPDX-License-Identifier: Apache-2.0
"""The exchange: every message takes the steps of `pipeline.py`, in that order, at once or from the outbox."""

from hub.exchange.archive import Archive
from hub.exchange.auditing import HubAudit
from hub.exchange.certificates import CERTIFICATES_PURPOSE, RegistrationService, WithdrawalService
from hub.exchange.deadletter_routes import dead_letter_routes
from hub.exchange.deadletters import DeadLetters, Preview, Replayed
from hub.exchange.delivery import RECEIPT_HEADER, HttpCourier
from hub.exchange.downloads import Tickets, answer_outcome, send_container
from hub.exchange.forgetting import ErasedSearchKeys
from hub.exchange.held import HeldMessages
from hub.exchange.interruptions import Interruptions
from hub.exchange.largedelivery import (
    COMPLETE_HEADER,
    LENGTH_HEADER,
    OFFSET_HEADER,
    PART_MEDIA_TYPE,
    TICKET_HEADER,
    LargeDelivery,
)
from hub.exchange.model import (
    Arrived,
    ExchangeRecord,
    ExchangeState,
    Identified,
    Opened,
    Outcome,
    Signed,
)
from hub.exchange.outbox_routes import delivery_routes
from hub.exchange.outcomes import OUTCOMES_PURPOSE, OutcomeService
from hub.exchange.own import OwnAnswer, OwnCourier, OwnService, own_right, own_service
from hub.exchange.own_revocation import OwnAnswers
from hub.exchange.pipeline import Pipeline
from hub.exchange.ports import Courier
from hub.exchange.reading_routes import readings_routes
from hub.exchange.readings import Reading, Readings, What
from hub.exchange.recorder import EARLIER_RECEIPT_NAME, Recorder
from hub.exchange.reindexing import Reindexed, Reindexer
from hub.exchange.revocation import AnswerName, Belief, RevocationAnswers
from hub.exchange.routes import exchange_routes, read_body
from hub.exchange.search_store import forget_keys
from hub.exchange.searching import Found, Search
from hub.exchange.searchkeys import SearchKeys
from hub.exchange.streams import in_threads, surely, take_all
from hub.exchange.watching import Seen, Traffic
from hub.exchange.worker import DeliveryWorker

__all__ = [
    "CERTIFICATES_PURPOSE",
    "COMPLETE_HEADER",
    "EARLIER_RECEIPT_NAME",
    "LENGTH_HEADER",
    "OFFSET_HEADER",
    "OUTCOMES_PURPOSE",
    "PART_MEDIA_TYPE",
    "RECEIPT_HEADER",
    "TICKET_HEADER",
    "AnswerName",
    "Archive",
    "Arrived",
    "Belief",
    "Courier",
    "DeadLetters",
    "DeliveryWorker",
    "ErasedSearchKeys",
    "ExchangeRecord",
    "ExchangeState",
    "Found",
    "HeldMessages",
    "HttpCourier",
    "HubAudit",
    "Identified",
    "Interruptions",
    "LargeDelivery",
    "Opened",
    "Outcome",
    "OutcomeService",
    "OwnAnswer",
    "OwnAnswers",
    "OwnCourier",
    "OwnService",
    "Pipeline",
    "Preview",
    "Reading",
    "Readings",
    "Recorder",
    "RegistrationService",
    "Reindexed",
    "Reindexer",
    "Replayed",
    "RevocationAnswers",
    "Search",
    "SearchKeys",
    "Seen",
    "Signed",
    "Tickets",
    "Traffic",
    "What",
    "WithdrawalService",
    "answer_outcome",
    "dead_letter_routes",
    "delivery_routes",
    "exchange_routes",
    "forget_keys",
    "in_threads",
    "own_right",
    "own_service",
    "read_body",
    "readings_routes",
    "send_container",
    "surely",
    "take_all",
]
