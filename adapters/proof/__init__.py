# SPDX-License-Identifier: Apache-2.0
"""The disability-employment proof: who counts in which month, and what the proof says.

numbering    the proof's number, an electronic certificate identifier with its check character
records      the three departments' answers, read into values and checked against each other
verdicts     what a counting rule is asked and what it answers
rule         the counting rule: a decision table kept as data, proven on its examples
counting     the rule applied to every person and month
composition  the proof's data, composed from answers, rule and the province's ratio

Source: docs/counting-rules.md; notice 残联厅函 2022 No. 63 section 1;
measures 财税 2015 No. 72 articles 7 and 8.
"""

from adapters.proof.composition import Party, SourceReference, compose
from adapters.proof.counting import PersonMonth, count_months
from adapters.proof.numbering import certificate_identifier, check_character, is_certificate_identifier
from adapters.proof.records import StaffRecords, person_batches, read_records
from adapters.proof.rule import CountingRule, load_counting_rule
from adapters.proof.verdicts import Facts, Reason, Verdict

__all__ = [
    "CountingRule",
    "Facts",
    "Party",
    "PersonMonth",
    "Reason",
    "SourceReference",
    "StaffRecords",
    "Verdict",
    "certificate_identifier",
    "check_character",
    "compose",
    "count_months",
    "is_certificate_identifier",
    "load_counting_rule",
    "person_batches",
    "read_records",
]
