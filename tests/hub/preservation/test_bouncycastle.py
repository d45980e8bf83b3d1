# SPDX-License-Identifier: Apache-2.0
"""BouncyCastle verifies our records and we verify its; neither believes what was tampered with."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hub.errors import HubError
from hub.preservation import (
    EvidenceRecord,
    HashTree,
    archive_time_stamp,
    covered_again,
    covered_by_renewal,
    digest_of,
    verify_record,
    with_chain,
    with_time_stamp,
    write_crypto_infos,
)
from tests.hub.preservation.authorities import Authorities, TimeStampKey
from tests.tsa import Behaviour, authority

PROGRAM = Path(__file__).with_name("BouncyCastleErs.java")
JARS = [Path("/usr/share/java") / f"{name}.jar" for name in ("bcpkix", "bcprov", "bcutil")]
GROUPS = [["a"], ["b", "c", "d"], ["e", "f"], ["g"], ["h"]]
FIRST = datetime(2026, 1, 1, tzinfo=UTC)

pytestmark = pytest.mark.skipif(
    shutil.which("java") is None or not all(jar.exists() for jar in JARS),
    reason="no Java with BouncyCastle: apt-get install default-jdk-headless libbcpkix-java",
)


@pytest.fixture(scope="module")
def authorities() -> Authorities:
    return Authorities()


@pytest.fixture(scope="module")
def key(authorities: Authorities) -> TimeStampKey:
    return authorities.authority("tsa", FIRST - timedelta(days=1), FIRST + timedelta(days=365 * 9))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in "abcdefgh":
        (tmp_path / name).write_bytes(f"data object {name}".encode())
    return tmp_path


def bouncy_castle(folder: Path, *tasks: str) -> list[str]:
    """Let BouncyCastle do tasks, and return what it says about each."""
    (folder / "tasks").write_text("\n".join(tasks), encoding="utf-8")
    jars = ":".join(map(str, JARS))
    done = subprocess.run(
        ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", jars, str(PROGRAM), "tasks"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def hashes(folder: Path, names: list[str], digest: str) -> list[bytes]:
    return [digest_of(digest, (folder / name).read_bytes()) for name in names]


def make(authorities: Authorities, key: TimeStampKey, folder: Path, index: int) -> EvidenceRecord:
    tree = HashTree("sha256", [hashes(folder, group, "sha256") for group in GROUPS])
    token = authorities.stamp(key, tree.root, FIRST)
    stamp = archive_time_stamp("sha256", tree.reduce(index), token)
    return EvidenceRecord.of(((stamp,),), write_crypto_infos(authorities.answers(FIRST)))


def renew(authorities: Authorities, key: TimeStampKey, record: EvidenceRecord) -> EvidenceRecord:
    covered = covered_by_renewal("sha256", record.chains[-1][-1].time_stamp)
    tree = HashTree("sha256", [[b"\1" * 32], [covered], [b"\2" * 32]])
    token = authorities.stamp(key, tree.root, FIRST + timedelta(days=100))
    return with_time_stamp(record, "sha256", tree.reduce(1), token)


def rehash(
    authorities: Authorities, key: TimeStampKey, folder: Path, record: EvidenceRecord, index: int
) -> EvidenceRecord:
    again = covered_again("sha512", hashes(folder, GROUPS[index], "sha512"), record.chains)
    tree = HashTree("sha512", [[b"\3" * 64], again])
    token = authorities.stamp(key, tree.root, FIRST + timedelta(days=200), "sha512")
    return with_chain(record, "sha512", tree.reduce(1), token)


def task(record: str, names: list[str]) -> str:
    at = FIRST + timedelta(days=300)
    return f"verify {record} {int(at.timestamp() * 1000)} {' '.join(names)}"


def test_bouncycastle_believes_our_records_at_every_stage_and_no_tampered_one(
    authorities: Authorities, key: TimeStampKey, folder: Path
) -> None:
    tasks, expected = [], []
    for index, names in enumerate(GROUPS):
        first = make(authorities, key, folder, index)
        renewed = renew(authorities, key, first)
        rehashed = rehash(authorities, key, folder, renewed, index)
        for stage, record in (("made", first), ("renewed", renewed), ("rehashed", rehashed)):
            name = f"{stage}-{index}.ers"
            (folder / name).write_bytes(record.encode())
            tasks += [task(name, names), task(name, GROUPS[index - 1])]
            expected += [True, False]
    record = make(authorities, key, folder, 1)
    other = replace(
        record, chains=((archive_time_stamp("sha256", ((b"\4" * 32,),), record.chains[0][0].time_stamp),),)
    )
    (folder / "other.ers").write_bytes(other.encode())
    tasks.append(task("other.ers", GROUPS[1]))
    expected.append(False)

    said = bouncy_castle(folder, *tasks)

    assert [each == "holds" for each in said] == expected, dict(zip(tasks, said, strict=True))


def test_we_believe_bouncycastles_records_at_every_stage_and_no_tampered_one(
    authorities: Authorities, key: TimeStampKey, folder: Path
) -> None:
    with authority(Behaviour(key)) as running:
        groups = " ".join(",".join(group) for group in [GROUPS[1], *GROUPS[:1], *GROUPS[2:]])
        assert bouncy_castle(folder, f"make {running.url} . {groups}") == ["made"]
    now = datetime.now(UTC) + timedelta(minutes=1)
    judge = authorities.judge(authorities.crl(now))

    for name in ("made-0", "renewed", "rehashed"):
        der = (folder / f"{name}.ers").read_bytes()
        verified = verify_record(
            der, lambda digest: hashes(folder, GROUPS[1], digest), judge, at=now, is_whole_group=True
        )
        assert len(verified.time_stamps) == {"made-0": 1, "renewed": 2, "rehashed": 3}[name]
        with pytest.raises(HubError) as caught:
            verify_record(der, lambda digest: hashes(folder, GROUPS[2], digest), judge, at=now)
        assert caught.value.code == "envelope.evidence_record_invalid"
