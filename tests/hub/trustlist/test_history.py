# SPDX-License-Identifier: Apache-2.0
"""Attacks on a history of trust lists: what does not follow is refused, and each day has its own list."""

from __future__ import annotations

from datetime import timedelta

import pytest

from hub.errors import TrustError
from hub.trustlist import GRACE, check_history, open_trust_list
from tests.hub.trustlist.versions import DAY_ONE, VALID_FOR, ListSigner, content, version, versions

KEY = ListSigner()
PINNED = (KEY.certificate,)


def code_of(refused: pytest.ExceptionInfo[TrustError]) -> tuple[str, str]:
    """Return the code and the reason of a refusal."""
    assert refused.value.finding is not None
    assert refused.value.finding.code == refused.value.code
    return refused.value.code, refused.value.finding.reason_id


def test_versions_that_follow_one_another_are_a_history() -> None:
    made = versions(KEY, 3)
    history = check_history(made, PINNED)
    assert history.is_complete
    assert history.current.sequence == 3
    assert history.require(2).sha256 == made[1].sha256
    assert check_history([open_trust_list(each.raw) for each in made], PINNED).current.raw == made[-1].raw


def test_a_history_by_a_stranger_is_refused_though_it_names_itself() -> None:
    stranger = ListSigner()
    with pytest.raises(TrustError) as refused:
        check_history(versions(stranger, 2), PINNED)
    assert code_of(refused) == ("trust.trust_list_untrusted", "list_signed_by_stranger")
    assert refused.value.finding is not None
    assert refused.value.finding.serial == f"{stranger.certificate.serial_number:x}"


def test_a_certificate_that_only_resembles_the_pinned_one_is_a_stranger() -> None:
    same_name = ListSigner()
    first = version(None, same_name, content(KEY))
    with pytest.raises(TrustError) as refused:
        check_history([first], PINNED)
    assert refused.value.code == "trust.trust_list_untrusted"


def test_only_who_the_version_before_names_may_sign() -> None:
    thief = ListSigner()
    first = version(None, KEY)
    swapped = version(first, thief, content(thief))
    with pytest.raises(TrustError) as refused:
        check_history([first, swapped], PINNED)
    assert code_of(refused) == ("trust.trust_list_untrusted", "list_signed_by_stranger")


def test_the_key_of_the_list_rolls_over_and_the_old_key_signs_no_more() -> None:
    new = ListSigner()
    first = version(None, KEY, content(KEY, new))
    second = version(first, new, content(new))
    third = version(second, new)
    assert check_history([first, second, third], PINNED).current.sequence == 3

    late = version(second, KEY, content(KEY))
    with pytest.raises(TrustError) as refused:
        check_history([first, second, late], PINNED)
    assert refused.value.code == "trust.trust_list_untrusted"


def test_a_signer_s_certificate_does_not_expire_or_the_list_could_never_be_continued() -> None:
    short = ListSigner(days=(DAY_ONE - timedelta(days=2), DAY_ONE - timedelta(days=1)))
    assert check_history(versions(short, 2), (short.certificate,)).current.sequence == 2


@pytest.mark.parametrize("order", [(0, 2), (1, 0), (0, 1, 1), (0, 2, 1), (0, 1, 2, 0)])
def test_versions_left_out_repeated_or_in_another_order_are_refused(order: tuple[int, ...]) -> None:
    made = versions(KEY, 3)
    with pytest.raises(TrustError) as refused:
        check_history([made[index] for index in order], PINNED)
    assert code_of(refused) == ("trust.trust_list_not_next", "list_sequence_gap")


def test_a_version_that_was_in_force_is_not_taken_again_as_a_newer_one() -> None:
    made = versions(KEY, 3)
    history = check_history(made, PINNED)
    with pytest.raises(TrustError) as refused:
        history.extended(made[1])
    assert code_of(refused) == ("trust.trust_list_rolled_back", "list_rolled_back")
    assert history.extended(made[2]) is history, "the newest one again changes nothing"


def test_a_second_list_of_a_number_is_a_fork() -> None:
    made = versions(KEY, 3)
    history = check_history(made, PINNED)
    for previous in (None, made[0], made[1]):
        other = version(previous, KEY)
        with pytest.raises(TrustError) as refused:
            history.extended(other)
        assert code_of(refused) == ("trust.trust_list_forked", "list_forked")


def test_a_version_that_follows_a_fork_shows_it() -> None:
    first = version(None, KEY)
    hidden = version(first, KEY)
    after_hidden = version(hidden, KEY)
    history = check_history([first, version(first, KEY)], PINNED)
    with pytest.raises(TrustError) as refused:
        history.extended(after_hidden)
    assert code_of(refused) == ("trust.trust_list_forked", "list_follows_another")


@pytest.mark.parametrize("seconds", [0, -1, -86_400 * 365])
def test_a_version_is_not_issued_before_the_one_it_follows(seconds: int) -> None:
    first = version(None, KEY)
    backdated = version(first, KEY, issued_at=DAY_ONE + timedelta(seconds=seconds))
    with pytest.raises(TrustError) as refused:
        check_history([first, backdated], PINNED)
    assert code_of(refused) == ("trust.trust_list_not_next", "list_issued_too_early")


def test_every_instant_has_the_list_of_its_day() -> None:
    made = versions(KEY, 3)
    history = check_history(made, PINNED)
    moment = timedelta(milliseconds=1)
    for one, following in zip(made, [*made[1:], None], strict=True):
        issued_at = one.document.issued_at
        assert history.of(issued_at) is one.trust_list
        if following:
            assert history.of(following.document.issued_at - moment) is one.trust_list
    assert history.of(DAY_ONE - timedelta(days=1000)) is made[0].trust_list


def test_no_instant_is_judged_by_a_list_that_was_overdue_for_too_long() -> None:
    history = check_history([version(None, KEY)], PINNED)
    end = DAY_ONE + VALID_FOR + GRACE
    assert history.of(end - timedelta(seconds=1)).sequence == 1
    with pytest.raises(TrustError) as refused:
        history.of(end)
    assert code_of(refused) == ("trust.trust_list_outdated", "list_outdated")


def test_a_gap_between_two_lists_stays_a_gap() -> None:
    """What was refused on its day is refused for ever, whatever was published later."""
    first = version(None, KEY)
    late = version(first, KEY, issued_at=DAY_ONE + VALID_FOR + GRACE + timedelta(days=10))
    history = check_history([first, late], PINNED)
    with pytest.raises(TrustError) as refused:
        history.of(late.document.issued_at - timedelta(days=1))
    assert refused.value.code == "trust.trust_list_outdated"
    assert history.of(late.document.issued_at) is late.trust_list


def test_a_part_of_a_history_judges_nothing_from_before_it() -> None:
    made = versions(KEY, 3)
    part = check_history(made[1:], PINNED)
    assert part.of(made[1].document.issued_at) is made[1].trust_list
    with pytest.raises(TrustError) as refused:
        part.of(made[1].document.issued_at - timedelta(seconds=1))
    assert code_of(refused) == ("trust.trust_list_not_next", "list_history_truncated")
    with pytest.raises(TrustError) as refused:
        part.require_complete()
    assert code_of(refused) == ("trust.trust_list_not_next", "list_history_truncated")


def test_no_version_at_all_is_no_history() -> None:
    with pytest.raises(TrustError) as refused:
        check_history([], PINNED)
    assert refused.value.code == "trust.trust_list_unknown"
