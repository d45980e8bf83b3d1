# SPDX-License-Identifier: Apache-2.0
"""What a bundle lacks, and why; nothing is left out without saying so.

Source: docs/protocols/evidence-bundle.md section 6.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from hub.errors import Language

if TYPE_CHECKING:
    from hub.errors import HubError


class Why(StrEnum):
    """Why something is not there."""

    IN_PROGRESS = "in_progress"
    INTERRUPTED = "interrupted"
    NOT_KEPT = "not_kept"
    ERASED = "erased"
    UNREADABLE = "unreadable"
    TOO_LARGE = "too_large"
    STAMP_WAITING = "stamp_waiting"
    RECORD_UNKNOWN = "record_unknown"
    NOT_WITNESSED = "not_witnessed"
    NO_CHECKPOINT = "no_checkpoint"
    NO_REVOCATION_ANSWER = "no_revocation_answer"
    NO_TRUST_LIST = "no_trust_list"
    NO_ENTRY = "no_entry"


WORDS: dict[Why, dict[Language, str]] = {
    Why.IN_PROGRESS: {
        Language.ZH: "该次交换尚未结束，还没有应答和回执。",
        Language.EN: "The exchange has not ended: there is no answer and no receipt yet.",
    },
    Why.INTERRUPTED: {
        Language.ZH: "交换过程中平台中断，未签署应答和回执。",
        Language.EN: "The hub was cut off while the exchange ran; no answer and no receipt was signed.",
    },
    Why.NOT_KEPT: {
        Language.ZH: "平台未保存该容器。",
        Language.EN: "The hub does not hold this container.",
    },
    Why.ERASED: {
        Language.ZH: "该容器的密钥已按保存期限规则销毁；其摘要和证明仍在。",
        Language.EN: "The container's key was destroyed by the rules of retention; digests and proof remain.",
    },
    Why.UNREADABLE: {
        Language.ZH: "所存内容无法打开，或其摘要不符。",
        Language.EN: "What is stored does not open, or has another digest.",
    },
    Why.TOO_LARGE: {
        Language.ZH: "该容器过大，不放入证据包；请单独取得，并以其摘要核对。",
        Language.EN: "The container is too large for a bundle; fetch it by itself and compare its digest.",
    },
    Why.STAMP_WAITING: {
        Language.ZH: "时间戳尚未取得；取得后重新导出即含证据记录。",
        Language.EN: "No time stamp has been had yet; a later export will hold the evidence record.",
    },
    Why.RECORD_UNKNOWN: {
        Language.ZH: "没有证据记录，也没有等待中的时间戳。",
        Language.EN: "There is no evidence record, and none is waited for.",
    },
    Why.NOT_WITNESSED: {
        Language.ZH: "覆盖这些条目的检查点尚未得到足够见证方的会签。",
        Language.EN: "No checkpoint that covers these entries has enough witnesses yet.",
    },
    Why.NO_CHECKPOINT: {
        Language.ZH: "没有覆盖这些条目的检查点。",
        Language.EN: "No checkpoint covers these entries.",
    },
    Why.NO_REVOCATION_ANSWER: {
        Language.ZH: "没有保存该签名证书的吊销状态应答，现在也无法取得。",
        Language.EN: "No revocation answer about this signer was kept, and none can be had now.",
    },
    Why.NO_TRUST_LIST: {
        Language.ZH: "缺少相关日期的信任列表。",
        Language.EN: "There is no trust list for a day concerned.",
    },
    Why.NO_ENTRY: {
        Language.ZH: "日志中没有该次交换应有的条目。",
        Language.EN: "The log holds no entry that this exchange should have.",
    },
}

_BY_CODE = {
    "vault.erased": Why.ERASED,
    "vault.too_large": Why.TOO_LARGE,
    "exchange.message_unknown": Why.NOT_KEPT,
}


@dataclass(frozen=True, order=True)
class Missing:
    """One thing that should be in the bundle and is not.

    Attributes:
        what: the path it would have; `path#member` for something inside a file.
        why: the reason.
    """

    what: str
    why: Why

    def to_json(self) -> dict[str, str]:
        """Return its line of `bundle.json`."""
        words = WORDS[self.why]
        return {
            "what": self.what,
            "why": self.why.value,
            "zh": words[Language.ZH],
            "en": words[Language.EN],
        }


def why_not_read(error: HubError) -> Why:
    """Tell why a container cannot be given, from what the vault says."""
    return _BY_CODE.get(error.code, Why.UNREADABLE)
