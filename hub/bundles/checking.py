# SPDX-License-Identifier: Apache-2.0
"""The summary's part for who wants to know for sure: how to check it oneself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.bundles.page import Commands, Paragraph, Section, Words

if TYPE_CHECKING:
    from hub.bundles.facts import SummaryFacts

_VERIFY = "heliograph verify evidence.zip --trust-list-signer signer.pem --log-policy policy.txt"
_CHECK_SIGNATURE = (
    "cat evidence/trust/certificates/*.pem > all.pem && openssl cms -verify -cades -binary -inform DER "
    "-in request/META-INF/signature.p7s -content request/META-INF/ASiCManifest.xml -CAfile all.pem "
    "-purpose any -out /dev/null"
)


def tell_how_to_check(facts: SummaryFacts) -> Section:
    """Tell what to get elsewhere and three commands to type."""
    folder = f"evidence/messages/{facts.shown[0].record.message_id}" if facts.shown else "evidence"
    unpack = f"unzip -q evidence.zip -d evidence && unzip -q {folder}/request.asice -d request"
    return Section(
        Words("如何自行核验", "How to check it yourself"),
        (
            Paragraph(
                Words(
                    "请另行取得两样东西，勿取自本包：信任列表签署人的证书和日志的信任策略，"
                    "并通过电话或当面核对其摘要。",
                    "Get two things elsewhere, not from this bundle, and compare their digests by telephone "
                    "or in person: the certificate of who signs the trust list, and the policy of the log.",
                )
            ),
            Commands(
                (
                    (
                        Words("逐步核验整个证据包（离线）", "Verify the whole bundle, step by step, offline"),
                        _VERIFY,
                    ),
                    (
                        Words(
                            "不用本软件：解开证据包和其中的请求",
                            "Without our software: unpack it and a request",
                        ),
                        unpack,
                    ),
                    (
                        Words(
                            "不用本软件：核验请求方的签名",
                            "Without our software: check the asking department's signature",
                        ),
                        _CHECK_SIGNATURE,
                    ),
                )
            ),
            Paragraph(
                Words(
                    "完整的手工核验步骤见docs/verify-by-hand.md。",
                    "Every step by hand: docs/verify-by-hand.md.",
                )
            ),
        ),
    )
