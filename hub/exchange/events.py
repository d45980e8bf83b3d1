# SPDX-License-Identifier: Apache-2.0
"""Events: who may tell of something, and who is told.

Source: docs/protocols/exchange.md section 12.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from hub.clock import day_in_china
from hub.errors import AccessError, ExchangeError, RegistryError
from hub.identifiers import subsystem_of

if TYPE_CHECKING:
    from datetime import datetime

    from hub.envelope import Header
    from hub.identifiers import SubsystemId
    from hub.registry import Registry, Service, Subscription

_logger = structlog.get_logger(__name__)


def require_owner(header: Header, registry: Registry, hub: SubsystemId) -> Service:
    """Return the service an event is of; only its own subsystem tells of it, and it tells the hub.

    Raises:
        AccessError: `access.service_not_owned`.
        ExchangeError: `exchange.wrong_recipient`: it is not sent to the hub.
        RegistryError: service or sender are unknown, or do not take part.
    """
    if header.service is None:
        raise ExchangeError("exchange.not_for_us", "an event of no service")
    registry.require_subsystem(header.sender)
    service = registry.require_service(header.service)
    if subsystem_of(header.service) != header.sender:
        raise AccessError("access.service_not_owned", f"{header.sender} tells of {header.service}")
    if header.recipient != hub:
        raise ExchangeError("exchange.wrong_recipient", f"{header.recipient} for an event")
    return service


def subscriptions_of(header: Header, registry: Registry, at: datetime) -> tuple[Subscription, ...]:
    """Return by which subscriptions an event is sent; who has lost the right to it is left out.

    Args:
        header: the event's.
        registry: what is subscribed, and who may have it.
        at: UTC; a subscription and a right hold on the day this is in China.
    """
    if header.service is None or header.topic is None:
        return ()
    wanted = registry.subscriptions_to(header.service, header.topic, day_in_china(at))
    return tuple(each for each in wanted if _may_have(each, header, registry, at))


def subscription_for(
    header: Header, subscriber: SubsystemId, registry: Registry, at: datetime
) -> Subscription:
    """Return the subscription by which one subscriber is sent an event now.

    Raises:
        AccessError: `access.service_not_granted`: it has none any more, or no right.
    """
    for each in subscriptions_of(header, registry, at):
        if each.subscriber == subscriber:
            return each
    raise AccessError("access.service_not_granted", f"{subscriber} is not sent {header.service} any more")


def _may_have(subscription: Subscription, header: Header, registry: Registry, at: datetime) -> bool:
    if header.purpose is None:
        return False
    item, on = header.purpose.item, day_in_china(at)
    try:
        registry.authorise(subscription.subscriber, subscription.service, item, on)
    except (AccessError, RegistryError) as error:
        _logger.warning(
            "events.subscriber_left_out",
            message_id=header.id,
            subscription=subscription.id,
            code=error.code,
            detail=error.detail,
        )
        return False
    return True
