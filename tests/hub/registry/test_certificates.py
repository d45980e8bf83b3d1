# SPDX-License-Identifier: Apache-2.0
"""Which certificates speak for a member, and what may be entered."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from hub.errors import HubError, RegistryError, TrustError
from hub.registry import Member, RegisteredCertificate, Registry, Snapshot, load_registry_file
from hub.registry.certificates import read_certificate, registered, require_recognised
from hub.registry.rules import MOST_CERTIFICATES
from hub.registry.schemas import read_entry, write_entry
from hub.trust import Use
from tests.hub.registry.conftest import FEDERATION, FILE, LABOUR, LABOUR_MEMBER, NOW, RunningRegistry

if TYPE_CHECKING:
    from pathlib import Path

KEY = ec.generate_private_key(ec.SECP256R1())


def certificate(
    member: str | None = LABOUR, key: ec.EllipticCurvePrivateKey | None = None
) -> x509.Certificate:
    """Make a certificate that names a member; who issued it does not matter here."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    attributes = [x509.NameAttribute(x509.NameOID.COMMON_NAME, "测试")]
    if member is not None:
        attributes.append(x509.NameAttribute(x509.NameOID.ORGANIZATION_IDENTIFIER, f"NTRCN-{member}"))
    name = x509.Name(attributes)
    begins, ends = NOW - timedelta(days=1), NOW + timedelta(days=365)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), begins, ends)
    return builder.sign(KEY, hashes.SHA256())


def entry(leaf: x509.Certificate | None = None, because: str | None = None) -> RegisteredCertificate:
    return registered(leaf or certificate(), LABOUR, Use.ENVELOPE, because=because)


def recognised(leaf: x509.Certificate, *entries: RegisteredCertificate) -> str | None:
    """Return why a certificate does not count for the labour bureau, or None."""
    index = Snapshot.of(entries, len(entries)).certificates
    try:
        require_recognised(index, leaf, LABOUR, Use.ENVELOPE, NOW)
    except TrustError as error:
        refusal = error
    else:
        return None
    assert refusal.code == "trust.certificate_not_registered"
    assert refusal.finding is not None
    assert refusal.finding.at == NOW
    return refusal.finding.reason_id


def test_without_a_registered_certificate_any_counts() -> None:
    assert recognised(certificate()) is None


def test_from_the_first_registered_one_on_only_registered_ones_count() -> None:
    one, other, stranger = certificate(), certificate(), certificate()
    assert recognised(one, entry(one), entry(other)) is None
    assert recognised(other, entry(one), entry(other)) is None
    assert recognised(stranger, entry(one), entry(other)) == "not_registered"


def test_a_retired_certificate_does_not_count_and_a_member_without_others_has_none() -> None:
    one, stranger = certificate(), certificate()
    retired = entry(one, because="superseded")
    assert recognised(one, retired) == "retired"
    assert recognised(stranger, retired) == "not_registered", "retiring the last one opens nothing"


def test_another_members_registrations_do_not_matter() -> None:
    other = registered(certificate(FEDERATION), FEDERATION, Use.ENVELOPE)
    assert recognised(certificate(), other) is None


def test_an_entry_reads_back_as_it_was_written_and_shows_no_more_than_it_is() -> None:
    for each in (entry(), entry(because="密钥介质遗失")):
        assert read_entry(RegisteredCertificate, json.dumps(write_entry(each))) == each
    assert set(write_entry(entry())) == {"id", "member", "use", "certificate", "retired_because"}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"id": "0" * 64}, "registry.entry_invalid"),
        ({"member": FEDERATION}, "trust.wrong_member"),
        ({"use": Use.SEAL}, "registry.entry_invalid"),
        ({"certificate": "AAAA"}, "registry.entry_invalid"),
        ({"certificate": "not base64"}, "registry.entry_invalid"),
        ({"retired_because": ""}, "registry.entry_invalid"),
        ({"retired_because": "a\nb"}, "registry.entry_invalid"),
        ({"retired_because": "x" * 201}, "registry.entry_invalid"),
    ],
)
def test_an_entry_that_is_not_whole_is_refused(changes: dict[str, str], code: str) -> None:
    with pytest.raises(HubError) as refusal:
        replace(entry(), **changes)  # type: ignore[arg-type]  # wrong on purpose
    assert refusal.value.code == code


def test_a_certificate_without_a_member_cannot_be_entered() -> None:
    with pytest.raises(TrustError, match=r"trust\.wrong_member"):
        entry(certificate(None))


def test_what_is_no_certificate_is_named_by_its_place() -> None:
    with pytest.raises(RegistryError, match=r"chain\[2\]: no DER certificate"):
        read_certificate("AAAA", "chain[2]")


def test_registering_and_retiring_is_recorded_and_doing_it_again_changes_nothing(registry: Registry) -> None:
    wanted = entry()
    assert len(registry.register([wanted], by="陈静")) == 1
    assert registry.register([wanted], by="陈静") == []
    assert len(registry.retire(wanted.id, "superseded", by="李伟")) == 1
    assert registry.retire(wanted.id, "another reason", by="李伟") == []
    assert [(each.by, each.at, each.change.action) for each in registry.changes_of(wanted)] == [
        ("陈静", NOW, "add"),
        ("李伟", NOW, "change"),
    ]
    with pytest.raises(RegistryError, match=r"registry\.certificate_retired"):
        registry.register([wanted], by="陈静")
    with pytest.raises(RegistryError, match=r"registry\.certificate_unknown"):
        registry.retire("0" * 64, "superseded", by="李伟")


def test_the_first_certificate_a_message_registers_brings_the_signers_along(registry: Registry) -> None:
    signer, new, later = entry(), entry(), entry()
    registry.register([new], by="message 1", signer=signer)
    assert {each.id for each in registry.snapshot.all_of(RegisteredCertificate)} == {signer.id, new.id}
    registry.register([later], by="message 2", signer=new)
    with pytest.raises(TrustError, match=r"trust\.certificate_not_registered"):
        registry.register([entry()], by="message 3", signer=entry())
    registry.retire(signer.id, "superseded", by="message 4")
    with pytest.raises(TrustError, match=r"trust\.certificate_not_registered"):
        registry.register([entry()], by="message 5", signer=signer)
    assert len(registry.snapshot.all_of(RegisteredCertificate)) == 3


def test_a_key_speaks_for_one_member_only(registry: Registry) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    registry.register([entry(certificate(LABOUR, key))], by="tests")
    registry.register([entry(certificate(LABOUR, key))], by="tests")  # A renewal with the same key.
    with pytest.raises(TrustError, match=r"trust\.key_of_another_member"):
        registry.register([registered(certificate(FEDERATION, key), FEDERATION, Use.ENVELOPE)], by="tests")


def test_a_member_cannot_fill_the_registry(registry: Registry) -> None:
    many = [entry() for _ in range(MOST_CERTIFICATES)]
    for each in many:
        registry.register([each], by="tests")
    with pytest.raises(RegistryError, match="withdraw one first"):
        registry.register([entry()], by="tests")
    assert registry.register(many, by="tests") == []
    registry.retire(many[0].id, "superseded", by="tests")
    assert len(registry.register([entry()], by="tests")) == 1


def test_a_member_nobody_knows_has_no_certificates(running: RunningRegistry) -> None:
    with pytest.raises(RegistryError, match=r"registry\.member_unknown"):
        running.registry.register([entry()], by="tests")


def test_a_member_with_certificates_is_not_removed(registry: Registry) -> None:
    registry.put(Member(id=LABOUR, names=LABOUR_MEMBER.names, status=LABOUR_MEMBER.status), by="tests")
    registry.register([entry()], by="tests")
    with pytest.raises(RegistryError, match=r"registry\.entry_in_use"):
        registry.remove(LABOUR_MEMBER, by="tests")


def test_the_registry_file_registers_once_and_brings_nothing_back(registry: Registry, tmp_path: Path) -> None:
    leaf = certificate()
    (tmp_path / "labour.pem").write_bytes(leaf.public_bytes(Encoding.PEM))
    file = tmp_path / "registry.yaml"
    file.write_text(
        FILE.replace("    status: active\n", "    status: active\n    certificates: [labour.pem]\n", 1),
        encoding="utf-8",
    )
    wanted = load_registry_file(file)
    assert [each.change.entry.id for each in registry.apply(wanted, by="registry file")] == [entry(leaf).id]
    assert registry.apply(wanted, by="registry file") == []
    registry.retire(entry(leaf).id, "key lost", by="tests")
    assert registry.apply(wanted, by="registry file") == [], "the file does not bring it back"
    without = load_registry_file(_written(tmp_path / "without.yaml", FILE))
    assert registry.apply(without, by="registry file", removing_others=True) == [], "nor take it away"


def _written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ("certificates: labour.pem", r"certificates: not a list"),
        ("certificates: [7]", r"certificates: not a list"),
        ("certificates: [nowhere.pem]", r"certificates: nowhere\.pem"),
        ("certificates: [empty.pem]", r"certificates: empty\.pem"),
        ("certificates: [federation.pem]", r"registered for 11510108MB1A00002M"),
    ],
)
def test_a_registry_file_with_a_wrong_certificate_is_refused_with_its_place(
    tmp_path: Path, line: str, place: str
) -> None:
    (tmp_path / "empty.pem").write_bytes(b"")
    (tmp_path / "federation.pem").write_bytes(certificate(FEDERATION).public_bytes(Encoding.PEM))
    text = FILE.replace("    status: active\n", f"    status: active\n    {line}\n", 1)
    with pytest.raises(RegistryError, match=rf"members\[0\].*{place}"):
        load_registry_file(_written(tmp_path / "registry.yaml", text))


def test_a_registered_certificate_is_recorded_to_the_day_it_was_registered(running: RunningRegistry) -> None:
    running.registry.put(LABOUR_MEMBER, by="tests")
    running.clock.move_to(datetime(2026, 4, 1, tzinfo=UTC))
    [change] = running.registry.register([entry()], by="tests")
    assert change.at == datetime(2026, 4, 1, tzinfo=UTC)
