# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from hub.errors import TrustError
from hub.trust import RevocationPolicy, Use, load_trust_list

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.pki import ServedPki

Document = dict[str, Any]


def test_a_trust_list_tells_who_is_approved_for_what(pki: ServedPki) -> None:
    trust_list = load_trust_list(pki.trust_list)

    root = trust_list.find(pki.certificates("root")[0])
    seal_ca = trust_list.find(pki.certificates("seal-ca")[0])
    assert root is not None
    assert root.is_anchor
    assert root.uses == frozenset()
    assert seal_ca is not None
    assert not seal_ca.is_anchor
    assert seal_ca.uses == {Use.SEAL, Use.TIMESTAMP}
    assert seal_ca.revocation is RevocationPolicy.EITHER
    assert trust_list.find(pki.certificates("unlisted-ca")[0]) is None
    assert trust_list.find(pki.certificates("rogue/envelope-ca")[0]) is None


def _drop_root(document: Document) -> None:
    document["authorities"] = [row for row in document["authorities"] if not row["is_anchor"]]


@pytest.mark.parametrize(
    ("spoil", "hint"),
    [
        (lambda document: document.update(format="heliograph-trust-list/2"), "/format"),
        (lambda document: document.update(extra=1), "/extra"),
        (lambda document: document["authorities"][0].update(extra=1), "/authorities/0/extra"),
        (lambda document: document["authorities"][1].update(uses=["anything"]), "/authorities/1/uses/0"),
        (lambda document: document["authorities"][1].update(revocation="none"), "/authorities/1/revocation"),
        (lambda document: document["authorities"][1].update(approved_from="2026-01-01"), "approved_from"),
        (lambda document: document["authorities"][1].update(certificate="AAAA"), "base64 of DER"),
        (lambda document: document["authorities"][1].update(certificate="!"), "base64 of DER"),
        (lambda document: document["authorities"].append(document["authorities"][0]), "twice"),
        (_drop_root, "no root"),
    ],
)
def test_a_trust_list_of_another_form_is_refused(
    pki: ServedPki, tmp_path: Path, spoil: Callable[[Document], None], hint: str
) -> None:
    document = json.loads(pki.trust_list.read_bytes())
    spoil(document)
    path = tmp_path / "trust-list.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(TrustError) as refused:
        load_trust_list(path)
    assert refused.value.code == "trust.trust_list_invalid"
    assert hint in refused.value.detail


def test_a_missing_or_unreadable_trust_list_is_refused(tmp_path: Path) -> None:
    rubbish = tmp_path / "rubbish.json"
    rubbish.write_bytes(b"\xff{")
    for path in (tmp_path / "none.json", rubbish):
        with pytest.raises(TrustError) as refused:
            load_trust_list(path)
        assert refused.value.code == "trust.trust_list_invalid"
