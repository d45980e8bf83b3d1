# SPDX-License-Identifier: Apache-2.0
"""What a contract test found: for people in two languages, for programs, and for CI servers (JUnit XML).

Source: the `testsuites` form that CI servers read, as Jenkins' xunit plugin describes it (junit-10.xsd).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lxml import etree

from adapters.trials.cases import CaseKind
from hub.clock import format_instant
from hub.errors import Language, error_kinds

if TYPE_CHECKING:
    from adapters.ports import JsonObject
    from adapters.trials.trial import Trial, TrialCase

_KINDS: dict[CaseKind, tuple[str, str]] = {
    CaseKind.CONNECTION: ("系统可以连接", "the system can be reached"),
    CaseKind.EXAMPLE: ("契约示例得到应答", "an example of the contract is answered"),
    CaseKind.SAMPLE: ("本单位样例得到应答", "a sample of the department is answered"),
    CaseKind.INVALID: ("违反契约的请求被拒绝", "a request that breaks the contract is refused"),
    CaseKind.UNKNOWN: ("查无此人时不编造记录", "no record is made up for somebody who does not exist"),
    CaseKind.ANSWERED: ("至少有一条真实记录", "at least one question finds a record"),
    CaseKind.REPEATED: ("重复的报文得到相同应答", "a repeated message is answered alike"),
    CaseKind.AT_ONCE: ("同时的请求互不混淆", "questions at the same time are not mixed up"),
    CaseKind.TIME_LIMIT: ("在时限内答复或拒绝", "there is an answer or a refusal in time"),
}
_HINTS: dict[CaseKind, tuple[str, str]] = {
    CaseKind.ANSWERED: (
        "示例中的人员是虚构的：请用--requests提供本系统中确有记录的请求。",
        "The examples' people are invented: give questions about records your system has with --requests.",
    ),
    CaseKind.REPEATED: (
        "请核对系统是否按报文标识识别重复请求。",
        "See whether the system knows a repeated request by its message id.",
    ),
    CaseKind.UNKNOWN: (
        "查无记录时应返回空结果或record_not_found。",
        "Answer an empty result or record_not_found where there is no record.",
    ),
    CaseKind.CONNECTION: ("请核对地址、端口和账号。", "Check address, port and account."),
}


def title_of(case: TrialCase, language: Language) -> str:
    """Say what a case shows."""
    text = _KINDS[case.kind][0 if language is Language.ZH else 1]
    return f"{text} ({case.name})" if case.name else text


def advice_on(case: TrialCase, language: Language) -> str:
    """Say what to do about a case that did not pass; empty for one that did."""
    if case.passed:
        return ""
    spoken = 0 if language is Language.ZH else 1
    hint = _HINTS.get(case.kind, ("", ""))[spoken]
    kind = error_kinds().get(case.code)
    return " ".join(filter(None, (kind.message[language] + " " + kind.cure[language] if kind else "", hint)))


def trial_to_json(trial: Trial) -> JsonObject:
    """Return a test as the API and `--json` show it."""
    return {
        "service": trial.service,
        "contract": trial.contract,
        "kind": trial.adapter_kind,
        "started_at": format_instant(trial.started_at),
        "passed": trial.passed,
        "cases": [
            {
                "name": case.name,
                "kind": case.kind.value,
                "passed": case.passed,
                "code": case.code,
                "detail": case.detail,
                "seconds": round(case.seconds, 3),
                "title": {language.value: title_of(case, language) for language in Language},
                "advice": {language.value: advice_on(case, language) for language in Language},
            }
            for case in trial.cases
        ],
    }


def trials_to_junit(trials: tuple[Trial, ...]) -> bytes:
    """Return tests as JUnit XML, one suite a service."""
    root = etree.Element("testsuites")
    for trial in trials:
        suite = etree.SubElement(
            root,
            "testsuite",
            name=f"{trial.service} {trial.contract}",
            tests=str(len(trial.cases)),
            failures=str(sum(not case.passed for case in trial.cases)),
            errors="0",
            time=f"{sum(case.seconds for case in trial.cases):.3f}",
            timestamp=f"{trial.started_at:%Y-%m-%dT%H:%M:%S}",
        )
        for case in trial.cases:
            name = _printable(title_of(case, Language.EN))
            tested = etree.SubElement(
                suite, "testcase", classname=trial.service, name=name, time=f"{case.seconds:.3f}"
            )
            if not case.passed:
                message = advice_on(case, Language.EN) or case.detail
                failure = etree.SubElement(
                    tested, "failure", type=case.code or case.kind.value, message=_printable(message)
                )
                failure.text = _printable(
                    f"{case.code} {case.detail}\n{advice_on(case, Language.ZH)}".strip()
                )
    return etree.tostring(root, xml_declaration=True, encoding="utf-8", pretty_print=True)


def _printable(text: str) -> str:
    """Return a text without what XML cannot hold (XML 1.0 section 2.2)."""
    return "".join(letter if letter.isprintable() or letter == "\n" else "?" for letter in text)
