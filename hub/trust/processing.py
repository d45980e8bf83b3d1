# SPDX-License-Identifier: Apache-2.0
"""Path validation: every check of a certificate and its path, in order, on one page.

The state of RFC 5280 section 6.1.2 is worked out from the root down before any check reads it (`walk`); it is
what the certificates say, right or wrong. The checks then judge. So each check stands alone, an explanation
can make them all, and what costs time is done after the signatures were found to hold.

Source: RFC 5280 section 6.1; RFC 9618 (policies); RFC 5937 (what a root says of itself limits it too).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.clock import format_instant
from hub.trust import nameconstraints, policies, rules
from hub.trust.algorithms import is_signed_by
from hub.trust.checks import Check, Of, PathState, Place
from hub.trust.description import title_of
from hub.trust.policies import ANY_POLICY

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hub.trust.checks import Question
    from hub.trust.contents import Contents
    from hub.trust.nameconstraints import ConstrainedName, NameConstraints


def check_signature(place: Place) -> None:
    """6.1.3 (a)(1): the key of the certificate above made the signature."""
    allowed = place.question.policy.algorithms
    if not is_signed_by(place.contents.certificate, place.issuer.certificate, allowed):
        raise place.refuse("not_signed_by_issuer", **_issuer(place))


def check_name_chaining(place: Place) -> None:
    """6.1.3 (a)(4): the issuer named is the subject of the certificate above."""
    if place.contents.issuer != place.issuer.subject:
        raise place.refuse("issuer_name_differs", **_issuer(place))


def check_authority(place: Place) -> None:
    """6.1.4 (k): an authority's certificate says that it is one; a root may leave it to the trust list."""
    if place.contents.is_authority is False or (place.contents.is_authority is None and not place.is_root):
        raise place.refuse("not_an_authority")


def check_certificate_signing(place: Place) -> None:
    """6.1.4 (n): the key may sign certificates."""
    usage = place.contents.key_usage
    if usage is not None and not usage.key_cert_sign:
        raise place.refuse("may_not_sign_certificates")


def check_path_length(place: Place) -> None:
    """6.1.4 (l): no more authorities than those above allow."""
    if not place.is_root and not place.contents.is_self_issued and place.known.room <= 0:
        raise place.refuse("path_too_long")


def check_critical_extensions(place: Place) -> None:
    """6.1.4 (o) and 6.1.5 (f): no critical extension is passed over."""
    if place.contents.unknown_critical:
        oids = ", ".join(oid.dotted_string for oid in place.contents.unknown_critical)
        raise place.refuse("unknown_critical_extension", extensions=oids)


def check_names_understood(place: Place) -> None:
    """4.2.1.10: a name of a form that is constrained above is understood, or refused."""
    name = _first(nameconstraints.not_understood, place)
    if name:
        raise place.refuse("name_not_understood", name=name.words, form=name.form)


def check_names_permitted(place: Place) -> None:
    """6.1.3 (b): every name is in a subtree that everybody above permits."""
    name = _first(nameconstraints.not_permitted, place)
    if name:
        raise place.refuse("name_not_permitted", name=name.words, form=name.form)


def check_names_not_excluded(place: Place) -> None:
    """6.1.3 (c): no name is in a subtree that somebody above excludes."""
    name = _first(nameconstraints.excluded, place)
    if name:
        raise place.refuse("name_excluded", name=name.words, form=name.form)


def check_mappings(place: Place) -> None:
    """6.1.4 (a): anyPolicy is neither mapped nor mapped to."""
    if not place.is_root and any(ANY_POLICY in pair for pair in place.contents.mappings):
        raise place.refuse("any_policy_mapped")


def check_policies(place: Place) -> None:
    """6.1.3 (f): a policy is valid, or none is required yet."""
    if not place.known.policies.is_acceptable:
        raise place.refuse("no_valid_policy")


def check_policies_wanted(place: Place) -> None:
    """6.1.5 (g): one of the policies the use asks for is valid at the end, or none is required."""
    if not place.known.policies.serves(place.question.policy.initial_policies):
        raise place.refuse("no_wanted_policy")


def _days(place: Place) -> dict[str, str]:
    certificate = place.contents.certificate
    return {
        "begin": format_instant(certificate.not_valid_before_utc),
        "end": format_instant(certificate.not_valid_after_utc),
    }


def _issuer(place: Place) -> dict[str, str]:
    return {"issuer": title_of(place.issuer.certificate)}


def _use(place: Place) -> dict[str, str]:
    return {"use": place.question.use}


OWN_CHECKS: tuple[Check, ...] = (
    Check("form", Of.EACH, rules.check_form),
    Check("days", Of.EACH, rules.check_days, _days),
    Check("usage", Of.LEAF, rules.check_usage, _use),
    Check("strength", Of.EACH, rules.check_strength),
)
"""What is asked of a certificate by itself; of the one in question before any path is looked for."""

PATH_CHECKS: tuple[Check, ...] = (
    Check("approval", Of.LEAF, rules.check_approval, _use),
    Check("signature", Of.BELOW_ROOT, check_signature, _issuer),
    Check("name_chaining", Of.BELOW_ROOT, check_name_chaining),
    Check("authority", Of.ISSUERS, check_authority),
    Check("certificate_signing", Of.ISSUERS, check_certificate_signing),
    Check("path_length", Of.ISSUERS, check_path_length),
    Check("critical_extensions", Of.EACH, check_critical_extensions),
    Check("names_understood", Of.BELOW_ROOT, check_names_understood),
    Check("names_permitted", Of.BELOW_ROOT, check_names_permitted),
    Check("names_not_excluded", Of.BELOW_ROOT, check_names_not_excluded),
    Check("policy_mappings", Of.ISSUERS, check_mappings),
    Check("policies", Of.BELOW_ROOT, check_policies),
    Check("policies_wanted", Of.LEAF, check_policies_wanted),
    Check("member", Of.LEAF, rules.check_member),
)
"""What is asked along a path, root first; only then is anybody asked about revocation (6.1.3 (a)(3))."""


def walk(path: tuple[Contents, ...], question: Question) -> tuple[Place, ...]:
    """Return the places of a path, root first, each with the state of RFC 5280 section 6.1 that it finds."""
    policy, root, length = question.policy, path[-1], len(path) - 1
    constraints = (root.constraints,) if root.constraints else ()
    room = length if root.longest_below is None else root.longest_below
    valid = policies.start(
        length,
        explicit=policy.requires_explicit_policy,
        inhibits_mapping=policy.inhibits_policy_mapping,
        inhibits_any=policy.inhibits_any_policy,
    )
    places = [Place(path, length, question, PathState(constraints, room, valid))]
    for index in range(length - 1, -1, -1):
        contents = path[index]
        valid = policies.enter(valid, contents, is_last=index == 0)
        places.append(Place(path, index, question, PathState(constraints, room, valid)))
        valid = policies.leave(valid, contents)
        if contents.constraints:
            constraints = (*constraints, contents.constraints)
        room -= 0 if contents.is_self_issued else 1
        room = room if contents.longest_below is None else min(room, contents.longest_below)
    return tuple(places)


def _first(
    search: Callable[[Sequence[ConstrainedName], Sequence[NameConstraints]], ConstrainedName | None],
    place: Place,
) -> ConstrainedName | None:
    """Return the first name that does not stand up to the constraints above; a hostile number is refused."""
    names, constraints = place.contents.names, place.known.constraints
    if not constraints or (place.contents.is_self_issued and not place.is_leaf):
        # An authority's certificate for its own new key is not held to constraints: 6.1.3 (b) and (c).
        return None
    if nameconstraints.comparisons(names, constraints) > nameconstraints.MOST_COMPARISONS:
        raise place.refuse("names_too_many")
    return search(names, constraints)
