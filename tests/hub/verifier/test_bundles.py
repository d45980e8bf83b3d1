# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
import json
import struct
import zipfile
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.errors import Language
from hub.preservation import without_record
from hub.tlog import Cosigner, PolicyWitness
from hub.verifier import bundles, containers, exchanges, render_report, report_to_json
from tests.hub.verifier.evidence import World, with_index, zipped
from tests.hub.verifier.stored import now

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from hub.trust import VerificationReport
    from tests.pki import ServedPki

PEOPLE = {"README.txt", "summary.html", "summary.pdf"}
Files = dict[str, bytes]


@pytest.fixture(scope="module")
def world(pki: ServedPki) -> Iterator[World]:
    world = World(pki)
    world.exchange(text="one")
    world.exchange(is_refused=True, text="two")
    world.exchange(text="three")
    yield world
    world.close()


@pytest.fixture(scope="module")
def files(world: World) -> Files:
    return world.bundle()


def failed(report: VerificationReport, prefix: str = "") -> list[str]:
    """Name every step that failed by itself, as `<part>/<step>`."""
    found = [
        prefix + each.name
        for each in report.steps
        if not each.is_passed and not each.reason.startswith("not checked")
    ]
    for section in report.sections:
        part = section.subject.rsplit("/", 1)[-1].partition(".")[0] if "/" in section.subject else "exchange"
        found += failed(section, f"{part}/")
    return found


def index_of(files: Files) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(files["bundle.json"])
    return found


def by_attacker(files: Files, changed: Mapping[str, bytes | None]) -> Files:
    """Change files and let `bundle.json` match: whoever may write the ZIP may do that too."""
    more = {path: content for path, content in {**files, **changed}.items() if content is not None}
    fields = {
        name: value
        for name, value in index_of(files).items()
        if name not in {"files", "trust_lists", "certificates", "revocation"}
    }
    return with_index(more, fields)


def in_transit(files: Files, changed: Mapping[str, bytes | None]) -> Files:
    """Change files and nothing else."""
    return {path: content for path, content in {**files, **changed}.items() if content is not None}


def flipped(content: bytes, position: int | None = None) -> bytes:
    at = len(content) // 2 if position is None else position % len(content)
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def step_for(path: str) -> str:
    """Name the step that has to find out about a file, when the index was made to match."""
    name = path.rsplit("/", 1)[-1]
    if path.endswith(".asice") and path.startswith("messages/"):
        part = name.partition(".")[0]
        return (
            "exchange/"
            + {"request": exchanges.REQUEST, "answer": exchanges.ANSWER, "receipt": exchanges.RECEIPT}[part]
        )
    if path.endswith(".tlog-proof"):
        return f"exchange/{exchanges.PROOF}: {name[6:-11]}"
    if name.startswith("entry-"):
        return f"exchange/{exchanges.ENTRY}: {name[6:-5]}"
    return {
        "checkpoint.txt": bundles.CHECKPOINT,
        "checkpoint.ers": bundles.RECORD,
        "policy.txt": bundles.POLICY,
        "lists": bundles.LISTS,
        "certificates": bundles.CERTIFICATES,
        "revocation": bundles.CERTIFICATES,
    }[path.split("/")[1]]


def test_a_bundle_of_a_hub_is_valid_in_every_step(world: World, files: Files) -> None:
    report = world.verify(files)

    assert failed(report) == []
    assert report.is_valid
    assert (report.kind, report.subject) == ("evidence bundle", "bundle.zip")
    assert [section.kind for section in report.sections] == ["exchange"] * 3
    assert {len(section.sections) for section in report.sections} == {3}
    assert {part.kind for section in report.sections for part in section.sections} == {"envelope"}
    assert report.facts["hub"] == "11510108MB1A00001J/hub"


def test_the_report_is_told_in_both_languages_and_as_json(world: World, files: Files) -> None:
    report = world.verify(in_transit(files, {"log/checkpoint.ers": b"x"}))

    english, chinese = render_report(report, Language.EN), render_report(report, Language.ZH)
    told = report_to_json(report)

    assert "bundle.zip (evidence bundle): NOT VALID" in english
    assert "FAILED  Digests of all files" in english
    assert "证据包" in chinese
    assert "未通过  全部文件的摘要" in chinese
    assert not any("Digests" in line for line in chinese.split("\n"))
    assert told["is_valid"] is False
    assert len(told["sections"]) == 3
    assert json.loads(json.dumps(told)) == told


@pytest.mark.parametrize("change", ["remove", "flip", "swap"])
def test_whatever_member_is_changed_in_transit_the_digests_show_it(
    world: World, files: Files, change: str
) -> None:
    for path in list(files)[::3] if change == "swap" else files:
        if path == "bundle.json":
            continue
        other = next(each for each in files if each != path and files[each] != files[path])
        content = {"remove": None, "flip": flipped(files[path]), "swap": files[other]}[change]

        report = world.verify(in_transit(files, {path: content}))

        assert not report.is_valid, path
        assert bundles.DIGESTS in failed(report), path
        assert (bundles.LISTED in failed(report)) is (change == "remove"), path


def test_whatever_member_an_attacker_takes_away_the_step_about_it_says_so(world: World, files: Files) -> None:
    for path in set(files) - PEOPLE - {"bundle.json"}:
        report = world.verify(by_attacker(files, {path: None}))

        expected = {
            bundles.CERTIFICATES: bundles.EXCHANGES
            if "certificates" in path
            else f"request/{containers.REVOCATION}"
        }.get(step_for(path), step_for(path))
        assert not report.is_valid, path
        if "revocation" in path:
            assert any(containers.REVOCATION in each for each in failed(report)), path
        else:
            assert expected in failed(report), path


def test_whatever_byte_an_attacker_flips_the_step_about_the_file_says_so(world: World, files: Files) -> None:
    for path in set(files) - PEOPLE - {"bundle.json"}:
        for position in (len(files[path]) // 2, -2):
            report = world.verify(by_attacker(files, {path: flipped(files[path], position)}))

            assert not report.is_valid, path
            about = {step_for(path), step_for(path).replace(exchanges.ENTRY, exchanges.PROOF)}
            record = (
                {bundles.RECORD, "Form of the evidence record: checkpoint"}
                if path.endswith(".ers")
                else set()
            )
            hits = (
                {each for each in failed(report) if "checkpoint" in each} if path.endswith(".ers") else set()
            )
            assert (about | record | hits) & set(failed(report)), (path, failed(report))


def test_a_member_of_another_exchange_fits_nowhere_else(world: World, files: Files) -> None:
    one, _, three = (each.request.header.id for each in world.exchanges)
    names = ["request.asice", "answer.asice", "receipt.asice"]
    for name in names:
        here, there = f"messages/{one}/{name}", f"messages/{three}/{name}"

        report = world.verify(by_attacker(files, {here: files[there], there: files[here]}))

        assert not report.is_valid, name
        assert {
            f"exchange/{exchanges.INDEX}" if name == "request.asice" else f"exchange/{exchanges.BOUND}",
            f"exchange/{exchanges.SPEAKS}",
        } & set(failed(report)), name
    entries = [path for path in files if path.endswith(".json") and "entry" in path]
    for path in entries:
        other = next(each for each in entries if each != path)
        about = {step_for(path), step_for(path).replace(exchanges.ENTRY, exchanges.PROOF)}
        assert about & set(failed(world.verify(by_attacker(files, {path: files[other]}))))
    proofs = [path for path in files if path.endswith(".tlog-proof")]
    for path in proofs:
        other = next(each for each in proofs if each != path)
        assert step_for(path) in failed(world.verify(by_attacker(files, {path: files[other]})))


def test_the_record_of_another_container_covers_nothing_here(world: World, files: Files) -> None:
    from hub.preservation import with_record

    one, _, three = (each.request.header.id for each in world.exchanges)
    here, there = f"messages/{one}/answer.asice", f"messages/{three}/answer.asice"
    plain, _ = without_record(files[here])
    _, record = without_record(files[there])
    assert record is not None

    report = world.verify(by_attacker(files, {here: with_record(plain, record)}))

    assert "answer/Evidence record covers the data objects" in failed(report)


def test_a_container_without_its_evidence_record_is_not_valid(world: World, files: Files) -> None:
    for path in [each for each in files if each.startswith("messages/") and each.endswith(".asice")]:
        plain, _ = without_record(files[path])

        report = world.verify(by_attacker(files, {path: plain}))

        part = path.rsplit("/", 1)[-1].partition(".")[0]
        assert failed(report)[-1] == f"{part}/{containers.RECORD}"


def test_an_older_version_of_a_part_does_not_get_through(pki: ServedPki) -> None:
    world = World(pki)
    first = world.exchange(text="one")
    before = world.bundle()
    world.exchange(text="two")
    after = world.bundle()
    place = f"messages/{first.request.header.id}"

    for path in ("log/checkpoint.txt", "log/checkpoint.ers", f"{place}/entry-0.tlog-proof"):
        report = world.verify(by_attacker(after, {path: before[path]}))
        assert not report.is_valid, path
        assert failed(report), path
    whole_log = {path: before[path] for path in before if path.startswith("log/")}
    report = world.verify(by_attacker(after, whole_log))
    assert f"exchange/{exchanges.PROOF}: 0" in failed(report)
    # A record of the same container, had earlier, proves what it always proved.
    assert world.verify(
        by_attacker(after, {f"{place}/answer.asice": before[f"{place}/answer.asice"]})
    ).is_valid
    world.close()


def changed_index(files: Files, change: Callable[[dict[str, Any]], object]) -> Files:
    fields = index_of(files)
    change(fields)
    fields["messages"].sort(key=lambda line: (line["received_at"], line["id"]))
    return with_index(
        files,
        {k: v for k, v in fields.items() if k not in {"files", "trust_lists", "certificates", "revocation"}},
    )


@pytest.mark.parametrize(
    ("name", "value", "step"),
    [
        ("id", "01a2068c-aba0-74c9-890d-b3fb551cbf67", bundles.INDEX),
        ("conversation", "01a2068c-aba0-74c9-890d-b3fb551cbf67", f"exchange/{exchanges.INDEX}"),
        ("sender", "11510108MB1A00002M/employment", f"exchange/{exchanges.INDEX}"),
        ("recipient", "13510108MB1A00003J/fund", f"exchange/{exchanges.INDEX}"),
        ("service", "11510108MB1A00002M/employment/other", f"exchange/{exchanges.INDEX}"),
        ("state", "refused", f"exchange/{exchanges.STATE}"),
        ("state", "in_progress", f"exchange/{exchanges.STATE}"),
        ("code", "exchange.expired", f"exchange/{exchanges.STATE}"),
        ("concluded_at", "2026-01-01T00:00:00.000Z", f"exchange/{exchanges.STATE}"),
        ("concluded_at", None, f"exchange/{exchanges.STATE}"),
        ("received_at", "2020-01-01T00:00:00.000Z", f"exchange/{exchanges.TIMES}"),
        ("received_at", "2019-01-01T00:00:00.000Z", f"exchange/{exchanges.INDEX}"),
        ("entries", [], f"exchange/{exchanges.LOGGED}"),
    ],
)
def test_what_the_index_says_of_an_exchange_is_held_to_what_is_signed(
    world: World, files: Files, name: str, value: object, step: str
) -> None:
    wanted = world.exchanges[0].request.header.id

    def change(fields: dict[str, Any]) -> None:
        next(line for line in fields["messages"] if line["id"] == wanted).update({name: value})

    report = world.verify(changed_index(files, change))

    assert not report.is_valid
    assert step in failed(report)


@pytest.mark.parametrize(
    ("change", "step"),
    [
        ({"format": "heliograph-evidence/2"}, bundles.INDEX),
        ({"more": 1}, bundles.INDEX),
        ({"created_at": "2999-01-01T00:00:00.000Z"}, bundles.INDEX),
        ({"created_at": "2020-01-01T00:00:00.000Z"}, f"exchange/{exchanges.TIMES}"),
        ({"messages": []}, bundles.EXCHANGES),
        ({"checkpoint": None}, bundles.CHECKPOINT),
        ({"checkpoint_record": None}, bundles.RECORD),
        (
            {"hub": {"subsystem": "11510108MB1A00002M/employment", "log_origin": "log.example/2026"}},
            f"exchange/{exchanges.SPEAKS}",
        ),
        ({"hub": {"subsystem": "11510108MB1A00001J/hub", "log_origin": "other"}}, bundles.CHECKPOINT),
        (
            {"selection": {"message": "01a2068c-aba0-74c9-890d-b3fb551cbf67", "party": None}},
            f"exchange/{exchanges.INDEX}",
        ),
        ({"selection": {"case": "2", "party": None}}, f"exchange/{exchanges.INDEX}"),
        (
            {"selection": {"since": None, "until": "2020-01-01T00:00:00.000Z", "party": None}},
            f"exchange/{exchanges.INDEX}",
        ),
        ({"selection": {"case": "1", "party": "91510108MA6C00001C/x"}}, f"exchange/{exchanges.INDEX}"),
        ({"selection": {"case": "1", "message": "x", "party": None}}, bundles.EXCHANGES),
        ({"selection": {"case": "1"}}, bundles.EXCHANGES),
        ({"missing": [{"what": "log/x", "why": "stamp_waiting", "zh": "", "en": ""}]}, bundles.COMPLETE),
    ],
)
def test_what_the_index_says_of_the_bundle_is_held_to_it(
    world: World, files: Files, change: dict[str, object], step: str
) -> None:
    report = world.verify(changed_index(files, lambda fields: fields.update(change)))

    assert not report.is_valid
    assert step in failed(report)


@pytest.mark.parametrize("value", [{"case": "1"}, {"conversation": None}])
def test_a_selection_that_fits_is_fine(world: World, files: Files, value: dict[str, object]) -> None:
    party = world.exchanges[0].request.header.sender
    if value == {"case": "1"}:
        chosen = changed_index(files, lambda fields: fields.update(selection={**value, "party": party}))
        assert world.verify(chosen).is_valid


def test_a_file_that_no_step_uses_is_not_accounted_for(world: World, files: Files) -> None:
    for path in ("evil.txt", "log/other.txt", f"messages/{world.exchanges[0].request.header.id}/more.asice"):
        report = world.verify(by_attacker(files, {path: b"x"}))
        assert failed(report) == [bundles.ACCOUNTED], path
        assert failed(world.verify(in_transit(files, {path: b"x"}))) == [bundles.LISTED, bundles.ACCOUNTED]


def test_whom_to_believe_comes_from_the_reader_alone(world: World, files: Files) -> None:
    stranger = World(world.pki)
    other = replace(world.policy, witnesses=(PolicyWitness("w1", stranger.witness.verifier),))
    late = replace(world.policy, quorum="none")

    assert bundles.CHECKPOINT in failed(world.verify(files, policy=None))
    assert bundles.CHECKPOINT in failed(world.verify(files, policy=stranger.policy))
    assert bundles.WITNESSES in failed(world.verify(files, policy=other))
    assert world.verify(files, policy=late).is_valid
    assert bundles.EXCHANGES in failed(world.verify(files, hub="11510108MB1A00002M/employment"))
    stranger.close()


def test_a_witness_the_reader_asks_for_must_have_signed(world: World, files: Files) -> None:
    second = Cosigner("witness.example/w2", Ed25519PrivateKey.generate())
    policy = replace(
        world.policy,
        witnesses=(*world.policy.witnesses, PolicyWitness("w2", second.verifier)),
        quorum="w2",
    )

    report = world.verify(files, policy=policy)

    assert bundles.WITNESSES in failed(report)
    assert f"exchange/{exchanges.PROOF}: 0" in failed(report)


def test_a_bundle_still_verifies_while_the_time_stamp_lasts_and_not_when_its_certificate_ended(
    world: World, files: Files
) -> None:
    assert world.verify(files, at=now() + timedelta(days=365)).is_valid
    late = failed(world.verify(files, at=now() + timedelta(days=4000)))
    assert "Authority of time stamp 1: checkpoint" in late


def test_what_was_never_a_bundle_fails_the_first_step(world: World) -> None:
    for raw in (b"", b"PK\x05\x06" + bytes(18), b"hello", zipped({"bundle.json": b"[" * 50_000})):
        report = world.verify(raw)
        assert not report.is_valid
        assert not report.steps[0].is_passed or not report.steps[1].is_passed


# Hostile ZIPs: each is a good bundle, written in a way in which two readers could see two things.


def test_bytes_before_between_or_behind_are_refused(world: World, files: Files) -> None:
    raw = zipped(files)
    end = raw.rindex(b"PK\x05\x06")
    for hostile in (
        b"x" + raw,
        raw + b"x",
        raw[:-2] + b"\x01\x00x",
        raw[:end] + b"PK\x05\x06" + bytes(18) + raw[end:],
    ):
        assert failed(world.verify(hostile))[0] == bundles.ZIP


def test_bytes_hidden_between_two_members_are_refused(world: World, files: Files) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
            out.write(b"hidden")
            archive.start_dir = out.tell()

    assert failed(world.verify(out.getvalue()))[0] == bundles.ZIP


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../x", "a//b", "a\\b", "C:x", "证.txt", "a/", ".hidden", "x" * 201, "log/../x"]
)
def test_a_name_that_could_lead_elsewhere_is_refused(world: World, files: Files, name: str) -> None:
    assert failed(world.verify(by_attacker(files, {name: b""})))[0] == bundles.ZIP


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", ["README.txt", "readme.TXT"])
def test_two_members_of_one_name_are_refused(world: World, files: Files, name: str) -> None:
    out = io.BytesIO(zipped(files))
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr(name, b"other")

    assert failed(world.verify(out.getvalue()))[0] == bundles.ZIP


def test_a_bomb_is_refused_before_it_is_unpacked(world: World, files: Files) -> None:
    assert failed(world.verify(by_attacker(files, {"README.txt": bytes(5 * 1024 * 1024)})))[0] == bundles.ZIP
    raw = bytearray(zipped(files))
    central = raw.index(b"PK\x01\x02")
    struct.pack_into("<I", raw, central + 24, 3 * 1024 * 1024)
    assert failed(world.verify(bytes(raw)))[0] == bundles.ZIP


def test_members_that_overlap_or_share_their_bytes_are_refused(world: World, files: Files) -> None:
    raw = bytearray(zipped(files))
    first, second = raw.index(b"PK\x01\x02"), raw.index(b"PK\x01\x02", raw.index(b"PK\x01\x02") + 4)
    raw[second + 42 : second + 46] = raw[first + 42 : first + 46]

    assert failed(world.verify(bytes(raw)))[0] == bundles.ZIP


def test_a_link_encryption_an_unusual_method_and_two_headers_that_differ_are_refused(
    world: World, files: Files
) -> None:
    link = zipfile.ZipInfo("README.txt")
    link.external_attr = 0o120777 << 16
    without = {path: content for path, content in files.items() if path != "README.txt"}
    for info, method in ((link, zipfile.ZIP_STORED), (zipfile.ZipInfo("README.txt"), zipfile.ZIP_LZMA)):
        out = io.BytesIO(zipped(without))
        with zipfile.ZipFile(out, "a") as archive:
            archive.writestr(info, files["README.txt"], method)
        assert failed(world.verify(out.getvalue()))[0] == bundles.ZIP
    raw = zipped(files)
    renamed = bytearray(raw)
    at = raw.index(b"README.txt")
    renamed[at : at + 10] = b"READTH.txt"
    assert failed(world.verify(bytes(renamed)))[0] == bundles.ZIP
    encrypted = bytearray(raw)
    encrypted[raw.index(b"PK\x01\x02") + 8] |= 1
    assert failed(world.verify(bytes(encrypted)))[0] == bundles.ZIP


@settings(max_examples=25, deadline=None)
@given(share=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_no_byte_of_the_zip_can_be_changed_without_its_being_seen(
    world: World, files: Files, share: float, bit: int
) -> None:
    """Dates, and the bits behind a compressed member, are all that nothing is said about; PR-EVB 2.5."""
    raw = zipped(files)
    position = int(share * len(raw))
    changed = bytearray(raw)
    changed[position] ^= 1 << bit

    report = world.verify(bytes(changed))

    assert not report.is_valid or _describes(raw, position) or _fills_up(raw, bytes(changed), position)


def test_no_field_of_the_headers_or_the_end_of_the_zip_is_left_unread(world: World, files: Files) -> None:
    raw = zipped(files)
    headers = ((b"PK\x03\x04", 30), (b"PK\x01\x02", 46), (b"PK\x05\x06", 22))
    starts = {(at, length) for magic, length in headers for at in (raw.find(magic), raw.rfind(magic))}
    positions = {at + offset for at, length in starts for offset in range(length)}
    unseen = []
    for position in sorted(positions):
        for bit in (0, 7):
            changed = bytearray(raw)
            changed[position] ^= 1 << bit
            if world.verify(bytes(changed)).is_valid and not _describes(raw, position):
                unseen.append((position, bit))
    assert unseen == []


def _fills_up(raw: bytes, changed: bytes, position: int) -> bool:
    """Tell whether only bits were changed that fill up the last byte of a compressed member."""
    with zipfile.ZipFile(io.BytesIO(raw)) as before, zipfile.ZipFile(io.BytesIO(changed)) as after:
        compressed = [each for each in before.infolist() if each.compress_type == zipfile.ZIP_DEFLATED]
        ends = {each.header_offset + 29 + len(each.filename) + each.compress_size for each in compressed}
        return position in ends and all(before.read(name) == after.read(name) for name in before.namelist())


def _describes(raw: bytes, position: int) -> bool:
    """Tell whether a byte is a date, or a field of the directory by which nothing is found or judged."""
    for magic, start, free in (
        (b"PK\x03\x04", 30, {4, 5, 10, 11, 12, 13}),
        (b"PK\x01\x02", 46, {4, 5, 6, 7, 12, 13, 14, 15, 36, 37, 38, 39, 40, 41}),
    ):
        before = raw.rfind(magic, 0, position + 1)
        if before >= 0 and position - before < start:
            return position - before in free
    return False
