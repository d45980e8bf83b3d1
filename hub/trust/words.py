# SPDX-License-Identifier: Apache-2.0
"""Names of the standards and of the code, as people say them in each language.

Source: RFC 5280 section 5.3.1 (reasons of a revocation).
"""

from __future__ import annotations

from hub.errors import Language
from hub.trust.bilingual import Bilingual
from hub.trust.model import Use

_USES = {
    Use.ENVELOPE: ("signing messages", "报文签名"),
    Use.SEAL: ("sealing documents", "电子印章"),
    Use.TIMESTAMP: ("time stamps", "时间戳"),
    Use.OCSP: ("OCSP answers", "OCSP应答"),
    Use.CRL: ("revocation lists", "吊销列表"),
    Use.TLS_CLIENT: ("connecting by TLS", "TLS客户端认证"),
    Use.TLS_SERVER: ("answering by TLS", "TLS服务器认证"),
    Use.ENCRYPTION: ("being encrypted to", "接收加密报文"),
}
_REVOCATION_REASONS = {
    "unspecified": ("not stated", "未说明"),
    "keyCompromise": ("the key is compromised", "密钥泄露"),
    "cACompromise": ("the authority's key is compromised", "签发机构密钥泄露"),
    "affiliationChanged": ("the organisation has changed", "单位信息变更"),
    "superseded": ("it was replaced", "已被替换"),
    "cessationOfOperation": ("it is no longer needed", "停止使用"),
    "certificateHold": ("it is suspended", "暂停使用"),
    "privilegeWithdrawn": ("the right was withdrawn", "权限撤销"),
    "aACompromise": ("the attribute authority's key is compromised", "属性机构密钥泄露"),
}
_WORDS = {**{use.value: words for use, words in _USES.items()}, **_REVOCATION_REASONS}


def spoken(name: str, language: Language) -> str:
    """Say a use, a revocation's reason or a bilingual fact as the reader does; all else stays as it is."""
    if isinstance(name, Bilingual):
        return name.zh if language is Language.ZH else str(name)
    english, chinese = _WORDS.get(name, (name, name))
    return chinese if language is Language.ZH else english
