# SPDX-License-Identifier: Apache-2.0
"""A stranger with unzip, sha256sum, openssl and pdfsig follows docs/verify-by-hand.md, word by word."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import struct
import subprocess
import zipfile
import zlib
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import rfc8785
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding

from hub.clock import SystemClock
from hub.documents import typeset_proof
from hub.envelope import (
    Kind,
    Limits,
    LogReference,
    Member,
    Party,
    Payload,
    Receipt,
    ReceiptStatus,
    read_zip,
    refer_to,
    reply_to,
    write_receipt,
)
from hub.envelope.zipform import write_zip
from hub.identifiers import SubsystemId
from hub.preservation import (
    Answers,
    EvidenceRecord,
    HashTree,
    archive_time_stamp,
    group_of,
    write_crypto_infos,
)
from hub.tlog import Checkpoint, NoteSigner
from hub.trust import OnlineRevocation, TimeStampAuthority, TimeStampClient, Validator
from tests.hub.documents.conftest import NOTICE, open_sealer, read_example
from tests.hub.envelope.signers import EMPLOYMENT
from tests.hub.verifier.evidence import World, with_index, zipped
from tests.hub.verifier.stored import now, sealed_request, store_revocation

if TYPE_CHECKING:
    from tests.pki import ServedPki

PAGE = (Path(__file__).parents[2] / "docs/verify-by-hand.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
TOOLS = ("unzip", "sha256sum", "openssl", "pdfsig", "cmp", "base64", "od", "awk", "sed")
LACKING = [tool for tool in TOOLS if shutil.which(tool) is None]

pytestmark = pytest.mark.skipif(bool(LACKING), reason=f"not installed: {', '.join(LACKING)}")


@pytest.fixture(scope="module")
def results(pki: ServedPki, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lay out what the demonstration leaves behind, made by the same code."""
    folder = tmp_path_factory.mktemp("demo")
    out = folder / "out"
    out.mkdir()
    shutil.copytree(pki.folder / "certificates", folder / "pki/certificates")
    authorities = [pki.certificate(label).read_bytes() for label in ("root", "envelope-ca")]
    (out / "authorities.pem").write_bytes(b"".join(authorities))
    store_revocation(pki, ["federation-sign", "labour-sign", "hub-sign"], out / "revocation")
    data = read_example()
    with open_sealer(pki, "labour-seal") as sealer:
        pdf = sealer.seal(typeset_proof(data, notice=NOTICE), reason="颁发证明", location="成都市成华区")
    payloads = [
        Payload("response.json", "application/json", rfc8785.dumps(data)),
        Payload("proof.pdf", "application/pdf", pdf),
    ]
    request = sealed_request(pki)
    bureau = Party(EMPLOYMENT, pki.signer("labour-sign"))
    response = reply_to(request, Kind.RESPONSE, payloads, party=bureau, now=now())
    receipt = Receipt(
        status=ReceiptStatus.PROCESSED,
        at=now(),
        message=refer_to(request),
        log=LogReference(origin="log.example/2026", index=0, leaf_sha256="0" * 64),
        answer=refer_to(response),
    )
    hub = Party(SubsystemId("11510108MB1A00001J/hub"), pki.signer("hub-sign"))
    receipts = reply_to(request, Kind.RECEIPT, [write_receipt(receipt)], party=hub, now=now())
    world = World(pki)
    world.exchange(text="one")
    world.exchange(is_refused=True, text="two")
    (out / "evidence.zip").write_bytes(zipped(world.bundle()))
    (out / "log-policy.txt").write_text(world.policy.encode(), encoding="utf-8")
    world.close()
    key = Ed25519PrivateKey.generate()
    checkpoint = NoteSigner("log.example/2026", key).sign(
        Checkpoint("log.example/2026", 7, bytes(32)).to_text()
    )
    listed = [TimeStampAuthority("tsa", pki.time_stamp_url)]
    stamps = TimeStampClient(listed, Validator(pki.approved(), OnlineRevocation()), SystemClock())
    note = sha256(checkpoint.encode()).digest()
    tree = HashTree("sha256", [[note], group_of(request), group_of(response), group_of(receipts)])
    stamp = stamps.stamp(tree.root)
    stamps.close()
    record = EvidenceRecord.of(
        ((archive_time_stamp("sha256", tree.reduce(0), stamp.token),),),
        write_crypto_infos(Answers.of(stamp.path.revocation)),
    )
    for name, content in (
        ("checkpoint.txt", checkpoint.encode()),
        ("checkpoint.tst", stamp.token),
        ("checkpoint.ers", record.encode()),
        ("request.asice", request.raw),
        ("response.asice", response.raw),
        ("receipt.asice", receipts.raw),
        ("proof.pdf", pdf),
    ):
        (out / name).write_bytes(content)
    return out


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a block as one would in a terminal, but end at the first command that fails."""
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": str(folder)},
    )


def test_every_command_of_the_page_confirms_what_the_demonstration_made(results: Path) -> None:
    said = ""
    for block in BLOCKS:
        done = run(block, results)
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        said += done.stdout + done.stderr

    assert said.count("CAdES Verification successful") == 2 + 6
    assert said.count("CAdES Verification failure") == 1
    assert "Response verify OK" in said
    assert "signer.pem: good" in said
    assert "DIFFERS" not in said
    assert said.count("as the header says") == 2
    assert said.count("as the manifest says") == 3
    assert "signed by the sender, 11510108MB1A00002M" in said
    assert "成华区人力资源和社会保障局" in said
    assert said.count('"container_sha256"') == 2
    assert "Signature Validation: Signature is Valid." in said
    assert said.count("Verification: OK") == 1 + 7
    assert said.count("Time stamp:") == 2
    assert said.count('"missing":[]') == 1
    assert said.count(".asice.pem: good") == 6
    assert said.count('"manifest_sha256"') == 2 + 4
    assert said.count(" leads to the root") == 3
    assert said.count("Signature Verified Successfully") == 2
    assert "witness.example/w1 saw it at 20" in said


def test_the_page_asks_for_every_kind_of_check() -> None:
    text = "\n".join(BLOCKS)

    assert len(BLOCKS) >= 19
    for command in (
        "unzip -p",
        "sha256sum",
        "openssl cms -verify",
        "openssl ocsp",
        "openssl ts -verify",
        "openssl pkeyutl -verify",
        "openssl asn1parse",
        "pdfsig",
    ):
        assert command in text


@pytest.mark.parametrize(
    ("name", "member", "change"),
    [
        ("response.asice", "payload/response.json", (b'"year":', b'"yeaR":')),
        ("response.asice", "message.json", (b'"kind":"response"', b'"kind":"receipts"')),
        ("response.asice", "META-INF/ASiCManifest.xml", (b"<ds:DigestValue>", b"<ds:DigestValue>A")),
        ("request.asice", "META-INF/ASiCManifest.xml", (b"<ds:DigestValue>", b"<ds:DigestValue>A")),
        ("receipt.asice", "payload/receipt.json", (b'"container_sha256":"', b'"container_sha256":"0')),
    ],
)
def test_a_forged_container_with_repaired_checksums_does_not_get_through_the_page(
    results: Path, tmp_path: Path, name: str, member: str, change: tuple[bytes, bytes]
) -> None:
    shutil.copytree(results.parent, tmp_path / "demo")
    out = tmp_path / "demo/out"
    members = read_zip((out / name).read_bytes(), Limits())
    forged = [
        Member(each.name, each.content.replace(*change)) if each.name == member else each for each in members
    ]
    assert forged != list(members)
    (out / name).write_bytes(write_zip(forged))

    done = [run(block, out) for block in BLOCKS]

    assert any(each.returncode or "DIFFERS" in each.stdout for each in done)


def changed_digit(content: bytes, marker: bytes) -> bytes:
    """Change the character behind a marker."""
    at = content.index(marker) + len(marker)
    return content[:at] + (b"b" if content[at : at + 1] != b"b" else b"c") + content[at + 1 :]


@pytest.mark.parametrize(
    ("ending", "marker"),
    [
        ("request.asice", b'"case":"'),
        ("answer.asice", b'{"to":"'),
        ("receipt.asice", b'"leaf_sha256":"'),
        ("entry-0.json", b'"container_sha256":"'),
        ("entry-0.tlog-proof", b"index 0\n"),
        (".tlog-proof", "— witness.example/w1".encode()),
        ("log/checkpoint.txt", b"log.example/2026\n3\n"),
        ("log/checkpoint.ers", b""),
        ("bundle.json", b'"missing":['),
    ],
)
def test_a_bundle_changed_by_who_may_write_every_digest_does_not_get_through_the_page(
    results: Path, tmp_path: Path, ending: str, marker: bytes
) -> None:
    shutil.copytree(results.parent, tmp_path / "demo")
    out = tmp_path / "demo/out"
    with zipfile.ZipFile(out / "evidence.zip") as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    # Of a record, what it is about: the digest of the checkpoint.
    marker = marker or hashlib.sha256(files["log/checkpoint.txt"]).digest()[:16]
    path = next(name for name in sorted(files) if name.endswith(ending) and marker in files[name])
    files[path] = changed_digit(files[path], marker)
    if path.endswith(".asice"):
        members = read_zip_anew(files[path])
        files[path] = members
    if path != "bundle.json":
        fields = json.loads(files["bundle.json"])
        derived = {"files", "trust_lists", "certificates", "revocation"}
        files = with_index(files, {name: value for name, value in fields.items() if name not in derived})
    (out / "evidence.zip").write_bytes(zipped(files))

    done = [run(block, out) for block in BLOCKS if "bundle" in block]

    assert any(each.returncode or "DIFFERS" in each.stdout for each in done)


def read_zip_anew(content: bytes) -> bytes:
    """Repair the checksums of a container whose members were changed in place."""
    found = bytearray(content)
    position = 0
    sums: dict[bytes, int] = {}
    while found[position : position + 4] == b"PK\x03\x04":
        size, name_size = (
            struct.unpack_from("<I", found, position + 22)[0],
            struct.unpack_from("<H", found, position + 26)[0],
        )
        start = position + 30 + name_size
        name = bytes(found[position + 30 : start])
        sums[name] = zlib.crc32(found[start : start + size])
        struct.pack_into("<I", found, position + 14, sums[name])
        position = start + size
    while found[position : position + 4] == b"PK\x01\x02":
        name_size = struct.unpack_from("<H", found, position + 28)[0]
        name = bytes(found[position + 46 : position + 46 + name_size])
        struct.pack_into("<I", found, position + 16, sums[name])
        position += 46 + name_size
    return bytes(found)


def test_the_authorities_of_the_page_are_the_ones_that_issued_the_signers(
    results: Path, pki: ServedPki
) -> None:
    root, authority = x509.load_pem_x509_certificates((results / "authorities.pem").read_bytes())

    assert authority == pki.certificates("labour-sign")[1]
    assert root.public_bytes(Encoding.PEM) == pki.certificate("root").read_bytes()
