# SPDX-License-Identifier: Apache-2.0
"""An auditor verifies what a running hub exported, on the command line, with trust brought from elsewhere."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import pytest
from starlette.responses import Response

from hub.accounts import Role
from hub.verifier import bundles, exchanges
from tests.hub.verifier.evidence import zipped
from tests.hub.verifier.stored import store_revocation
from tests.journeys.serving import wait_for
from tests.journeys.test_bundles import complete, export, sent

if TYPE_CHECKING:
    from tests.journeys.test_bundles import Bundle
    from tests.journeys.world import World
    from tests.pki import ServedPki

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/report.schema.json").read_text(encoding="utf-8"))


def heliograph(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hub.cli", "verify", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def bundle(world: World) -> Bundle:
    """A conversation with an exchange that went well and one that was refused."""
    first = sent(world)
    second = world.request(conversation=first.header.conversation)
    with world.departments.cheating(lambda _request: Response(status_code=500)):
        world.send(second.raw)
    return complete(world, f"/api/v1/evidence-bundles?conversation={first.header.conversation}")


@pytest.fixture(scope="module")
def auditor(bundle: Bundle, pki: ServedPki, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the auditor holds; the policy came once from the hub, and was compared by telephone."""
    folder = tmp_path_factory.mktemp("auditor")
    (folder / "signer.pem").write_bytes(pki.trust_list_signer.read_bytes())
    (folder / "policy.txt").write_bytes(bundle.files["log/policy.txt"])
    (folder / "bundle.zip").write_bytes(zipped(bundle.files))
    return folder


def options(auditor: Path) -> list[str | Path]:
    return ["--trust-list-signer", auditor / "signer.pem", "--log-policy", auditor / "policy.txt"]


def test_a_bundle_out_of_a_running_hub_is_valid(auditor: Path) -> None:
    done = heliograph(auditor / "bundle.zip", *options(auditor))

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("bundle.zip (evidence bundle): VALID")
    assert done.stdout.count("(exchange): VALID") == 2
    assert done.stdout.count("(envelope): VALID") == 6
    assert "FAILED" not in done.stdout


def test_the_bundle_as_the_hub_sent_it_is_valid_too(world: World, bundle: Bundle, auditor: Path) -> None:
    wanted = bundle.index["messages"][0]["id"]
    path = f"/api/v1/messages/{wanted}/evidence"
    wait_for(lambda: not export(world, path).lacking)
    response = world.http.get(f"{world.url}{path}", headers=world.token(Role.AUDITOR))
    (auditor / "one.zip").write_bytes(response.content)

    done = heliograph(auditor / "one.zip", *options(auditor), "--json")

    report = json.loads(done.stdout)
    jsonschema.validate(report, SCHEMA)
    assert (done.returncode, report["is_valid"]) == (0, True)


def test_the_report_in_chinese_names_every_step_in_chinese(auditor: Path) -> None:
    told = heliograph(auditor / "bundle.zip", *options(auditor), "--language", "zh-CN").stdout

    assert told.startswith("bundle.zip (证据包): 有效")
    for name in (bundles.DIGESTS, bundles.CHECKPOINT, exchanges.STATE, exchanges.TIMES, "Signature"):
        assert f"通过  {name}" not in told


def test_a_changed_answer_is_not_valid_and_the_report_keeps_its_form(bundle: Bundle, auditor: Path) -> None:
    files = dict(bundle.files)
    path = bundle.index["messages"][0]["containers"]["answer"]
    files[path] = files[path].replace(b'"kind":"response"', b'"kind":"responsf"')
    (auditor / "changed.zip").write_bytes(zipped(files))

    done = heliograph(auditor / "changed.zip", *options(auditor), "--json")

    report = json.loads(done.stdout)
    jsonschema.validate(report, SCHEMA)
    names = [step["name"] for step in report["steps"] if not step["is_passed"]]
    assert (done.returncode, report["is_valid"]) == (1, False)
    assert names[:1] == [bundles.DIGESTS]


def test_without_the_reader_s_own_trust_nothing_is_believed(auditor: Path) -> None:
    no_policy = heliograph(auditor / "bundle.zip", "--trust-list-signer", auditor / "signer.pem")
    no_signer = heliograph(auditor / "bundle.zip", "--log-policy", auditor / "policy.txt")

    assert no_policy.returncode == 1
    assert "no log policy was given" in no_policy.stdout
    assert no_signer.returncode == 1
    assert "trust.trust_list_untrusted" in no_signer.stderr


def test_a_log_entry_verifies_by_itself_with_two_small_files(bundle: Bundle, auditor: Path) -> None:
    entry = bundle.index["messages"][0]["entries"][0]
    (auditor / "entry.tlog-proof").write_bytes(bundle.files[entry["proof"]])
    (auditor / "entry.json").write_bytes(bundle.files[entry["leaf"]])
    (auditor / "other.json").write_bytes(bundle.files[entry["leaf"]].replace(b"accepted", b"answered"))
    asked: list[str | Path] = [auditor / "entry.tlog-proof", "--log-policy", auditor / "policy.txt", "--leaf"]

    good, bad = heliograph(*asked, auditor / "entry.json"), heliograph(*asked, auditor / "other.json")

    assert good.returncode == 0, good.stdout + good.stderr
    assert "(log proof): VALID" in good.stdout
    assert bad.returncode == 1
    assert "FAILED  The entry is in the log" in bad.stdout


def test_a_folder_is_verified_by_several_processes_a_line_of_json_each(
    world: World, pki: ServedPki, tmp_path: Path
) -> None:
    answers = store_revocation(pki, ["federation-sign"], tmp_path / "answers")
    folder = tmp_path / "containers"
    folder.mkdir()
    for number in range(70):
        (folder / f"{number:02}.asice").write_bytes(world.request().raw)
    (folder / "99.asice").write_bytes(world.request().raw[:-1])
    trust: list[str | Path] = ["--trust-list", pki.trust_list, "--trust-list-signer", pki.trust_list_signer]

    done = heliograph(folder, *trust, "--revocation", answers, "--processes", "2", "--json")

    reports = [json.loads(line) for line in done.stdout.splitlines()]
    assert [Path(report["subject"]).name for report in reports] == sorted(
        file.name for file in folder.iterdir()
    )
    assert [report["is_valid"] for report in reports] == [True] * 70 + [False]
    assert done.returncode == 1
    assert "70 of 71 files are valid" in done.stderr
    text = heliograph(folder, *trust, "--revocation", answers).stdout
    assert text.count(": VALID") == 70
    assert text.count(": NOT VALID") == 1


def test_an_empty_folder_is_not_valid(pki: ServedPki, tmp_path: Path) -> None:
    done = heliograph(tmp_path, "--trust-list", pki.trust_list, "--trust-list-signer", pki.trust_list_signer)

    assert (done.returncode, done.stdout.strip()) == (1, "0 of 0 files are valid")
