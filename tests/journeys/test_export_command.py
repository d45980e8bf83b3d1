# SPDX-License-Identifier: Apache-2.0
"""`heliograph log export` against a running hub, and against hubs that break off."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING

import pytest
from starlette.applications import Starlette
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from hub.accounts import Role
from hub.cli import main
from tests.journeys.serving import serving
from tests.journeys.test_bundles import Bundle, export, sent
from tests.pki import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from starlette.requests import Request

    from tests.journeys.world import World


def run(patch: pytest.MonkeyPatch, world: World, *arguments: str, hub: str | None = None) -> int | str | None:
    patch.setenv("HELIOGRAPH_TOKEN", world.token(Role.AUDITOR)["Authorization"].split()[1])
    patch.setattr("sys.argv", ["heliograph", "log", "export", *arguments, "--hub", hub or world.url])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


def test_the_command_writes_what_the_hub_gives_and_counts_it(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    request = sent(world)
    out = tmp_path / "evidence.zip"
    asked = ["--conversation", request.header.conversation, "--out", str(out), "--json"]
    assert not run(monkeypatch, world, *asked)
    # The hub runs in this process, and its own log lines come along.
    printed = capsys.readouterr().out
    said = json.loads(printed[printed.index("{") :])
    bundle = Bundle.read(out.read_bytes())
    assert bundle.ids() == [request.header.id]
    assert said == {
        "file": str(out),
        "messages": 1,
        "missing": len(bundle.index["missing"]),
        "bytes": out.stat().st_size,
    }
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["evidence.zip"]


def test_the_command_never_replaces_a_file(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "evidence.zip"
    out.write_bytes(b"what was exported yesterday")
    assert run(monkeypatch, world, "--case", "1", "--out", str(out))
    assert out.read_bytes() == b"what was exported yesterday"


def test_a_refusal_leaves_no_file(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, world, "--out", str(tmp_path / "evidence.zip")) == 1
    assert "bundle.selection_invalid" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("way", ["the connection is cut off", "the file is cut off"])
def test_half_a_bundle_never_looks_finished(
    world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    way: str,
) -> None:
    request = sent(world)
    address = f"{world.url}/api/v1/messages/{request.header.id}/evidence"
    whole = world.http.get(address, headers=world.token(Role.AUDITOR)).content

    def some() -> Iterator[bytes]:
        yield whole[: len(whole) // 2]
        raise RuntimeError("the hub fails")

    async def answer(_request: Request) -> Response:
        if way == "the file is cut off":
            return Response(whole[: len(whole) // 2], media_type="application/zip")
        return StreamingResponse(some(), media_type="application/zip")

    app = Starlette(routes=[Route("/api/v1/evidence-bundles", answer)])
    with serving(app, free_port()) as url:
        out = tmp_path / "evidence.zip"
        assert run(monkeypatch, world, "--message", request.header.id, "--out", str(out), hub=url) == 1
    assert "bundle.incomplete" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_what_the_command_fetched_says_the_same_as_the_hub(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = sent(world)
    out = tmp_path / "evidence.zip"
    assert not run(monkeypatch, world, "--message", request.header.id, "--out", str(out))
    fetched, direct = (
        Bundle.read(out.read_bytes()),
        export(world, f"/api/v1/messages/{request.header.id}/evidence"),
    )
    assert fetched.index["messages"] == direct.index["messages"]
