# SPDX-License-Identifier: Apache-2.0
"""Time-stamping authorities that fail in every way, over HTTP, and the client that must not be fooled.

The table of FAULTS is the one of docs/trust.md, section 6.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import threading
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from asn1crypto import cms, core, tsp
from cryptography.hazmat.primitives.serialization import Encoding
from structlog.testing import capture_logs

from hub.clock import FixedClock, SystemClock
from hub.errors import TrustError
from hub.trust import (
    ListedService,
    OnlineRevocation,
    TimeStamp,
    TimeStampAuthority,
    TimeStampClient,
    TrustList,
    Validator,
    listed_authorities,
    verify_time_stamp,
)
from tests.pki import free_port
from tests.tsa import Authority, Behaviour, authority

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hub.clock import Clock
    from tests.pki import ServedPki

DIGEST = hashlib.sha256(b"a checkpoint").digest()
TOLERATED = timedelta(minutes=4, seconds=50)
TOO_MUCH = timedelta(minutes=6, seconds=30)


@dataclass(frozen=True)
class Fault:
    """One way to fail.

    Attributes:
        change: makes an honest authority's behaviour faulty.
        code: the authority's answer is refused with it.
        hint: what the refusal says.
    """

    change: Callable[[Behaviour, ServedPki], Behaviour]
    code: str
    hint: str


def other_key(behaviour: Behaviour, pki: ServedPki) -> Behaviour:
    """Show and name the authority's certificate, sign with another key."""
    chain = behaviour.key.certificate_chain
    return replace(behaviour, key=pki.signer("tsa-2"), shown=chain, named=chain[0])


def signed_by(label: str) -> Callable[[Behaviour, ServedPki], Behaviour]:
    return lambda behaviour, pki: replace(behaviour, key=pki.signer(label))


def doing(**changes: Any) -> Callable[[Behaviour, ServedPki], Behaviour]:
    return lambda behaviour, _pki: replace(behaviour, **changes)


def hanging(behaviour: Behaviour, pki: ServedPki) -> Behaviour:
    del pki
    return replace(behaviour, hangs=threading.Event())


INVALID, UNAVAILABLE = "trust.timestamp_invalid", "trust.timestamp_unavailable"
FAULTS: dict[str, Fault] = {
    "slow": Fault(hanging, UNAVAILABLE, "ReadTimeout"),
    "trickling": Fault(doing(drips=0.02), UNAVAILABLE, "takes too long"),
    "endless": Fault(doing(endless=True), UNAVAILABLE, "too long"),
    "HTML": Fault(
        doing(content_type="text/html", answer=lambda _: b"<html>"), UNAVAILABLE, "200 with text/html"
    ),
    "HTTP error": Fault(doing(http_status=503), UNAVAILABLE, "it answered 503"),
    "redirect": Fault(doing(http_status=302), UNAVAILABLE, "it answered 302"),
    "truncated": Fault(doing(answer=lambda answer: answer[:-20]), INVALID, "no time-stamp token"),
    "something appended": Fault(doing(answer=lambda answer: answer + b"\0"), INVALID, "no time-stamp token"),
    "empty": Fault(doing(answer=lambda _: b""), INVALID, "no time-stamp token"),
    "rejection": Fault(doing(status="rejection"), INVALID, "rejection, time_not_available, 时间源不可用"),
    "waiting": Fault(doing(status="waiting"), INVALID, "waiting"),
    "wrong digest": Fault(doing(imprint=lambda _: bytes(32)), INVALID, "other content"),
    "wrong nonce": Fault(doing(nonce=lambda nonce: (nonce or 0) + 1), INVALID, "random number"),
    "no nonce": Fault(doing(nonce=lambda _: None), INVALID, "random number"),
    "wrong policy": Fault(doing(fields={"policy": "1.2.3.4"}), INVALID, "policy 1.2.3.4"),
    "slow clock": Fault(doing(off=-TOO_MUCH), INVALID, "at most 5 minutes"),
    "fast clock": Fault(doing(off=TOO_MUCH), INVALID, "at most 5 minutes"),
    "vague": Fault(doing(accuracy=61), INVALID, "accurate to 61 seconds"),
    "other version": Fault(doing(fields={"version": 2}), INVALID, "version is v2"),
    "unknown extension": Fault(
        doing(fields={"extensions": [{"extn_id": "1.2.3.4", "critical": True, "extn_value": b"\x05\x00"}]}),
        INVALID,
        "critical extension",
    ),
    "signed by another key": Fault(other_key, INVALID, "signature does not hold"),
    "binds another certificate": Fault(
        doing(bound=lambda certificate: certificate[:-1] + b"\0"), INVALID, "binds another certificate"
    ),
    "binds no certificate": Fault(doing(bound=None), INVALID, "signing certificate is missing"),
    "sends no certificate": Fault(doing(shown=()), INVALID, "certificate is not there"),
    "certificate for other purposes": Fault(
        signed_by("labour-seal"), "trust.usage_not_allowed", "extended key usage"
    ),
    "certificate with the purpose not critical": Fault(
        signed_by("tsa-lenient"), "trust.usage_not_allowed", "critical"
    ),
    "revoked": Fault(signed_by("tsa-revoked"), "trust.certificate_revoked", "the key is compromised"),
    "expired": Fault(signed_by("tsa-expired"), "trust.certificate_expired", "expired"),
    "unlisted": Fault(signed_by("tsa-unlisted"), "trust.unknown_authority", ""),
}


@pytest.fixture(scope="module")
def validator(pki: ServedPki) -> Iterator[Validator]:
    source = OnlineRevocation()
    yield Validator(pki.approved(), source)
    source.close()


@pytest.fixture
def honest(pki: ServedPki) -> Behaviour:
    return Behaviour(pki.signer("tsa"))


@contextmanager
def client_of(
    validator: Validator, *urls: str, policy: str | None = None, clock: Clock | None = None
) -> Iterator[TimeStampClient]:
    """A client that does not wait long, so that the tests do not."""
    http = httpx2.Client(timeout=httpx2.Timeout(0.4), follow_redirects=False, trust_env=False)
    listed = [TimeStampAuthority(f"authority {number}", url, policy) for number, url in enumerate(urls, 1)]
    client = TimeStampClient(listed, validator, clock or SystemClock(), client=http, longest_seconds=0.8)
    try:
        yield client
    finally:
        client.close()


def stamp(validator: Validator, behaviour: Behaviour, *, policy: str | None = None) -> TimeStamp:
    with authority(behaviour) as running, client_of(validator, running.url, policy=policy) as client:
        return client.stamp(DIGEST)


def refusal_of(validator: Validator, behaviour: Behaviour) -> tuple[str, str]:
    """The code and words with which the one authority's answer is refused."""
    with capture_logs() as logs, pytest.raises(TrustError) as refused:
        stamp(validator, behaviour, policy="1.2.156.10197.6.1")
    assert refused.value.code == UNAVAILABLE
    assert refused.value.is_retryable
    [log] = [each for each in logs if each["event"] == "time_stamp.refused"]
    assert log["why"] in refused.value.detail
    return log["code"], log["why"]


def test_an_honest_authority_is_believed_and_everything_it_said_is_returned(
    validator: Validator, honest: Behaviour, pki: ServedPki
) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    given = stamp(validator, honest)

    assert before <= given.at <= datetime.now(UTC) + timedelta(seconds=1)
    assert (given.accuracy, given.policy) == (timedelta(seconds=1), "1.2.156.10197.6.1")
    assert (given.digest_algorithm, given.digest) == ("sha256", DIGEST)
    assert given.path.path[:2] == pki.certificates("tsa")
    assert given.path.revocation
    again = verify_time_stamp(given.token, DIGEST, validator)
    assert (again.at, again.token, again.path.path) == (given.at, given.token, given.path.path)


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_ends_in_its_own_refusal(
    validator: Validator, honest: Behaviour, pki: ServedPki, name: str
) -> None:
    fault = FAULTS[name]
    code, words = refusal_of(validator, fault.change(honest, pki))
    assert code == fault.code
    assert fault.hint in words


@pytest.mark.parametrize("name", FAULTS)
def test_when_the_first_authority_fails_the_second_stamps_and_is_asked_first_for_a_while(
    validator: Validator, honest: Behaviour, pki: ServedPki, name: str
) -> None:
    clock = FixedClock(datetime.now(UTC))
    with (
        authority(FAULTS[name].change(honest, pki)) as first,
        authority(replace(honest, key=pki.signer("tsa-2"))) as second,
        client_of(validator, first.url, second.url, policy="1.2.156.10197.6.1", clock=clock) as client,
    ):
        assert client.stamp(DIGEST).path.leaf == pki.certificates("tsa-2")[0]
        client.stamp(DIGEST)
        assert (len(first.requests), len(second.requests)) == (1, 2)
        clock.move_to(clock.now() + timedelta(seconds=61))
        client.stamp(DIGEST)
        assert (len(first.requests), len(second.requests)) == (2, 3)


def test_an_authority_that_is_down_is_passed_over_and_one_that_is_back_comes_first_again(
    validator: Validator, honest: Behaviour, pki: ServedPki
) -> None:
    clock = FixedClock(datetime.now(UTC))
    nobody = f"http://127.0.0.1:{free_port()}/tsa"
    with (
        authority(replace(honest, key=pki.signer("tsa-2"))) as second,
        client_of(validator, nobody, second.url, clock=clock) as client,
        capture_logs() as logs,
    ):
        assert client.stamp(DIGEST).path.leaf == pki.certificates("tsa-2")[0]
        client.stamp(DIGEST)
    assert [(log["code"], log["authority"]) for log in logs] == [(UNAVAILABLE, "authority 1")]


def test_resting_authorities_are_asked_all_the_same_when_nobody_else_is_left(
    validator: Validator, honest: Behaviour
) -> None:
    with authority(replace(honest, status="rejection")) as only, client_of(validator, only.url) as client:
        with pytest.raises(TrustError):
            client.stamp(DIGEST)
        only.behaviour = honest
        assert client.stamp(DIGEST).digest == DIGEST


def test_every_request_asks_for_certificates_and_carries_its_own_64_random_bits(
    validator: Validator, honest: Behaviour
) -> None:
    with authority(honest) as running, client_of(validator, running.url) as client:
        for _ in range(8):
            client.stamp(DIGEST)
    asked = [tsp.TimeStampReq.load(request) for request in running.requests]
    nonces = {each["nonce"].native for each in asked}
    assert len(nonces) == 8
    assert max(nonces) > 2**56
    assert all(each["cert_req"].native for each in asked)
    assert {each["message_imprint"]["hashed_message"].native for each in asked} == {DIGEST}


def test_a_token_given_for_an_earlier_request_is_refused(validator: Validator, honest: Behaviour) -> None:
    with authority(honest) as running, client_of(validator, running.url) as client:
        client.stamp(DIGEST)
        earlier = running.answers[0]
        running.behaviour = replace(honest, answer=lambda _: earlier)
        with pytest.raises(TrustError) as refused:
            client.stamp(DIGEST)
    assert "random number" in refused.value.detail


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
def test_each_digest_of_the_table_can_be_stamped(
    validator: Validator, honest: Behaviour, algorithm: str
) -> None:
    digest = hashlib.new(algorithm, b"a checkpoint").digest()
    with authority(honest) as running, client_of(validator, running.url) as client:
        given = client.stamp(digest, algorithm)
        with pytest.raises(ValueError, match="not a digest"):
            client.stamp(digest[:-1], algorithm)
        with pytest.raises(ValueError, match="not a digest"):
            client.stamp(hashlib.sha1(b"", usedforsecurity=False).digest(), "sha1")
    assert (given.digest_algorithm, given.digest) == (algorithm, digest)
    again = verify_time_stamp(
        given.token, lambda name: hashlib.new(name, b"a checkpoint").digest(), validator
    )
    assert again.at == given.at


@pytest.mark.parametrize(
    "change",
    [
        doing(status="granted_with_mods"),
        doing(off=TOLERATED),
        doing(off=-TOLERATED),
        doing(off=timedelta(minutes=5, seconds=30), accuracy=60),
        doing(off=-timedelta(minutes=5, seconds=30), accuracy=60),
        doing(accuracy=None),
        doing(binding="signing_certificate"),
        doing(binds_serial=True),
        doing(content_type="Application/Timestamp-Reply; charset=binary"),
        signed_by("tsa-rsa"),
        signed_by("tsa-p384"),
        doing(fields={"extensions": [{"extn_id": "1.2.3.4", "critical": False, "extn_value": b"\x05\x00"}]}),
    ],
)
def test_what_the_standard_allows_is_believed(
    validator: Validator,
    honest: Behaviour,
    pki: ServedPki,
    change: Callable[[Behaviour, ServedPki], Behaviour],
) -> None:
    assert stamp(validator, change(honest, pki)).digest == DIGEST


def test_certificates_that_are_not_needed_are_left_out_of_what_is_kept(
    validator: Validator, honest: Behaviour, pki: ServedPki
) -> None:
    shown = (*pki.certificates("labour-sign"), *pki.certificates("tsa"))
    given = stamp(validator, replace(honest, shown=shown))
    kept = cms.ContentInfo.load(given.token)["content"]["certificates"]
    assert {each.chosen.dump() for each in kept} == {
        each.public_bytes(Encoding.DER) for each in pki.certificates("tsa")
    }
    assert verify_time_stamp(given.token, DIGEST, validator).at == given.at


def test_a_token_with_a_certificate_that_does_not_belong_there_is_not_in_its_one_form(
    validator: Validator, honest: Behaviour, pki: ServedPki
) -> None:
    shown = (*pki.certificates("labour-sign"), *pki.certificates("tsa"))
    with authority(replace(honest, shown=shown)) as running, client_of(validator, running.url) as client:
        client.stamp(DIGEST)
    token = tsp.TimeStampResp.load(running.answers[0])["time_stamp_token"].dump()
    with pytest.raises(TrustError) as refused:
        verify_time_stamp(token, DIGEST, validator)
    assert refused.value.finding is not None
    assert refused.value.finding.reason_id == "timestamp_certificates"


def test_a_token_proves_nothing_of_other_content(validator: Validator, honest: Behaviour) -> None:
    given = stamp(validator, honest)
    with pytest.raises(TrustError) as refused:
        verify_time_stamp(given.token, hashlib.sha256(b"another").digest(), validator)
    assert refused.value.finding is not None
    assert refused.value.finding.reason_id == "timestamp_imprint"


def test_no_byte_of_a_token_can_be_changed_unnoticed(validator: Validator, honest: Behaviour) -> None:
    given = stamp(validator, honest)
    for position in range(0, len(given.token), 5):
        changed = bytearray(given.token)
        changed[position] ^= 1 << position % 8
        with pytest.raises(TrustError):
            verify_time_stamp(bytes(changed), DIGEST, validator)


def other_version(token: Any) -> None:
    token["content"]["version"] = "v5"


def other_signer_version(token: Any) -> None:
    token["content"]["signer_infos"][0]["version"] = "v3"


def with_unsigned_attribute(token: Any) -> None:
    attribute = cms.CMSAttribute({"type": "1.2.3.4", "values": [core.Null()]})
    token["content"]["signer_infos"][0]["unsigned_attrs"] = [attribute]


def with_certificate_twice(token: Any) -> None:
    shown = list(token["content"]["certificates"])
    token["content"]["certificates"] = cms.CertificateSet([*shown, shown[0]])


@pytest.mark.parametrize(
    "change", [other_version, other_signer_version, with_unsigned_attribute, with_certificate_twice]
)
def test_what_no_signature_covers_is_held_to_one_form(
    validator: Validator, honest: Behaviour, change: Callable[[Any], None]
) -> None:
    given = stamp(validator, honest)
    changed = cms.ContentInfo.load(given.token)
    change(changed)
    written = changed.dump()
    assert written != given.token
    with pytest.raises(TrustError) as refused:
        verify_time_stamp(written, DIGEST, validator)
    assert refused.value.finding is not None
    assert refused.value.finding.reason_id == "timestamp_form"


def test_nothing_that_is_cut_off_or_made_up_is_read(validator: Validator, honest: Behaviour) -> None:
    given = stamp(validator, honest)
    hostile = [given.token[:length] for length in range(0, len(given.token), 97)]
    hostile += [given.token + b"\0", b"\x30\x80" * 5_000, b"\xff" * 100, bytes(300_000)]
    for token in hostile:
        with pytest.raises(TrustError) as refused:
            verify_time_stamp(token, DIGEST, validator)
        assert refused.value.code == INVALID


def test_the_authorities_are_those_of_the_list_in_force_that_are_approved_and_have_an_address(
    pki: ServedPki, validator: Validator
) -> None:
    now = datetime.now(UTC)
    certificate = pki.certificates("tsa")[0]
    services = [
        ListedService(certificate, "first", "http://first/", now - timedelta(days=2), None),
        ListedService(certificate, "nowhere", None, now - timedelta(days=2), None),
        ListedService(certificate, "over", "http://over/", now - timedelta(days=2), now - timedelta(days=1)),
        ListedService(certificate, "second", "http://second/", now - timedelta(days=2), None),
    ]
    find = listed_authorities(TrustList((), tuple(services)))
    assert [each.name for each in find(now)] == ["first", "second"]
    assert [each.name for each in find(now - timedelta(days=1, hours=1))] == ["first", "over", "second"]

    client = TimeStampClient(listed_authorities(TrustList(())), validator, SystemClock())
    with pytest.raises(TrustError) as refused:
        client.stamp(DIGEST)
    client.close()
    assert refused.value.code == UNAVAILABLE
    assert "none is listed" in refused.value.detail


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_openssl_confirms_a_token_and_its_own_tokens_are_believed(
    validator: Validator, honest: Behaviour, pki: ServedPki, tmp_path: Path
) -> None:
    given = stamp(validator, honest)
    (tmp_path / "token.der").write_bytes(given.token)
    ca = pki.certificate("root").read_bytes() + pki.certificate("seal-ca").read_bytes()
    (tmp_path / "authorities.pem").write_bytes(ca)
    command = ["openssl", "ts", "-verify", "-digest", DIGEST.hex(), "-token_in", "-in", "token.der"]
    done = subprocess.run(
        [*command, "-CAfile", "authorities.pem"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "Verification: OK" in done.stdout, done.stderr

    openssl = OpensslAuthority(pki, tmp_path)
    behaviour = replace(honest, answer=lambda _: openssl.answer(running.requests[-1]))
    with authority(behaviour) as running, client_of(validator, running.url) as client:
        theirs = client.stamp(DIGEST)
    assert theirs.path.leaf == pki.certificates("tsa")[0]
    assert verify_time_stamp(theirs.token, DIGEST, validator).at == theirs.at


class OpensslAuthority:
    """`openssl ts -reply`, the reference implementation of the other side."""

    def __init__(self, pki: ServedPki, folder: Path) -> None:
        self._folder, self._passphrase = folder, pki.passphrase.decode()
        (folder / "serial").write_text("01\n")
        (folder / "chain.pem").write_bytes(pki.certificate("seal-ca").read_bytes())
        (folder / "ts.cnf").write_text(
            "[tsa]\ndefault_tsa = tsa1\n[tsa1]\n"
            f"serial = {folder}/serial\nsigner_cert = {pki.certificate('tsa')}\n"
            f"certs = {folder}/chain.pem\nsigner_key = {pki.key('tsa')}\nsigner_digest = sha256\n"
            "default_policy = 1.2.3.4\ndigests = sha256\naccuracy = secs:1\ntsa_name = yes\n"
            "ess_cert_id_chain = yes\ness_cert_id_alg = sha256\n"
        )

    def answer(self, request: bytes) -> bytes:
        (self._folder / "request.tsq").write_bytes(request)
        subprocess.run(
            [
                *("openssl", "ts", "-reply", "-config", "ts.cnf", "-queryfile", "request.tsq"),
                *("-passin", f"pass:{self._passphrase}", "-out", "answer.tsr"),
            ],
            cwd=self._folder,
            check=True,
            capture_output=True,
        )
        return (self._folder / "answer.tsr").read_bytes()


def test_the_page_about_trust_names_every_fault() -> None:
    page = (Path(__file__).parents[3] / "docs" / "trust.md").read_text(encoding="utf-8")
    section = page.partition("\n## 6. Time\n")[2].partition("\n## ")[0]
    rows = {row[0]: row[1] for row in re.findall(r"^\| ([^|`]+) \| `([a-z._]+)` \|", section, re.MULTILINE)}
    expected = {name: fault.code for name, fault in FAULTS.items()}
    assert rows == expected | {"down": UNAVAILABLE, "token of an earlier request": INVALID}


def test_an_authority_stays_itself(honest: Behaviour) -> None:
    """The stand-in must answer as it is told, or the tests above prove nothing."""
    with authority(honest) as running:
        assert isinstance(running, Authority)
        answer = httpx2.post(
            running.url,
            content=tsp.TimeStampReq(
                {
                    "version": 1,
                    "message_imprint": {"hash_algorithm": {"algorithm": "sha256"}, "hashed_message": DIGEST},
                }
            ).dump(),
        )
        assert tsp.TimeStampResp.load(answer.content)["status"]["status"].native == "granted"
