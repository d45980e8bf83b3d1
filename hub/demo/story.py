# SPDX-License-Identifier: Apache-2.0
"""What happens in the demonstration: a caseworker asks, three departments answer, a sceptic checks."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from hub.client import AUTHORITIES_VARIABLE, TOKEN_VARIABLE, call_hub
from hub.clock import SystemClock, day_in_china
from hub.demo.console import Steps
from hub.demo.preparation import (
    LABOUR_BUREAU,
    DemoFolder,
    Prepared,
    ensure_pki,
    prepare,
)
from hub.demo.processes import Program, all_running, wait_for_file, wait_for_http
from hub.errors import Language, ReportedFaultError
from hub.evidence.verification import verify_file
from hub.trust import AnswerKind, OnlineRevocation, Use, Validator
from hub.trustlist import read_pinned, read_trust_lists
from hub.verifier import render_report, report_to_json
from hub.wire import client_context

if TYPE_CHECKING:
    from hub.trust import VerificationReport

EMPLOYER = "91510108MA6C00001C"
SERVICE = f"{LABOUR_BUREAU}/employment/disability-employment-proof"
PURPOSE = {
    "item": "000788002000",
    "case": "CBJ-2026-000017",
    "legal_basis": "残疾人就业保障金征收使用管理办法（财税〔2015〕72号）第八条",
    "post": "残保金审核岗",
}
_FILES = ("request.asice", "response.asice", "receipt.asice", "proof.pdf")
_ANSWER_SECONDS = 60.0


def tell_story(folder: Path, *, keep_serving: bool, tls: bool = False) -> None:
    """Run the demonstration.

    Args:
        folder: keeps everything; made when absent.
        keep_serving: keep the processes running until interrupted.
        tls: let hub and gateways speak TLS, with certificates on both sides.

    Raises:
        HubError: a step was refused.
        StartError: a process did not come up.
    """
    # However it is told to stop, the processes it started stop with it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    steps = Steps()
    demo = DemoFolder(folder.resolve())
    with steps.step("准备开发用证书", "Prepare the development PKI"):
        pki = ensure_pki(demo)
    with steps.step("写入配置和令牌", "Write configurations, a fresh log and tokens"):
        prepared = prepare(demo, pki, tls=tls, has_console=keep_serving)
        if tls:
            os.environ[AUTHORITIES_VARIABLE] = str(pki.certificate("root"))
    with ExitStack() as stack:
        _start(steps, prepared, stack)
        os.environ[TOKEN_VARIABLE] = prepared.caseworker_token
        with steps.step("获取吊销信息", "Fetch revocation answers, to be kept with the evidence"):
            _keep_revocation(prepared)
        with steps.step("经办人申请证明，三部门应答", "A caseworker asks; three departments answer"):
            request_id = _ask(prepared)
        with steps.step("取回容器和文书", "Fetch the containers and the document"):
            _fetch(prepared, request_id)
        with steps.step("取日志检查点和包含证明", "Fetch the log's checkpoint and inclusion proofs"):
            exchanges = _prove(prepared, request_id)
        with steps.step("导出证据包", "Export the evidence bundle"):
            _export(prepared, request_id)
        with steps.step("离线验证", "Verify everything offline"):
            reports = _verify(prepared)
        _summarise(steps, prepared, exchanges, reports)
        if keep_serving:
            _serve(steps, prepared)
    if not all(report.is_valid for report in reports.values()):
        raise SystemExit(1)


def _start(steps: Steps, prepared: Prepared, stack: ExitStack) -> None:
    logs, stand_ins, environment = prepared.folder.logs, prepared.folder.stand_ins, prepared.environment
    with steps.step(
        "启动证书服务和业务系统替身", "Start the PKI's services and the legacy systems' stand-ins"
    ):
        processes = stack.enter_context(
            all_running(
                {
                    "pki": Program("adapters.simulators.pki:main", [str(prepared.pki.folder)]),
                    "stand-ins": Program("adapters.simulators.__main__:main", ["--folder", str(stand_ins)]),
                },
                logs=logs,
                environment=environment,
            )
        )
        wait_for_http(processes["pki"], prepared.pki.url, log=logs / "pki.log")
        wait_for_file(processes["stand-ins"], stand_ins / "ports.json", log=logs / "stand-ins.log")
    environment = {**environment, **json.loads((stand_ins / "environment.json").read_text(encoding="utf-8"))}
    root = prepared.pki.certificates("root")
    tls = client_context(root) if prepared.has_tls else None
    with steps.step("启动枢纽和三个前置机", "Start the hub and three gateways"):
        processes = stack.enter_context(all_running(_services(prepared), logs=logs, environment=environment))
        for name, port in _listening(prepared).items():
            url = f"{prepared.scheme}://127.0.0.1:{port}/healthz"
            wait_for_http(processes[name], url, log=logs / f"{name}.log", tls=tls)


def _services(prepared: Prepared) -> dict[str, Program]:
    folder = prepared.folder
    return {
        "hub": Program("hub.cli:main", ["serve", "--config", str(folder.hub_config)]),
        **{
            f"gateway-{name}": Program("hub.cli:main", ["gateway", str(folder.gateway_config(name))])
            for name in ("labour-bureau", "federation", "social-insurance")
        },
    }


def _listening(prepared: Prepared) -> dict[str, int]:
    ports = prepared.ports
    return {
        "hub": ports.hub,
        "gateway-labour-bureau": ports.labour_gateway,
        "gateway-federation": ports.federation_gateway,
        "gateway-social-insurance": ports.social_insurance_gateway,
    }


def _keep_revocation(prepared: Prepared) -> None:
    """Keep what the authorities say today, so that the evidence can be verified offline for ever."""
    folder = prepared.folder.out / "revocation"
    folder.mkdir()
    validator = Validator(prepared.pki.trust_lists(), OnlineRevocation())
    suffixes = {AnswerKind.OCSP: "ocsp", AnswerKind.CRL: "crl"}
    for label in ("hub-sign", "labour-sign", "federation-sign"):
        chain = x509.load_pem_x509_certificates(prepared.pki.chain(label).read_bytes())
        path = validator.validate(chain, use=Use.ENVELOPE, at=SystemClock().now())
        for number, answer in enumerate(path.revocation):
            (folder / f"{label}-{number}.{suffixes[answer.kind]}").write_bytes(answer.der)
    root = path.path[-1].public_bytes(Encoding.PEM)
    intermediates = {certificate.public_bytes(Encoding.PEM) for certificate in path.path[1:-1]}
    (prepared.folder.out / "authorities.pem").write_bytes(root + b"".join(sorted(intermediates)))
    shutil.copytree(prepared.pki.trust_list, prepared.folder.out / "trust-lists")
    shutil.copyfile(prepared.pki.trust_list_signer, prepared.folder.out / "trust-list-signer.pem")


def _ask(prepared: Prepared) -> str:
    hub = _hub_url(prepared)
    year = day_in_china(SystemClock().now()).year
    body = {"service": SERVICE, "request": {"employer": EMPLOYER, "year": year}, "purpose": PURPOSE}
    shown = call_hub(hub, "POST", "/api/v1/evidence/requests", body=body).json()
    deadline = time.monotonic() + _ANSWER_SECONDS
    while shown["state"] not in {"delivered", "failed"} and time.monotonic() < deadline:
        time.sleep(0.05)
        shown = call_hub(hub, "GET", f"/api/v1/evidence/requests/{shown['id']}").json()
    if shown["state"] != "delivered":
        raise SystemExit(f"The request is {shown['state']}: {shown['code']} {shown['detail'] or ''}")
    request_id: str = shown["id"]
    return request_id


def _fetch(prepared: Prepared, request_id: str) -> None:
    hub, out = _hub_url(prepared), prepared.folder.out
    base = f"/api/v1/evidence/requests/{request_id}"
    for part, name in zip(("request", "answer", "receipt"), _FILES, strict=False):
        (out / name).write_bytes(call_hub(hub, "GET", f"{base}/containers/{part}").content)
    for name in ("proof.pdf", "response.json"):
        (out / name).write_bytes(call_hub(hub, "GET", f"{base}/documents/{name}").content)


def _prove(prepared: Prepared, request_id: str) -> list[dict[str, Any]]:
    hub, out = _hub_url(prepared), prepared.folder.out
    os.environ[TOKEN_VARIABLE] = prepared.auditor_token
    exchanges: list[dict[str, Any]] = call_hub(
        hub, "GET", f"/api/v1/messages?conversation={request_id}"
    ).json()
    proofs = call_hub(hub, "GET", f"/api/v1/log/proofs/{request_id}").json()
    # The latest comes first; the story is told as it happened.
    exchanges.reverse()
    (out / "log-proofs.json").write_text(json.dumps(proofs, indent=2), encoding="utf-8")
    for proof in proofs:
        entry = f"/log/entries/{proof['index']}"
        (out / f"entry-{proof['index']}.json").write_bytes(call_hub(hub, "GET", entry).content)
        proof_file = call_hub(hub, "GET", f"{entry}/proof").content
        (out / f"entry-{proof['index']}.tlog-proof").write_bytes(proof_file)
    (out / "log-policy.txt").write_bytes(call_hub(hub, "GET", "/log/policy").content)
    (out / "checkpoint.txt").write_text(proofs[-1]["checkpoint"], encoding="utf-8")
    (out / "checkpoint.tst").write_bytes(_time_stamp(hub, proofs[-1]["tree_size"]))
    record = call_hub(hub, "GET", f"/log/checkpoints/{proofs[-1]['tree_size']}/record")
    (out / "checkpoint.ers").write_bytes(record.content)
    return exchanges


def _export(prepared: Prepared, request_id: str) -> None:
    """Fetch all that proves the conversation as one file; the token is the auditor's by now."""
    path = f"/api/v1/evidence-bundles?conversation={request_id}"
    bundle = call_hub(_hub_url(prepared), "GET", path).content
    (prepared.folder.out / "evidence.zip").write_bytes(bundle)


def _time_stamp(hub: str, size: int) -> bytes:
    """Fetch the time stamp of a checkpoint just signed, as soon as the hub has it."""
    deadline = time.monotonic() + _ANSWER_SECONDS
    while True:
        try:
            return call_hub(hub, "GET", f"/log/stamps/{size}").content
        except ReportedFaultError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _verify(prepared: Prepared) -> dict[str, VerificationReport]:
    out = prepared.folder.out
    trust_lists = read_trust_lists(out / "trust-lists", read_pinned(out / "trust-list-signer.pem"))
    now = SystemClock().now()
    reports = {name: verify_file(out / name, trust_lists, out / "revocation", at=now) for name in _FILES}
    as_json = {name: report_to_json(report) for name, report in reports.items()}
    (out / "verification-report.json").write_text(
        json.dumps(as_json, ensure_ascii=False, indent=2), encoding="utf-8"
    )
    as_text = "\n\n".join(
        render_report(report, language)
        for report in reports.values()
        for language in (Language.ZH, Language.EN)
    )
    (out / "verification-report.txt").write_text(as_text + "\n", encoding="utf-8")
    return reports


def _summarise(
    steps: Steps,
    prepared: Prepared,
    exchanges: list[dict[str, Any]],
    reports: dict[str, VerificationReport],
) -> None:
    out = _shown(prepared.folder.out)
    steps.say()
    for row in exchanges:
        steps.say(f"    {row['state']:<10} {row['sender']:<32} -> {row['service']}")
    steps.say()
    for name, report in reports.items():
        passed = sum(step.is_passed for step in report.steps)
        verdict = "valid 有效" if report.is_valid else "NOT VALID 无效"
        steps.say(f"    {name:<16} {verdict}: {passed} of {len(report.steps)} steps hold")
    steps.say()
    steps.say(f"Files 文件: {out}/")
    for file in sorted(prepared.folder.out.iterdir()):
        steps.say(f"    {file.name}{'/' if file.is_dir() else ''}")
    steps.say()
    steps.say("Check them yourself 自行核验 (docs/verify-by-hand.md explains each):")
    for command in _sceptic_commands(out):
        steps.say(f"    {command}")
    steps.say()
    steps.say(f"Done in {steps.seconds:.1f} s.")


def _sceptic_commands(out: Path) -> tuple[str, ...]:
    verify = f".venv/bin/heliograph verify {out}/response.asice"
    return (
        (
            f"{verify} --trust-list {out}/trust-lists --trust-list-signer {out}/trust-list-signer.pem "
            f"--revocation {out}/revocation"
        ),
        f"unzip -p {out}/response.asice message.json",
        f"unzip -p {out}/response.asice META-INF/ASiCManifest.xml > manifest.xml",
        f"unzip -p {out}/response.asice META-INF/signature.p7s > signature.p7s",
        (
            "openssl cms -verify -cades -binary -inform DER -in signature.p7s -content manifest.xml "
            f"-CAfile {out}/authorities.pem -purpose any -out /dev/null"
        ),
        f"openssl ts -reply -in {out}/checkpoint.tst -token_in -token_out -text",
        f"pdfsig {out}/proof.pdf",
    )


def _serve(steps: Steps, prepared: Prepared) -> None:
    steps.say()
    steps.say(f"The hub listens on {_hub_url(prepared)}; its interface: {_hub_url(prepared)}/openapi.json")
    steps.say(f"export HELIOGRAPH_HUB={_hub_url(prepared)}")
    if prepared.has_tls:
        steps.say(f"export {AUTHORITIES_VARIABLE}={_shown(prepared.pki.certificate('root'))}")
    auditor_file = _keep_token(prepared, "auditor-token", prepared.auditor_token)
    operator_file = _keep_token(prepared, "operator-token", prepared.operator_token)
    steps.say(f"Portal 门户: {_hub_url(prepared)}/portal/")
    steps.say(f"Sign in as an auditor with the token in 审计人员登录令牌见: {auditor_file}")
    steps.say(f"Sign in as an operator with the token in 运维人员登录令牌见: {operator_file}")
    if prepared.console is not None:
        password_file = _keep_token(prepared, "console-password", prepared.console.password)
        console = f"{prepared.scheme}://127.0.0.1:{prepared.console.port}/console/"
        steps.say(f"Register adapters at the labour bureau's gateway 在人社局前置机登记适配器: {console}")
        steps.say(f"Sign in as {prepared.console.administrator} with the password in 口令见: {password_file}")
    caseworker_file = _keep_token(prepared, "caseworker-token", prepared.caseworker_token)
    steps.say(f"export HELIOGRAPH_TOKEN=$(cat {caseworker_file})")
    data = json.dumps({"employer": EMPLOYER, "year": date.today().year})  # noqa: DTZ011 - an example for people
    steps.say(
        f".venv/bin/heliograph evidence request --service {SERVICE} --data '{data}' "
        + " ".join(f"--{name.replace('_', '-')} '{value}'" for name, value in PURPOSE.items())
    )
    steps.say("Press Ctrl-C to stop.")
    try:
        signal.pause()
    except KeyboardInterrupt:
        steps.say("Stopping.")


def _keep_token(prepared: Prepared, name: str, token: str) -> Path:
    """Write a token where only its owner reads it; returns the place as people see it."""
    file = prepared.folder.path / name
    file.touch(mode=0o600)
    file.write_text(token, encoding="ascii")
    return _shown(file)


def _hub_url(prepared: Prepared) -> str:
    return f"{prepared.scheme}://127.0.0.1:{prepared.ports.hub}"


def _shown(path: Path) -> Path:
    """Shorten a path for people who stand in the project's folder."""
    working = Path.cwd()
    return path.relative_to(working) if path.is_relative_to(working) else path
