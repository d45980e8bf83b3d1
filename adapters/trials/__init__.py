# SPDX-License-Identifier: Apache-2.0
"""Contract tests: what an adapter and its real system have to show before they are switched on.

cases     the questions: the contract's examples, the department's samples, nobody
trial     asks them, and judges what comes back as the gateway does
reports   for people, programs and CI servers
"""

from adapters.trials.cases import Case, CaseKind, contract_cases
from adapters.trials.reports import advice_on, title_of, trial_to_json, trials_to_junit
from adapters.trials.trial import Trial, TrialCase, trial

__all__ = [
    "Case",
    "CaseKind",
    "Trial",
    "TrialCase",
    "advice_on",
    "contract_cases",
    "title_of",
    "trial",
    "trial_to_json",
    "trials_to_junit",
]
