# SPDX-License-Identifier: Apache-2.0
"""Who takes part: members, their subsystems and services, and who may use what for which purpose.

Nothing is allowed that is not granted. Every change is recorded with who made it.
"""

from hub.registry.certificates import Fingerprint, RegisteredCertificate, fingerprint_of, read_certificate
from hub.registry.desk import CertificateDesk, Registration
from hub.registry.desk_routes import certificate_routes, view_registration
from hub.registry.model import (
    ENTRY_TYPES,
    AccessRight,
    AccessRightId,
    Action,
    Change,
    DeliveryPolicy,
    Member,
    MemberStatus,
    RecordedChange,
    RegistryEntry,
    Service,
    Snapshot,
    Subscription,
    SubscriptionId,
    Subsystem,
    Title,
)
from hub.registry.recipient_routes import encryption_routes
from hub.registry.routes import registry_routes
from hub.registry.rules import authorise
from hub.registry.schemas import load_registry_file
from hub.registry.service import Registry
from hub.registry.upkeep import CertificateUpkeep, plan_own_roll_over
from hub.registry.watching import certificates_to_watch

__all__ = [
    "ENTRY_TYPES",
    "AccessRight",
    "AccessRightId",
    "Action",
    "CertificateDesk",
    "CertificateUpkeep",
    "Change",
    "DeliveryPolicy",
    "Fingerprint",
    "Member",
    "MemberStatus",
    "RecordedChange",
    "RegisteredCertificate",
    "Registration",
    "Registry",
    "RegistryEntry",
    "Service",
    "Snapshot",
    "Subscription",
    "SubscriptionId",
    "Subsystem",
    "Title",
    "authorise",
    "certificate_routes",
    "certificates_to_watch",
    "encryption_routes",
    "fingerprint_of",
    "load_registry_file",
    "plan_own_roll_over",
    "read_certificate",
    "registry_routes",
    "view_registration",
]
