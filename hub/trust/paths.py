# SPDX-License-Identifier: Apache-2.0
"""Finding the paths from a certificate to a root of the trust list, by names and key identifiers.

Nothing is believed here. Whatever a stranger sends along, the work is bounded: by the length of a path, by
the number of paths that are tried and by the number of certificates that are looked at.

Source: RFC 5280 sections 4.2.1.1 and 4.2.1.2; RFC 4158 sections 2.4.2 and 5 (loops, bounds, order).
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from hub.errors import TrustError
from hub.trust.contents import UNREADABLE, read
from hub.trust.distinguishednames import comparable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cryptography import x509

    from hub.trust.contents import Contents
    from hub.trust.distinguishednames import ComparableName
    from hub.trust.model import Authority, TrustList

MOST_PATHS = 8
"""How many paths are tried; a department's certificate has one, during a roll-over of its authority two."""

MOST_STEPS = 64
"""How many certificates are looked at while searching for paths."""


class Listed:
    """The authorities of one version of the trust list, found by certificate and by name.

    Certificates are read when they are first met, so a large list costs little before it is used. Safe to use
    from several threads.
    """

    def __init__(self, trust_list: TrustList) -> None:
        self.trust_list = trust_list
        self._rows = {row.certificate: row for row in trust_list.authorities}
        self._by_subject: defaultdict[ComparableName, list[x509.Certificate]] = defaultdict(list)
        for row in trust_list.authorities:
            try:
                self._by_subject[comparable(row.certificate.subject)].append(row.certificate)
            except UNREADABLE:
                continue  # An authority without a name that can be read is issuer of nothing.
        self._contents: dict[x509.Certificate, Contents] = {}

    def row_of(self, certificate: x509.Certificate) -> Authority | None:
        """Return the row of exactly this certificate, if it has one."""
        return self._rows.get(certificate)

    def named(self, subject: ComparableName) -> list[Contents]:
        """Return the listed authorities of a name; roots first, then in the order of the list."""
        found = sorted(self._by_subject.get(subject, ()), key=lambda each: not self._rows[each].is_anchor)
        return [contents for contents in map(self._read, found) if contents]

    def _read(self, certificate: x509.Certificate) -> Contents | None:
        contents = self._contents.get(certificate) or _read_or_none(certificate)
        if contents:
            self._contents[certificate] = contents
        return contents


def find_paths(
    leaf: Contents, others: Sequence[x509.Certificate], listed: Listed, *, longest: int
) -> Iterator[tuple[Contents, ...]]:
    """Return paths whose names fit, the likeliest first; each begins with the leaf and ends with a root.

    Args:
        leaf: the certificate in question.
        others: what came along; certificates among them that cannot be read are as good as not there.
        listed: the authorities of the trust list. They are preferred, so nothing that came along keeps a
            listed path from being found.
        longest: how many certificates a path may have.
    """
    # What is listed is found there, and what came along twice is one certificate.
    unlisted = [each for each in dict.fromkeys(others) if listed.row_of(each) is None]
    search = _Search([contents for contents in map(_read_or_none, unlisted) if contents], listed, longest)
    for number, path in enumerate(search.from_(leaf)):
        if number == MOST_PATHS:
            return
        yield path


class _Search:
    """One search, depth first; it ends when its steps are used up."""

    def __init__(self, others: list[Contents], listed: Listed, longest: int) -> None:
        self._others = others
        self._listed = listed
        self._longest = longest
        self._steps_left = MOST_STEPS

    def from_(self, leaf: Contents) -> Iterator[tuple[Contents, ...]]:
        yield from self._extend((leaf,))

    def _extend(self, path: tuple[Contents, ...]) -> Iterator[tuple[Contents, ...]]:
        last = path[-1]
        row = self._listed.row_of(last.certificate)
        if row is not None and row.is_anchor:
            yield path
            return
        if len(path) == self._longest:
            return
        for issuer in self._issuers_of(last):
            # A name and key that stand in the path already only make it longer (RFC 4158 section 2.4.2).
            if any((issuer.subject, issuer.key) == (each.subject, each.key) for each in path):
                continue
            if self._steps_left == 0:
                return
            self._steps_left -= 1
            yield from self._extend((*path, issuer))

    def _issuers_of(self, contents: Contents) -> list[Contents]:
        named = self._listed.named(contents.issuer)
        named += [each for each in self._others if each.subject == contents.issuer]
        fitting = [each for each in named if _fits(contents.authority_key_id, each.key_id)]
        # Whoever names the key comes before whoever only does not name another one.
        return sorted(fitting, key=lambda each: each.key_id is None)


def _fits(wanted: bytes | None, offered: bytes | None) -> bool:
    return wanted is None or offered is None or wanted == offered


def _read_or_none(certificate: x509.Certificate) -> Contents | None:
    try:
        return read(certificate)
    except TrustError:
        return None
