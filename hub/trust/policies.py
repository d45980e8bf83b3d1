# SPDX-License-Identifier: Apache-2.0
"""Certificate policies along a path.

RFC 5280 describes a tree that can grow exponentially with the path. Of the tree only two things are ever
asked: which policies are valid at the present certificate, and which of the policies a relying party knows
they go back to. So one level is kept, one node a policy, and each node remembers its origins. The work grows
with the number of policies in one certificate and in the next, never with the number of ways between them.

Source: RFC 5280 sections 6.1.2 to 6.1.5; RFC 9618 (the tree as a graph, with the same outcome).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cryptography.x509.oid import ObjectIdentifier

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.trust.contents import Contents

ANY_POLICY = ObjectIdentifier("2.5.29.32.0")


@dataclass(frozen=True)
class Node:
    """A policy that is valid at the present certificate.

    Attributes:
        expected: which policies of the next certificate continue it.
        origins: the first policies, other than anyPolicy, on the ways that lead here from the root; what the
            relying party knows them as.
    """

    expected: frozenset[ObjectIdentifier]
    origins: frozenset[ObjectIdentifier]


@dataclass(frozen=True)
class PolicyState:
    """What is known of policies after a certificate.

    Attributes:
        nodes: the valid policies; none where the tree of RFC 5280 is NULL.
        explicit_policy: how many certificates may follow before a valid policy is required.
        mapping: how many may follow before policies may no longer be mapped.
        any_policy: how many may follow before anyPolicy no longer counts.
    """

    nodes: Mapping[ObjectIdentifier, Node]
    explicit_policy: int
    mapping: int
    any_policy: int

    @property
    def is_acceptable(self) -> bool:
        """Whether there is a valid policy, or none is required (RFC 5280 section 6.1.3 (f))."""
        return self.explicit_policy > 0 or bool(self.nodes)

    def serves(self, wanted: frozenset[ObjectIdentifier]) -> bool:
        """Tell whether at the end of the path a policy that is wanted is valid, or none is required.

        Source: RFC 5280 section 6.1.5 (g).
        """
        if self.explicit_policy > 0:
            return True
        if ANY_POLICY in wanted or ANY_POLICY in self.nodes:
            return bool(self.nodes)
        return any(node.origins & wanted for node in self.nodes.values())


def start(length: int, *, explicit: bool, inhibits_mapping: bool, inhibits_any: bool) -> PolicyState:
    """Return the state before the first certificate below the root.

    Args:
        length: of the path, the root not counted.
        explicit: whether a valid policy is required from the start.
        inhibits_mapping: whether policies may not be mapped at all.
        inhibits_any: whether anyPolicy does not count at all.

    Source: RFC 5280 section 6.1.2 (a) and (d) to (f).
    """
    root = Node(frozenset({ANY_POLICY}), frozenset())
    return PolicyState(
        {ANY_POLICY: root},
        explicit_policy=0 if explicit else length + 1,
        mapping=0 if inhibits_mapping else length + 1,
        any_policy=0 if inhibits_any else length + 1,
    )


def enter(state: PolicyState, contents: Contents, *, is_last: bool) -> PolicyState:
    """Take a certificate's own policies in.

    Source: RFC 5280 section 6.1.3 (d) and (e); for the last one also 6.1.5 (a) and (b).
    """
    nodes: dict[ObjectIdentifier, Node] = {}
    if contents.policies is not None and state.nodes:
        expected = _expected(state)
        for policy in contents.policies - {ANY_POLICY}:
            if policy in expected:
                nodes[policy] = Node(frozenset({policy}), expected[policy])
            elif ANY_POLICY in state.nodes:
                nodes[policy] = Node(frozenset({policy}), frozenset({policy}))
        is_any_counted = state.any_policy > 0 or (contents.is_self_issued and not is_last)
        if ANY_POLICY in contents.policies and is_any_counted:
            for policy in expected.keys() - nodes.keys():
                nodes[policy] = Node(frozenset({policy}), expected[policy])
    explicit = state.explicit_policy
    if is_last:
        explicit = 0 if contents.explicit_policy_after == 0 else max(explicit - 1, 0)
    return replace(state, nodes=nodes, explicit_policy=explicit)


def leave(state: PolicyState, contents: Contents) -> PolicyState:
    """Prepare for the certificate below an authority's.

    Source: RFC 5280 section 6.1.4 (b) and (h) to (j).
    """
    step = 0 if contents.is_self_issued else 1
    return PolicyState(
        _mapped(state, contents),
        explicit_policy=_least(max(state.explicit_policy - step, 0), contents.explicit_policy_after),
        mapping=_least(max(state.mapping - step, 0), contents.mapping_inhibited_after),
        any_policy=_least(max(state.any_policy - step, 0), contents.any_policy_inhibited_after),
    )


def _expected(state: PolicyState) -> dict[ObjectIdentifier, frozenset[ObjectIdentifier]]:
    """Return what may continue, each policy with the origins of all the nodes that expect it."""
    origins: dict[ObjectIdentifier, set[ObjectIdentifier]] = {}
    for node in state.nodes.values():
        for policy in node.expected:
            origins.setdefault(policy, set()).update(node.origins)
    return {policy: frozenset(found) for policy, found in origins.items()}


def _mapped(state: PolicyState, contents: Contents) -> Mapping[ObjectIdentifier, Node]:
    """6.1.4 (b): rename policies into those of the next domain, or drop them where that is inhibited."""
    targets: dict[ObjectIdentifier, set[ObjectIdentifier]] = {}
    for issuer_policy, subject_policy in contents.mappings:
        targets.setdefault(issuer_policy, set()).add(subject_policy)
    if state.mapping == 0:
        return {policy: node for policy, node in state.nodes.items() if policy not in targets}
    nodes = dict(state.nodes)
    for policy, expected in targets.items():
        if policy in nodes:
            nodes[policy] = replace(nodes[policy], expected=frozenset(expected))
        elif ANY_POLICY in nodes:
            nodes[policy] = Node(frozenset(expected), frozenset({policy}))
    return nodes


def _least(counter: int, stated: int | None) -> int:
    return counter if stated is None else min(counter, stated)
