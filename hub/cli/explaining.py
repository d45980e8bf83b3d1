# SPDX-License-Identifier: Apache-2.0
"""`heliograph trust explain`: why a certificate is believed, or why not."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.cli import AsJson, print_json, refuse
from hub.cli.verifying import ListsOption, SignerOption, UnsignedOption
from hub.cli.verifyingmany import chosen_trust_lists

if TYPE_CHECKING:
    from cryptography import x509

    from hub.errors import Language
    from hub.evidence.signers import Signer
    from hub.trust import Explanation, RevocationSource, Use, Validator

_CANNOT_RUN = 2
_NOT_ASKED = {
    "en": "Nobody was asked about revocation: give --online, or --revocation with stored answers.",
    "zh-CN": "未查询吊销状态：请使用--online联机查询，或用--revocation指定已保存应答的文件夹。",
}


def explain(
    file: Annotated[
        Path,
        typer.Argument(help="A certificate (PEM or DER), an .asice container or a sealed PDF.", exists=True),
    ],
    trust_list: ListsOption = None,
    trust_list_signer: SignerOption = None,
    unsafe_unsigned_list: UnsignedOption = None,
    chain: Annotated[
        Path | None, typer.Option(help="PEM file of further certificates of the chain.", exists=True)
    ] = None,
    use: Annotated[
        str | None,
        typer.Option(
            help="envelope (unless the file says otherwise), seal, timestamp, ocsp, tls-client, tls-server, "
            "encryption."
        ),
    ] = None,
    at: Annotated[
        datetime | None,
        typer.Option(help="Judge at this instant (UTC) instead of now, or when the file says it was signed."),
    ] = None,
    revocation: Annotated[
        Path | None, typer.Option(help="Folder of .crl and .ocsp files.", exists=True, file_okay=False)
    ] = None,
    online: Annotated[
        bool, typer.Option("--online", help="Ask the OCSP responders and CRLs the certificates name.")
    ] = False,
    language: Annotated[str, typer.Option(help="zh-CN or en.")] = "en",
    as_json: AsJson = False,
) -> None:
    """Draw a certificate's chain, each check with its clause, and what to do when it is not believed.

    Exit code 0: believed; 1: not believed; 2: the question cannot be answered.

    Example: heliograph trust explain labour.pem --trust-list trust-lists/ --trust-list-signer signer.pem
    --online
    """
    from hub.errors import HubError, Language
    from hub.evidence.signers import read_certificates, read_signers
    from hub.trust import HeldRevocation, Use, Validator

    if language not in set(Language):
        raise typer.BadParameter("zh-CN or en", param_hint="--language")
    if use is not None and use not in set(Use):
        raise typer.BadParameter(", ".join(Use), param_hint="--use")
    if online and revocation is not None:
        raise typer.BadParameter("give either --online or --revocation", param_hint="--online")
    try:
        lists = chosen_trust_lists(trust_list, trust_list_signer, unsafe_unsigned_list)
        others = read_certificates(chain.read_bytes()) if chain else ()
        signers = read_signers(file.read_bytes())
        source = _source(revocation, online=online)
        told = [
            (
                signer,
                _explain(
                    Validator(lists, source or signer.revocation or HeldRevocation((), ())),
                    signer,
                    others,
                    Use(use) if use else None,
                    at,
                ),
            )
            for signer in signers
        ]
    except HubError as error:
        refuse(error, _CANNOT_RUN)
    _show(file, told, Language(language), as_json=as_json)
    if source is None and not all(signer.revocation for signer in signers) and not as_json:
        typer.echo(_NOT_ASKED[language], err=True)
    raise typer.Exit(0 if all(each.is_believed for _, each in told) else 1)


def _explain(
    validator: Validator,
    signer: Signer,
    others: tuple[x509.Certificate, ...],
    use: Use | None,
    at: datetime | None,
) -> Explanation:
    from hub.clock import SystemClock
    from hub.trust import Use

    instant = at.replace(tzinfo=at.tzinfo or UTC) if at else signer.signed_at or SystemClock().now()
    chain = tuple(dict.fromkeys((*signer.chain, *others)))
    now = SystemClock().now()
    return validator.explain(
        chain, use=use or signer.use or Use.ENVELOPE, at=instant, judged_at=max(instant, now)
    )


def _source(revocation: Path | None, *, online: bool) -> RevocationSource | None:
    """Return where answers come from, or None for those of the file itself."""
    from hub.trust import OnlineRevocation, StoredRevocation

    if online:
        return OnlineRevocation()
    return StoredRevocation(revocation) if revocation else None


def _show(file: Path, told: list[tuple[Signer, Explanation]], language: Language, *, as_json: bool) -> None:
    """Draw the explanations, or print them as one JSON object."""
    if as_json:
        from hub.trust import explanation_to_json

        explained: list[dict[str, Any]] = [
            {"signature": signer.name, **explanation_to_json(explanation)} for signer, explanation in told
        ]
        print_json({"subject": file.name, "explanations": explained})
        return
    from hub.cli.drawing import draw

    for signer, explanation in told:
        draw(explanation, language, heading=": ".join(filter(None, (file.name, signer.name))))
