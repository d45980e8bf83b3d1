# SPDX-License-Identifier: Apache-2.0
"""The log as tiles, read back by a reader that knows the standard and nothing of the hub's."""

from __future__ import annotations

import gzip
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hub.clock import SystemClock
from hub.database import open_database
from hub.errors import LogError
from hub.messagelog import PublishedTree, tiled_log_routes
from hub.messagelog.store import NewLeaf, insert_leaves, insert_note
from hub.problems import install_problems
from hub.tlog import Frontier, Place, Tile, encode_bundle, leaf_hash, verify_consistency, verify_inclusion
from tests.hub.messagelog.intruder import Intruder
from tests.hub.tlog.test_merkle import naive_root

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy import Engine

    from tests.hub.messagelog.conftest import RunningLog


LARGEST = 1_000
LEAVES = [leaf_hash(b"entry %d" % number) for number in range(LARGEST)]


@dataclass(frozen=True)
class Reader:
    """Computes roots and proofs of the tree of `size` entries from tiles alone.

    Attributes:
        get: returns the bytes under `/log/tile/<path>`.
    """

    get: Callable[[str], bytes]
    size: int

    def tile(self, level: int, index: int) -> list[bytes]:
        """Fetch a tile as the tree of this size has it: full, or partial at the right edge."""
        width = min(256, (self.size >> (8 * level)) - 256 * index)
        content = self.get(f"{level}/{address(index, width)}")
        assert len(content) == 32 * width
        return [content[start : start + 32] for start in range(0, len(content), 32)]

    def root(self, start: int, end: int) -> bytes:
        """MTH(D[start:end]); spans of 256**L leaves are read from level L, smaller ones are hashed."""
        if start == end:
            return sha256(b"").digest()
        count, level = end - start, 0
        while count % 256 == 0 and count >= 256:
            count, level = count // 256, level + 1
        if count == 1:
            number = start >> (8 * level)
            return self.tile(level, number // 256)[number % 256]
        split = split_of(end - start)
        left, right = self.root(start, start + split), self.root(start + split, end)
        return sha256(b"\x01" + left + right).digest()

    def inclusion(self, index: int, start: int, end: int) -> list[bytes]:
        """RFC 9162 section 2.1.3.1, PATH."""
        if end - start == 1:
            return []
        middle = start + split_of(end - start)
        if index < middle:
            return [*self.inclusion(index, start, middle), self.root(middle, end)]
        return [*self.inclusion(index, middle, end), self.root(start, middle)]


def split_of(count: int) -> int:
    """Return the largest power of two below count."""
    split = 1
    while split * 2 < count:
        split *= 2
    return split


def address(index: int, width: int = 256) -> str:
    """Write an address with the standard's words, for indexes below 1,000,000,000."""
    first, second, third = index // 10**6, index // 1000 % 1000, index % 1000
    path = f"{third:03}"
    if index >= 1000:
        path = f"x{second:03}/{path}"
    if index >= 10**6:
        path = f"x{first:03}/{path}"
    return path if width == 256 else f"{path}.p/{width}"


def fill(engine: Engine, leaves: list[bytes]) -> None:
    """Write a log of made-up entries, and a note that says they are signed."""
    frontier, rows, nodes = Frontier(), [], []
    for index, leaf in enumerate(leaves):
        frontier, completed = frontier.append(leaf)
        rows.append(NewLeaf(index, b"entry %d" % index, leaf, None))
        nodes += completed
    with engine.begin() as connection:
        insert_leaves(connection, rows, nodes)
        insert_note(connection, len(leaves), "signed", SystemClock().now())


@pytest.fixture(scope="module")
def thousand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], bytes]]:
    """Return a fetcher, with a cache, from a log of 1,000 entries."""
    engine = open_database(f"sqlite:///{tmp_path_factory.mktemp('tiles') / 'hub.sqlite'}")
    fill(engine, LEAVES)
    yield fetcher(engine)
    engine.dispose()


def fetcher(engine: Engine) -> Callable[[str], bytes]:
    client = serve(engine)

    @cache
    def get(path: str) -> bytes:
        answer = client.get(f"/log/tile/{path}")
        assert answer.status_code == 200, (path, answer.text)
        return answer.content

    return get


def serve(engine: Engine) -> TestClient:
    app = FastAPI()
    install_problems(app)
    app.include_router(tiled_log_routes(PublishedTree(engine)))
    return TestClient(app)


@pytest.fixture
def http(running: RunningLog) -> TestClient:
    return serve(running.engine)


def refused(client: TestClient, path: str) -> bool:
    answer = client.get(f"/log/tile/{path}")
    return answer.status_code == 404 and answer.json()["code"] == "log.tile_unknown"


@pytest.mark.parametrize(
    ("place", "path"),
    [
        (Place(1_234_067), "x001/x234/067"),  # the standard's own example
        (Place(1_234_067, 8), "x001/x234/067.p/8"),
        (Place(0), "000"),
        (Place(0, 1), "000.p/1"),
        (Place(999, 255), "999.p/255"),
        (Place(1000), "x001/000"),
        (Place(2**56 - 1), "x072/x057/x594/x037/x927/935"),
    ],
)
def test_a_place_is_written_as_the_standard_shows(place: Place, path: str) -> None:
    assert place.to_path() == path
    assert Place.from_path(path) == place


@given(st.integers(0, 2**64), st.integers(1, 256))
def test_every_place_is_read_back(index: int, width: int) -> None:
    place = Place(index, width)
    assert Place.from_path(place.to_path()) == place
    if index < 10**9:
        assert place.to_path() == address(index, width)


@given(st.text("x0129/.p", max_size=14))
@example("x000/001")
def test_what_is_read_as_a_place_is_its_only_address(path: str) -> None:
    with suppress(LogError):
        assert Place.from_path(path).to_path() == path


def test_there_is_no_place_outside_a_level() -> None:
    for index, width in ((-1, 256), (0, 0), (0, 257)):
        with pytest.raises(ValueError, match="a tile has an index"):
            Place(index, width)


@pytest.mark.parametrize(
    "path",
    [
        "0/0",
        "0/00",
        "0/0000",
        "0/x000/000",
        "0/x000/x001/000",
        "0/000/000",
        "0/x000",
        "0/000/",
        "0//000",
        "0/000.p",
        "0/000.p/",
        "0/000.p/0",
        "0/000.p/01",
        "0/000.p/256",
        "0/000.p/257",
        "0/000.p/1/",
        "0/000.p/%EF%BC%91",
        "0/%EF%BC%90%EF%BC%90%EF%BC%90",
        "0/-01",
        "0/+01",
        "0/000%0A",
        "0/%20000",
        "0/X001/000",
        "00/000",
        "64/000",
        "-1/000",
        "1e0/000",
        "%D9%A0/000",
        "99999999/000",
        "0/" + "x999/" * 2000 + "999",
        "entries/0",
        "entries/x000/000",
        "entries/000.p/256",
        "Entries/000",
    ],
)
def test_an_address_that_is_not_canonical_is_refused(
    running: RunningLog, http: TestClient, path: str
) -> None:
    running.append_many(300)
    running.log.checkpoint()
    assert not refused(http, "0/000")
    assert refused(http, path)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, LARGEST), st.data())
@example(255, None)
@example(256, None)
@example(257, None)
@example(512, None)
@example(0, None)
def test_roots_and_inclusion_proofs_come_from_tiles_alone(
    thousand: Callable[[str], bytes], size: int, data: st.DataObject | None
) -> None:
    reader = Reader(thousand, size)
    root = naive_root(LEAVES[:size])
    assert reader.root(0, size) == root
    if size:
        index = data.draw(st.integers(0, size - 1)) if data else size - 1
        proof = reader.inclusion(index, 0, size)
        verify_inclusion(LEAVES[index], index, size, proof, root)


def test_a_tree_with_three_levels_has_the_standards_tiles(tmp_path: Path) -> None:
    # The standard's example: 70,000 entries.
    leaves = [sha256(b"%d" % number).digest() for number in range(70_000)]
    engine = open_database(f"sqlite:///{tmp_path / 'hub.sqlite'}")
    fill(engine, leaves)
    get, client = fetcher(engine), serve(engine)
    for size in (65_535, 65_536, 65_537, 70_000):
        reader = Reader(get, size)
        root = naive_root(leaves[:size])
        assert reader.root(0, size) == root
        verify_inclusion(leaves[65_000], 65_000, size, reader.inclusion(65_000, 0, size), root)
    widths = {"0/272": 256, "0/273.p/112": 112, "1/000": 256, "1/001.p/17": 17, "2/000.p/1": 1}
    assert {path: len(get(path)) // 32 for path in widths} == widths
    assert all(
        refused(client, path)
        for path in (
            "0/273",
            "0/273.p/113",
            "1/001",
            "1/001.p/18",
            "2/000",
            "2/000.p/2",
            "3/000.p/1",
            "63/000",
        )
    )
    engine.dispose()


def test_bundles_hold_the_entries_of_the_tiles(running: RunningLog, http: TestClient) -> None:
    running.append_many(300)
    running.log.checkpoint()
    read = []
    for path in ("000", "001.p/44"):
        bundle = http.get(f"/log/tile/entries/{path}").content
        hashes = []
        while bundle:
            length = bundle[0] << 8 | bundle[1]
            entry, bundle = bundle[2 : 2 + length], bundle[2 + length :]
            assert len(entry) == length
            hashes.append(sha256(b"\x00" + entry).digest())
            read.append(entry)
        assert b"".join(hashes) == http.get(f"/log/tile/0/{path}").content
    assert read == [running.log.entry(index).entry.to_bytes() for index in range(300)]


def test_a_tile_stays_what_it_was_while_the_log_grows(running: RunningLog, http: TestClient) -> None:
    running.append_many(200)
    old = running.log.checkpoint().checkpoint
    before = http.get("/log/tile/0/000.p/200").content
    running.append_many(100)
    new = running.log.checkpoint().checkpoint
    assert http.get("/log/tile/0/000.p/200").content == before
    assert http.get("/log/tile/0/000").content[: len(before)] == before
    reader = Reader(lambda path: http.get(f"/log/tile/{path}").content, 300)
    assert (reader.root(0, 200), reader.root(0, 300)) == (old.root, new.root)
    verify_consistency(200, 300, old.root, new.root, running.log.consistency_proof(200, 300))


def test_what_no_checkpoint_covers_is_not_served(running: RunningLog, http: TestClient) -> None:
    assert refused(http, "0/000.p/1")
    running.append_many(300)
    assert refused(http, "0/000.p/1"), "nothing is signed yet"
    assert refused(http, "entries/000.p/1")
    running.log.checkpoint()
    running.append_many(300)
    served = ("0/000", "0/001.p/44", "1/000.p/1", "entries/000", "entries/001.p/44")
    beyond = ("0/001.p/45", "0/001", "1/000.p/2", "entries/001.p/45", "entries/001", "0/x001/000")
    assert not any(refused(http, path) for path in served)
    assert all(refused(http, path) for path in beyond)
    running.log.checkpoint()
    assert not any(refused(http, path) for path in beyond[:-1])


def test_tiles_and_bundles_may_be_cached_for_good_and_refusals_may_not(
    running: RunningLog, http: TestClient
) -> None:
    running.append_many(256)
    running.log.checkpoint()
    for path in ("0/000", "0/000.p/3", "1/000.p/1", "entries/000", "entries/000.p/3"):
        answer = http.get(f"/log/tile/{path}")
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert "immutable" not in http.get("/log/tile/0/001").headers.get("cache-control", "")


@pytest.mark.parametrize(
    ("accepted", "is_packed"),
    [
        ("gzip", True),
        ("br, GZIP ; q=0.5", True),
        ("gzip;q=1.0", True),
        ("identity", False),
        ("", False),
        ("*", False),
        ("gzip;q=0", False),
        ("identity, gzip; q=0.000", False),
        ("x-gzip-like", False),
    ],
)
def test_a_bundle_is_compressed_for_who_names_gzip(
    running: RunningLog, http: TestClient, accepted: str, *, is_packed: bool
) -> None:
    running.append_many(20)
    running.log.checkpoint()
    with http.stream("GET", "/log/tile/entries/000.p/20", headers={"Accept-Encoding": accepted}) as answer:
        raw = b"".join(answer.iter_raw())
    assert answer.headers["vary"] == "Accept-Encoding"
    assert (answer.headers.get("content-encoding") == "gzip") == is_packed
    plain = encode_bundle(running.log.entry(index).entry.to_bytes() for index in range(20))
    assert (gzip.decompress(raw) if is_packed else raw) == plain
    assert len(raw) < len(plain) or not is_packed


def test_an_entry_has_its_length_before_it_and_one_too_long_is_refused() -> None:
    assert encode_bundle([b"", b"ab", b"c" * 0xFFFF]) == b"\0\0" + b"\0\2ab" + b"\xff\xff" + b"c" * 0xFFFF
    with pytest.raises(LogError, match=r"log\.corrupt.*65536 bytes"):
        encode_bundle([b"c" * 0x10000])


def test_an_entry_that_was_changed_is_not_handed_out(running: RunningLog) -> None:
    running.append_many(3)
    running.log.checkpoint()
    tree = PublishedTree(running.engine)
    assert tree.bundle(Place(0, 3))
    Intruder(running).run("UPDATE log_entries SET entry = x'7b7d' WHERE leaf_index = 1")
    with pytest.raises(LogError, match=r"log\.corrupt.*entry 1 was changed"):
        tree.bundle(Place(0, 3))
    Intruder(running).run("DELETE FROM log_entries WHERE leaf_index = 1")
    with pytest.raises(LogError, match=r"log\.corrupt"):
        tree.bundle(Place(0, 3))
    with pytest.raises(LogError, match=r"log\.corrupt"):
        tree.tile(Tile(0, Place(0, 3)))
