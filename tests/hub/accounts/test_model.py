# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from hub.accounts import Principal, Role
from hub.errors import AccessError
from hub.identifiers import SubsystemId
from tests.hub.accounts.conftest import ADMINISTRATOR, FUND, GATEWAY


def test_a_caller_with_the_role_is_let_through() -> None:
    ADMINISTRATOR.require(Role.ADMINISTRATOR)
    ADMINISTRATOR.require(Role.AUDITOR, Role.ADMINISTRATOR)
    GATEWAY.require_subsystem(FUND)


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.ADMINISTRATOR])
def test_a_caller_without_the_role_is_refused(role: Role) -> None:
    with pytest.raises(AccessError) as caught:
        ADMINISTRATOR.require(role)
    assert caught.value.code == "access.role_missing"
    assert role in caught.value.detail


def test_no_role_is_enough_when_none_is_allowed() -> None:
    with pytest.raises(AccessError, match=r"access\.role_missing"):
        ADMINISTRATOR.require()


@pytest.mark.parametrize("principal", [ADMINISTRATOR, GATEWAY])
def test_a_caller_acts_for_no_subsystem_but_its_own(principal: Principal) -> None:
    with pytest.raises(AccessError, match=r"access\.role_missing"):
        principal.require_subsystem(SubsystemId("13510108MB1A00003J/register"))


@pytest.mark.parametrize("role", [Role.CASEWORKER, Role.GATEWAY])
def test_who_acts_for_a_department_must_be_bound_to_its_subsystem(role: Role) -> None:
    with pytest.raises(AccessError, match="subsystem"):
        Principal("someone", frozenset({role}))
    assert Principal("someone", frozenset({role}), FUND).subsystem == FUND


@pytest.mark.parametrize(
    ("subject", "roles", "subsystem", "field"),
    [
        ("", {Role.AUDITOR}, None, "subject"),
        ("  ", {Role.AUDITOR}, None, "subject"),
        ("a\nb", {Role.AUDITOR}, None, "subject"),
        ("a" * 101, {Role.AUDITOR}, None, "subject"),
        ("someone", set[Role](), None, "roles"),
        ("someone", {Role.AUDITOR}, SubsystemId("13510108MB1A00003K/fund"), "subsystem"),
    ],
)
def test_an_account_that_is_not_whole_is_refused(
    subject: str, roles: set[Role], subsystem: SubsystemId | None, field: str
) -> None:
    with pytest.raises(AccessError, match=rf"access\.account_invalid: {field}"):
        Principal(subject, frozenset(roles), subsystem)
