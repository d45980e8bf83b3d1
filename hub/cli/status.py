# SPDX-License-Identifier: Apache-2.0
"""`heliograph status`: how the hub, its partners and its flows fare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.cli import AsJson, print_json
from hub.client import HubUrl, call_hub, read_readiness

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_DEFAULT_HUB = "http://127.0.0.1:8443"


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(status)


def status(
    hub: HubUrl = _DEFAULT_HUB,
    minutes: Annotated[int, typer.Option(help="How far back success and latency are looked at.")] = 60,
    as_json: AsJson = False,
) -> None:
    """Show whether the hub is ready, how partners and flows fare, and which alarms are open.

    Ends with 1 when the hub is not ready.

    Example: heliograph status
    """
    readiness = read_readiness(hub)
    is_ready = readiness["status"] != "not_ready"
    found: dict[str, Any] = {"readiness": readiness}
    if is_ready:
        found["weather"] = call_hub(hub, "GET", f"/api/v1/weather?minutes={minutes}").json()
        found["flows"] = call_hub(hub, "GET", "/api/v1/flows").json()
        found["alarms"] = call_hub(hub, "GET", "/api/v1/alarms").json()
    if as_json:
        print_json(found)
    else:
        _print_readiness(readiness)
        if is_ready:
            _print_rows(found, minutes)
    if not is_ready:
        raise typer.Exit(1)


def _print_readiness(readiness: Mapping[str, Any]) -> None:
    words = {"ready": "ready 就绪", "impaired": "impaired 部分受限", "not_ready": "not ready 未就绪"}
    typer.echo(f"The hub is {words[readiness['status']]}")
    for check in readiness["checks"]:
        typer.echo(f"  {check['state']:<9} {check['name']:<11} {check.get('detail', '')}".rstrip())
        for language in ("en", "zh-CN"):
            if "cure" in check:
                typer.echo(f"            {check['cure'][language]}")


def _print_rows(found: Mapping[str, Any], minutes: int) -> None:
    typer.echo(f"Partners, the last {minutes} minutes 近{minutes}分钟的服务：")
    for row in found["weather"]:
        name = f"{row['service']} → {row['subscriber']}" if row["subscriber"] else row["service"]
        typer.echo(f"  {name}  {row['gateway_host']}".rstrip())
        for line in _partner(row):
            typer.echo(f"      {line}")
    if found["flows"]:
        typer.echo("Flows of which messages are expected 约定应有报文的数据流：")
    for row in found["flows"]:
        state = f"SILENT since {row['since']} 静默" if row["is_silent"] else "heard 正常"
        typer.echo(f"  {row['consumer']} → {row['service']}  {state}")
        typer.echo(f"      one every {row['silent_after_minutes']} min, last {row['last_at'] or 'never'}")
    typer.echo(f"{len(found['alarms'])} alarms are open. 未解除的告警：{len(found['alarms'])}")


def _partner(row: Mapping[str, Any]) -> Iterator[str]:
    if row["success_rate"] is None:
        yield "not asked 无请求"
    else:
        latency = "" if row["p50_ms"] is None else f", p50 {row['p50_ms']} ms, p95 {row['p95_ms']} ms"
        yield f"{row['success_rate']:.1%} of {row['attempts']} answered 已应答{latency}"
    if row["last_contact"]:
        yield f"last answer 最近应答 {row['last_contact']}"
    if row["last_failure"]:
        yield f"last failure 最近失败 {row['last_failure']} {row['last_failure_code']}"
    if row["breaker"] != "closed":
        yield f"breaker {row['breaker']} 投递暂缓"
    if row["waiting"]:
        yield f"{row['waiting']} wait, the oldest since {row['oldest_waiting_since']} 待投递"
    if row["dead"]:
        yield f"{row['dead']} dead letters 死信"
    if row["pause"]:
        yield f"paused until {row['pause']['until']} 维护中: {row['pause']['reason']}"
