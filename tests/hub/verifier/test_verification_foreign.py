# SPDX-License-Identifier: Apache-2.0
"""ASiC-E containers that are not ours: real ones of the European DSS, and ones made here with zipfile."""

from __future__ import annotations

import base64
import hashlib
import io
import struct
import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hub.envelope import CONTAINER_MEDIA_TYPE
from hub.envelope.cades import sign_manifest
from hub.evidence.verification import verify_file
from hub.trust import TrustList, VerificationReport
from hub.verifier import foreign_verification as foreign
from tests.hub.envelope.signers import throwaway_key
from tests.hub.envelope.test_cades import needs_openssl, openssl_signs
from tests.hub.verifier.stored import now, store_revocation

if TYPE_CHECKING:
    from tests.pki import ServedPki

SAMPLES = Path(__file__).parents[4] / "shared/data/asice"
MANIFEST = "META-INF/ASiCManifest.xml"
P7S = "META-INF/signature001.p7s"
TEXT = b"contract text"
SIGNED = f"{foreign.SIGNATURE}: {MANIFEST}"
PATH = f"{foreign.PATH}: {MANIFEST}"
REVOCATION = f"{foreign.REVOCATION}: {MANIFEST}"

needs_samples = pytest.mark.skipif(not SAMPLES.is_dir(), reason="the sample containers are not here")


def failed(report: VerificationReport) -> dict[str, str | None]:
    """Say which steps failed by themselves, with their codes."""
    return {
        each.name: each.code
        for each in report.steps
        if not each.is_passed and not each.reason.startswith("not checked")
    }


@needs_samples
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("onefile-ok.asice", {PATH: "trust.unknown_authority"}),
        ("multifiles-ok.asice", {PATH: "trust.unknown_authority"}),
        (
            "brokenReference.asice",
            {foreign.DIGESTS: "envelope.payload_mismatch", PATH: "trust.unknown_authority"},
        ),
        (
            "removedReference.asice",
            {foreign.DIGESTS: "envelope.member_missing", PATH: "trust.unknown_authority"},
        ),
        (
            "nonConformantManifest.asice",
            {
                foreign.MIMETYPE: "envelope.mimetype_invalid",
                foreign.MANIFESTS: "envelope.manifest_invalid",
            },
        ),
    ],
)
def test_a_real_container_fails_in_the_right_step_and_no_other(name: str, expected: dict[str, str]) -> None:
    report = verify_file(SAMPLES / name, TrustList(()), at=now())

    assert report.kind == "foreign container"
    assert failed(report) == expected


@needs_samples
@pytest.mark.parametrize("name", ["ASiC-E-CAdES-BpLTA.sce", "dss1421.asice"])
def test_a_real_signature_of_a_higher_profile_holds_and_its_time_stamps_count_for_nothing(name: str) -> None:
    report = verify_file(SAMPLES / name, TrustList(()), at=now())

    time_stamp = (
        f"{foreign.NOT_EVALUATED}: time stamp META-INF/timestamp001.tst over META-INF/ASiCArchiveManifest.xml"
    )
    assert failed(report) == {PATH: "trust.unknown_authority", time_stamp: "envelope.not_evaluated"}


RECORD = ": META-INF/evidencerecord.ers"


@needs_samples
@pytest.mark.parametrize(
    ("name", "time_stamps"),
    [
        ("er-asn1-one-file.asice", 2),
        ("er-asn1-multi-files.asice", 1),
        ("er-asn1-tst-renewal.asice", 2),
        ("er-asn1-chain-renewal.asice", 2),
    ],
)
def test_a_real_evidence_record_holds_but_for_its_authorities_whom_nobody_here_approved(
    name: str, time_stamps: int
) -> None:
    report = verify_file(SAMPLES / name, TrustList(()), at=now())

    assert failed(report) == {
        f"Authority of time stamp {number}{RECORD}": "trust.unknown_authority"
        for number in range(1, time_stamps + 1)
    }


@needs_samples
def test_a_real_evidence_record_with_a_wrong_digest_in_its_chain_is_refused_for_that() -> None:
    report = verify_file(SAMPLES / "er-asn1-incorrect-hash.asice", TrustList(()), at=now())

    wrong = failed(report)
    assert {name.removesuffix(RECORD) for name in wrong if "Authority" not in name} == {
        "Order and digests of the evidence record",
        "Evidence record covers the data objects",
        "Renewals cover the time stamps before them",
    }
    assert {code for name, code in wrong.items() if "Authority" not in name} == {
        "envelope.evidence_record_invalid"
    }


@needs_samples
@pytest.mark.parametrize(
    ("change", "step"),
    [
        ({"test.txt": b"other"}, foreign.DIGESTS),
        ({"test3.txt": b"one more"}, foreign.COVERAGE),
        ({"META-INF/evidencerecord.ers": b"0\0"}, f"Form of the evidence record{RECORD}"),
    ],
)
def test_what_is_changed_in_a_container_with_an_evidence_record_is_found(
    change: dict[str, bytes], step: str
) -> None:
    with zipfile.ZipFile(SAMPLES / "er-asn1-multi-files.asice") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}

    assert step in failed(verify_file(zipped(members | change), TrustList(()), at=now()))


@needs_samples
def test_an_evidence_record_says_nothing_of_files_it_does_not_cover_whatever_the_manifest_says() -> None:
    with zipfile.ZipFile(SAMPLES / "er-asn1-multi-files.asice") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    other = {"test.txt": b"other", "test2.txt": members["test2.txt"]}
    manifest = manifest_xml(other, proof="META-INF/evidencerecord.ers")

    report = verify_file(
        zipped(members | other | {"META-INF/ASiCEvidenceRecordManifest.xml": manifest}),
        TrustList(()),
        at=now(),
    )

    assert f"Evidence record covers the data objects{RECORD}" in failed(report)


def test_an_evidence_record_in_xml_is_named_and_proves_nothing() -> None:
    manifest = manifest_xml({"a.txt": TEXT}, proof="META-INF/evidencerecord.xml")
    members = {
        "a.txt": TEXT,
        "META-INF/ASiCEvidenceRecordManifest.xml": manifest,
        "META-INF/evidencerecord.xml": b"<EvidenceRecord/>",
    }

    record = (
        f"{foreign.NOT_EVALUATED}: evidence record META-INF/evidencerecord.xml"
        " over META-INF/ASiCEvidenceRecordManifest.xml"
    )
    assert failed(verify_file(zipped(members), TrustList(()), at=now())) == {
        foreign.COVERAGE: "envelope.member_unexpected",
        foreign.SIGNATURE: "envelope.member_missing",
        record: "envelope.not_evaluated",
    }


def manifest_xml(
    files: dict[str, bytes], digest: str = "sha256", proof: str = P7S, inside: str = "", head: str = ""
) -> bytes:
    """Write a manifest as other producers do: another layout, prefixes where ours has others."""
    method = {
        "sha1": "http://www.w3.org/2000/09/xmldsig#sha1",
        "sha256": "http://www.w3.org/2001/04/xmlenc#sha256",
        "sha384": "http://www.w3.org/2001/04/xmldsig-more#sha384",
        "sha512": "http://www.w3.org/2001/04/xmlenc#sha512",
    }[digest]
    references = "".join(
        f'<DataObjectReference URI="{name}"><d:DigestMethod Algorithm="{method}"/><d:DigestValue>'
        f"{base64.b64encode(hashlib.new(digest, content).digest()).decode()}"
        f"</d:DigestValue>{inside}</DataObjectReference>"
        for name, content in files.items()
    )
    return (
        f'{head}<ASiCManifest xmlns="http://uri.etsi.org/02918/v1.2.1#" xmlns:d="http://www.w3.org/2000/09/xmldsig#">'
        f'<SigReference URI="{proof}"/>{references}</ASiCManifest>'
    ).encode()


def zipped(members: dict[str, bytes] | list[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # duplicate names are meant here
        for name, content in members.items() if isinstance(members, dict) else members:
            archive.writestr(name, content)
    return target.getvalue()


@pytest.fixture(scope="module")
def trust_list(pki: ServedPki) -> TrustList:
    return pki.approved()


@pytest.fixture(scope="module")
def revocation(pki: ServedPki, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return store_revocation(pki, ["labour-sign"], tmp_path_factory.mktemp("revocation"))


@pytest.fixture(scope="module")
def members(pki: ServedPki, revocation: Path) -> dict[str, bytes]:
    """The members of a foreign container that is good."""
    del revocation  # asked for first, so that the answers are there when the manifest is signed
    return signed_members(pki, manifest_xml({"text.txt": TEXT}), {"text.txt": TEXT})


def signed_members(pki: ServedPki, manifest: bytes, files: dict[str, bytes]) -> dict[str, bytes]:
    return {
        "mimetype": CONTAINER_MEDIA_TYPE.encode(),
        **files,
        MANIFEST: manifest,
        P7S: sign_manifest(manifest, pki.signer("labour-sign"), now()),
    }


def test_a_foreign_container_of_an_approved_signer_is_valid(
    members: dict[str, bytes], trust_list: TrustList, revocation: Path
) -> None:
    report = verify_file(zipped(members), trust_list, revocation, at=now())

    assert report.is_valid
    assert [each.name for each in report.steps] == [
        foreign.ZIP,
        foreign.MIMETYPE,
        foreign.MANIFESTS,
        foreign.DIGESTS,
        foreign.COVERAGE,
        SIGNED,
        PATH,
        REVOCATION,
    ]
    assert "11510108MB1A00002M" not in report.facts.values()


@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
def test_every_strong_digest_is_read_and_names_may_be_percent_encoded(
    pki: ServedPki, trust_list: TrustList, revocation: Path, digest: str
) -> None:
    manifest = manifest_xml({"%E8%AF%81%E6%98%8E%201.txt": TEXT}, digest)
    container = zipped(signed_members(pki, manifest, {"证明 1.txt": TEXT}))

    assert verify_file(container, trust_list, revocation, at=now()).is_valid


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"text.txt": b"other"}, {foreign.DIGESTS: "envelope.payload_mismatch"}),
        ({"text.txt": None}, {foreign.DIGESTS: "envelope.member_missing"}),
        ({"more.txt": b"x"}, {foreign.COVERAGE: "envelope.member_unexpected"}),
        ({"META-INF/signature002.p7s": b"x"}, {foreign.COVERAGE: "envelope.member_unexpected"}),
        ({"META-INF/signatures.xml": b"<x/>"}, {foreign.COVERAGE: "envelope.member_unexpected"}),
        ({"META-INF/manifest.xml": b"<x/>"}, {}),
        ({"mimetype": None}, {}),
        ({"mimetype": b"application/zip"}, {foreign.MIMETYPE: "envelope.mimetype_invalid"}),
        ({P7S: None}, {SIGNED: "envelope.member_missing"}),
        ({P7S: b"x"}, {SIGNED: "envelope.signature_malformed"}),
        ({MANIFEST: None}, {foreign.MANIFESTS: "envelope.manifest_invalid"}),
        ({MANIFEST: manifest_xml({"text.txt": TEXT}) + b" "}, {SIGNED: "envelope.digest_mismatch"}),
        (
            {MANIFEST: manifest_xml({"text.txt": b"other"}), "text.txt": b"other"},
            {SIGNED: "envelope.digest_mismatch"},
        ),
    ],
)
def test_what_is_changed_fails_the_step_about_it(
    members: dict[str, bytes],
    trust_list: TrustList,
    revocation: Path,
    change: dict[str, bytes | None],
    expected: dict[str, str],
) -> None:
    merged = {**members, **change}
    container = zipped({name: content for name, content in merged.items() if content is not None})

    report = verify_file(container, trust_list, revocation, at=now())

    assert failed(report) == expected
    assert report.is_valid is not bool(expected)


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"<ASiCManifest/>",
        b"not xml",
        manifest_xml({}),
        manifest_xml({"text.txt": TEXT}, "sha1"),
        manifest_xml({"text.txt": TEXT}, proof="text.txt"),
        manifest_xml({"text.txt": TEXT}, proof=""),
        manifest_xml({"": TEXT}),
        manifest_xml({"text.txt#part": TEXT}),
        manifest_xml({"text.txt": TEXT}, inside="<d:DigestValue>AAAA</d:DigestValue>"),
        manifest_xml({"text.txt": TEXT}, inside='<Extension Critical="true"/>'),
        manifest_xml({"text.txt": TEXT}).replace(b"<d:DigestValue>", b"<d:DigestValue>=="),
        manifest_xml({"text.txt": TEXT}).replace(
            b"<SigReference", b'<SigReference URI="x.p7s"/><SigReference'
        ),
        manifest_xml({"text.txt": TEXT}, head="<!DOCTYPE ASiCManifest>"),
        manifest_xml({"&n;": TEXT}, head='<!DOCTYPE ASiCManifest [<!ENTITY n "text.txt">]>'),
        manifest_xml(
            {"text.txt": TEXT},
            inside="&x;",
            head='<!DOCTYPE ASiCManifest [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        ),
    ],
)
def test_a_manifest_of_another_form_is_refused_even_when_it_is_signed(
    pki: ServedPki, trust_list: TrustList, revocation: Path, manifest: bytes
) -> None:
    container = zipped(signed_members(pki, manifest, {"text.txt": TEXT}))

    report = verify_file(container, trust_list, revocation, at=now())

    assert not report.is_valid
    assert foreign.MANIFESTS in failed(report)


def test_a_file_that_only_an_unevaluated_proof_covers_is_reported_as_not_signed(
    members: dict[str, bytes], trust_list: TrustList, revocation: Path
) -> None:
    record = manifest_xml({"more.txt": b"x"}, proof="META-INF/evidencerecord.xml")
    container = {
        **members,
        "more.txt": b"x",
        "META-INF/ASiCEvidenceRecordManifest.xml": record,
        "META-INF/evidencerecord.xml": b"?",
    }

    report = verify_file(zipped(container), trust_list, revocation, at=now())

    assert list(failed(report).values()) == ["envelope.member_unexpected", "envelope.not_evaluated"]
    assert "more.txt" in next(each.reason for each in report.steps if each.name == foreign.COVERAGE)


def test_an_unknown_signer_is_an_unknown_authority(trust_list: TrustList, revocation: Path) -> None:
    manifest = manifest_xml({"text.txt": TEXT})
    made = {"text.txt": TEXT, MANIFEST: manifest, P7S: sign_manifest(manifest, throwaway_key(), now())}

    assert failed(verify_file(zipped(made), trust_list, revocation, at=now())) == {
        PATH: "trust.unknown_authority"
    }


@needs_openssl
@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("-cades", "-keyid"), None),
        (("-cades", "-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:digest"), None),
        (("-cades", "-keyopt", "rsa_padding_mode:pss"), "envelope.algorithm_not_allowed"),
        (("-cades", "-nodetach"), None),
        ((), "envelope.signature_malformed"),
        (("-noattr",), "envelope.signature_malformed"),
        (("-cades", "-md", "sha1"), "envelope.algorithm_not_allowed"),
    ],
)
def test_other_profiles_are_read_by_pyhanko_and_unbound_certificates_refused(
    tmp_path: Path, options: tuple[str, ...], code: str | None
) -> None:
    manifest = manifest_xml({"text.txt": TEXT})
    signature = openssl_signs(throwaway_key("RSA"), tmp_path, *options, content=manifest)
    made = zipped({"text.txt": TEXT, MANIFEST: manifest, P7S: signature})

    report = verify_file(made, TrustList(()), at=now())

    assert failed(report) == ({PATH: "trust.unknown_authority"} if code is None else {SIGNED: code})


@needs_openssl
def test_a_signature_that_carries_other_content_than_the_manifest_is_refused(tmp_path: Path) -> None:
    manifest = manifest_xml({"text.txt": TEXT})
    signature = openssl_signs(throwaway_key(), tmp_path, "-cades", "-nodetach", content=b"other")
    made = zipped({"text.txt": TEXT, MANIFEST: manifest, P7S: signature})

    assert failed(verify_file(made, TrustList(()), at=now())) == {SIGNED: "envelope.digest_mismatch"}


@needs_openssl
def test_a_signature_of_another_profile_over_another_manifest_is_refused(tmp_path: Path) -> None:
    manifest = manifest_xml({"text.txt": TEXT})
    signature = openssl_signs(throwaway_key(), tmp_path, "-cades", "-keyid", content=b"other")
    made = zipped({"text.txt": TEXT, MANIFEST: manifest, P7S: signature})

    assert failed(verify_file(made, TrustList(()), at=now())) == {SIGNED: "envelope.digest_mismatch"}


def zip_failure(raw: bytes) -> str | None:
    report = verify_file(raw, TrustList(()), at=now())
    assert not report.is_valid
    step = report.steps[0]
    return None if step.is_passed else step.code


@pytest.mark.parametrize(
    ("name", "is_safe"),
    [
        ("a/b.txt", True),
        ("证明.txt", True),
        ("META-INF/", True),
        ("/etc/passwd", False),
        ("../x", False),
        ("a/../../x", False),
        ("a//b", False),
        ("./a", False),
        ("a\\b", False),
        ("C:x", False),
        ("a\nb", False),
    ],
)
def test_a_name_that_could_lead_elsewhere_is_refused(name: str, is_safe: bool) -> None:  # noqa: FBT001 (a table's column)
    raw = zipped({"first.txt": b"", name: b""})

    assert zip_failure(raw) == (None if is_safe else "envelope.member_name_invalid")


def test_a_name_with_a_zero_byte_is_refused() -> None:
    assert zip_failure(zipped({"aXb": b""}).replace(b"aXb", b"a\0b")) == "envelope.member_name_invalid"


@pytest.mark.parametrize("second", ["a.txt", "A.TXT"])
def test_two_members_of_one_name_are_refused(second: str) -> None:
    assert zip_failure(zipped([("a.txt", b"1"), (second, b"2")])) == "envelope.member_duplicate"


def test_a_bomb_is_refused_by_ratio_before_it_is_unpacked() -> None:
    assert zip_failure(zipped({"zeros": bytes(20_000_000)})) == "envelope.zip_bomb"
    assert zip_failure(zipped({"zeros": bytes(60_000)})) is None


def test_too_much_in_all_is_refused_from_the_directory_alone() -> None:
    raw = bytearray(zipped({f"m{number}": b"x" for number in range(3)}, zipfile.ZIP_STORED))
    position = 0
    while (position := raw.find(b"PK\x01\x02", position)) >= 0:
        struct.pack_into("<II", raw, position + 20, 100 * 1024 * 1024, 100 * 1024 * 1024)
        position += 4

    assert zip_failure(bytes(raw)) == "envelope.zip_bomb"


def test_a_member_that_unpacks_to_more_than_it_claims_is_refused() -> None:
    raw = bytearray(zipped({"zeros": bytes(50_000)}))
    struct.pack_into("<I", raw, raw.index(b"PK\x01\x02") + 24, 10)

    assert zip_failure(bytes(raw)) == "envelope.not_a_zip"


def test_overlapping_members_are_refused() -> None:
    raw = bytearray(zipped([("aaa", b"x" * 90), ("aaa", b"x" * 90)], zipfile.ZIP_STORED))
    second = raw.rindex(b"PK\x01\x02")
    raw[second + 46 : second + 49] = b"aab"
    struct.pack_into("<I", raw, second + 42, 0)

    assert zip_failure(bytes(raw)) in {"envelope.zip_bomb", "envelope.not_a_zip"}


def test_too_many_members_are_refused() -> None:
    assert zip_failure(zipped({f"m{number}": b"" for number in range(1001)})) == "envelope.too_many_members"


def test_an_encrypted_or_unusually_compressed_member_is_refused() -> None:
    raw = bytearray(zipped({"a": b"abc"}))
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    assert zip_failure(bytes(raw)) == "envelope.not_a_zip"
    assert zip_failure(zipped({"a": b"abc" * 99}, zipfile.ZIP_LZMA)) == "envelope.not_a_zip"


def test_an_empty_or_cut_off_zip_is_refused() -> None:
    whole = zipped({"a": b"abc", "b": b"x" * 99})

    assert zip_failure(b"PK\x05\x06" + bytes(18)) == "envelope.too_many_members"
    assert {zip_failure(whole[:length]) for length in range(4, len(whole), 9)} == {"envelope.not_a_zip"}


def test_damage_that_the_checksum_shows_is_refused() -> None:
    raw = zipped({"a": b"abcdef"}, zipfile.ZIP_STORED)

    assert zip_failure(raw.replace(b"abcdef", b"abcdeg")) == "envelope.not_a_zip"
