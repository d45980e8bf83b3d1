# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
import struct
import warnings
import zipfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.envelope import Limits
from hub.envelope.zipform import Member, read_zip, write_zip
from hub.errors import EnvelopeError

if TYPE_CHECKING:
    from collections.abc import Sequence

MEMBERS = (Member("mimetype", b"application/x"), Member("a/b.json", b"{}" * 40), Member("c", b""))
LIMITS = Limits()
NAMES = st.from_regex(
    r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,9}(/[A-Za-z0-9_-][A-Za-z0-9._-]{0,9}){0,2}", fullmatch=True
)


def refusal(raw: bytes, limits: Limits = LIMITS) -> EnvelopeError:
    with pytest.raises(EnvelopeError) as refused:
        read_zip(raw, limits)
    return refused.value


def zipped(members: Sequence[tuple[str, bytes]], method: int = zipfile.ZIP_STORED) -> bytes:
    """Write a ZIP with the standard library, as anybody might; fixed timestamps, method as asked."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # zipfile warns of duplicate names; here they are meant
        for name, content in members:
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.compress_type = method
            archive.writestr(info, content)
    return target.getvalue()


@settings(deadline=None)
@given(st.lists(st.tuples(NAMES, st.binary(max_size=300)), min_size=1, max_size=6, unique_by=lambda m: m[0]))
def test_what_is_written_is_read_back_and_every_other_reader_agrees(members: list[tuple[str, bytes]]) -> None:
    raw = write_zip(Member(*member) for member in members)

    assert list(read_zip(raw, LIMITS)) == members
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        assert archive.testzip() is None
        assert [(info.filename, archive.read(info)) for info in archive.infolist()] == members
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}


def test_a_container_cut_off_anywhere_is_refused() -> None:
    raw = write_zip(MEMBERS)

    codes = {refusal(raw[:length]).code for length in range(len(raw))}

    assert codes == {"envelope.not_a_zip", "envelope.zip_not_canonical", "envelope.member_name_invalid"}


@pytest.mark.parametrize("extra", [b"\0", b"PK\x05\x06", b"comment"])
def test_bytes_behind_the_end_are_refused(extra: bytes) -> None:
    refused = refusal(write_zip(MEMBERS) + extra)

    assert refused.code == "envelope.zip_not_canonical"
    assert "after the end" in refused.detail


def test_bytes_before_the_first_member_are_refused() -> None:
    assert refusal(b"#!/bin/sh\n" + write_zip(MEMBERS)).code == "envelope.not_a_zip"


@pytest.mark.parametrize("size", [1000, 5_000_000])
def test_a_compressed_member_is_refused_unread_and_a_bomb_called_by_its_name(size: int) -> None:
    refused = refusal(zipped([("zeros", bytes(size))], zipfile.ZIP_DEFLATED))

    assert refused.code == ("envelope.zip_bomb" if size > 1000 else "envelope.zip_not_canonical")
    assert "zeros" in refused.detail


def test_a_member_that_claims_gigabytes_is_refused_from_its_header_alone() -> None:
    raw = bytearray(zipped([("zeros", bytes(1000))], zipfile.ZIP_DEFLATED))
    struct.pack_into("<I", raw, 22, 0xFFFFFFFE)

    assert refusal(bytes(raw)).code == "envelope.zip_bomb"


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compression_methods_are_refused(method: int) -> None:
    assert refusal(zipped([("a", b"abc" * 50)], method)).code == "envelope.zip_not_canonical"


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "../outside",
        "a/../../outside",
        "a/./b",
        "a//b",
        "a/",
        "..",
        ".",
        ".hidden",
        "a/.hidden",
        "a\\b",
        "C:/windows",
        "payload/a b",
        "payload/证明.pdf",
        "a\nb",
        "a\x7fb",
    ],
)
def test_a_name_that_could_lead_elsewhere_is_refused(name: str) -> None:
    assert refusal(zipped([(name, b"x")])).code == "envelope.member_name_invalid"


def test_a_name_with_a_zero_byte_is_refused() -> None:
    raw = write_zip([Member("aXb", b"x")]).replace(b"aXb", b"a\0b")

    assert refusal(raw).code == "envelope.member_name_invalid"


def test_a_member_without_a_name_is_refused() -> None:
    assert refusal(zipped([("", b"x")])).code == "envelope.member_name_invalid"


def test_a_duplicate_member_is_refused() -> None:
    refused = refusal(zipped([("a", b"1"), ("b", b"2"), ("a", b"3")]))

    assert refused.code == "envelope.member_duplicate"


def test_names_that_differ_only_in_the_directory_are_refused() -> None:
    raw = write_zip([Member("aaa", b"1"), Member("bbb", b"2")])
    position = raw.rindex(b"bbb")

    refused = refusal(raw[:position] + b"aaa" + raw[position + 3 :])

    assert refused.code == "envelope.zip_not_canonical"
    assert "central directory header of bbb" in refused.detail


def test_members_listed_in_another_order_than_stored_are_refused() -> None:
    raw = write_zip([Member("aaa", b"1"), Member("bbb", b"2")])
    start = raw.index(b"PK\x01\x02")
    first, second = raw[start : start + 49], raw[start + 49 : start + 98]

    assert refusal(raw[:start] + second + first + raw[start + 98 :]).code == "envelope.zip_not_canonical"


def test_data_descriptors_are_refused() -> None:
    class Unseekable(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def tell(self) -> int:
            raise OSError

    target = Unseekable()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr(zipfile.ZipInfo("a", (1980, 1, 1, 0, 0, 0)), b"abc")

    assert b"PK\x07\x08" in target.getvalue()
    assert refusal(target.getvalue()).code == "envelope.zip_not_canonical"


def test_extra_fields_are_refused_in_either_header() -> None:
    extra = struct.pack("<HHI", 0x5855, 4, 0)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        info = zipfile.ZipInfo("abc", (1980, 1, 1, 0, 0, 0))
        info.extra = extra
        archive.writestr(info, b"abc")
    assert refusal(target.getvalue()).code == "envelope.zip_not_canonical"

    raw = bytearray(write_zip([Member("abc", b"x")]))
    directory = raw.index(b"PK\x01\x02")
    struct.pack_into("<H", raw, directory + 30, len(extra))
    struct.pack_into("<I", raw, len(raw) - 10, 49 + len(extra))
    raw[directory + 49 : directory + 49] = extra
    assert zipfile.ZipFile(io.BytesIO(raw)).namelist() == ["abc"]
    assert "central directory header of abc, byte 30" in refusal(bytes(raw)).detail


def test_zip64_is_refused() -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        info = zipfile.ZipInfo("abc", (1980, 1, 1, 0, 0, 0))
        with archive.open(info, "w", force_zip64=True) as member:
            member.write(b"abc")

    assert refusal(target.getvalue()).code == "envelope.zip_not_canonical"


@pytest.mark.parametrize("where", ["archive", "member"])
def test_comments_are_refused(where: str) -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        info = zipfile.ZipInfo("abc", (1980, 1, 1, 0, 0, 0))
        info.create_system = 0
        info.comment = b"psst" if where == "member" else b""
        archive.writestr(info, b"abc")
        archive.comment = b"psst" if where == "archive" else b""

    assert refusal(target.getvalue()).code == "envelope.zip_not_canonical"


def test_a_gap_between_members_that_other_readers_skip_is_refused() -> None:
    raw = write_zip([Member("aaa", b"1"), Member("bbb", b"2")])
    second = raw.index(b"PK\x03\x04", 4)
    gapped = bytearray(raw[:second] + b"hidden" + raw[second:])
    directory = gapped.index(b"PK\x01\x02")
    struct.pack_into("<I", gapped, directory + 49 + 42, second + 6)
    struct.pack_into("<I", gapped, len(gapped) - 6, directory)
    assert zipfile.ZipFile(io.BytesIO(gapped)).read("bbb") == b"2"

    assert refusal(bytes(gapped)).code == "envelope.zip_not_canonical"


def test_a_second_local_member_that_the_directory_does_not_list_is_refused() -> None:
    raw = write_zip([Member("aaa", b"1")])
    directory = raw.index(b"PK\x01\x02")
    stowaway = write_zip([Member("bbb", b"2")])
    stowaway = stowaway[: stowaway.index(b"PK\x01\x02")]
    smuggled = bytearray(raw[:directory] + stowaway + raw[directory:])
    struct.pack_into("<I", smuggled, len(smuggled) - 6, directory + len(stowaway))
    assert zipfile.ZipFile(io.BytesIO(smuggled)).namelist() == ["aaa"]

    assert refusal(bytes(smuggled)).code == "envelope.zip_not_canonical"


@pytest.mark.parametrize("changed", [{"date_time": (2026, 3, 1, 8, 0, 0)}, {"external_attr": 0o644 << 16}])
def test_timestamps_and_attributes_other_than_the_fixed_ones_are_refused(changed: dict[str, object]) -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        info = zipfile.ZipInfo("abc", (1980, 1, 1, 0, 0, 0))
        for name, value in changed.items():
            setattr(info, name, value)
        archive.writestr(info, b"abc")

    assert refusal(target.getvalue()).code == "envelope.zip_not_canonical"


@pytest.mark.parametrize(("count", "is_accepted"), [(36, True), (37, False)])
def test_the_number_of_members_is_limited(count: int, is_accepted: bool) -> None:  # noqa: FBT001 (a table's column)
    raw = write_zip([Member(f"m{number}", b"") for number in range(count)])

    if is_accepted:
        assert len(read_zip(raw, LIMITS)) == count
    else:
        assert refusal(raw).code == "envelope.too_many_members"


def test_the_size_is_limited_before_anything_is_read() -> None:
    raw = write_zip(MEMBERS)

    assert read_zip(raw, Limits(container_bytes=len(raw))) == MEMBERS
    assert refusal(raw, Limits(container_bytes=len(raw) - 1)).code == "envelope.too_large"


@pytest.mark.parametrize("raw", [b"", b"PK", b"%PDF-1.7", b"PK\x05\x06" + bytes(18), bytes(100)])
def test_what_is_no_zip_with_a_member_is_refused(raw: bytes) -> None:
    assert refusal(raw).code == "envelope.not_a_zip"


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_behind_a_local_header_s_magic_lead_to_a_refusal_and_nothing_else(rest: bytes) -> None:
    refusal(b"PK\x03\x04" + rest)
