# SPDX-License-Identifier: Apache-2.0
"""Policies: which files are one, and what each believes, against the rule computed in another way."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256
from itertools import combinations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.errors import LogError
from hub.tlog import (
    EMPTY_ROOT,
    Checkpoint,
    Cosigner,
    NoteSigner,
    SignatureType,
    TrustPolicy,
    VerifierKey,
)

AT = 1_700_000_000


def a_key(number: int) -> Ed25519PrivateKey:
    # The same for every process that collects these tests, because the files under test name them.
    return Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)


LOG = NoteSigner("example.com/log", a_key(100))
OTHER_LOG = NoteSigner("example.com/other", a_key(101))
PQ_LOG = Cosigner("example.com/pq", MLDSA44PrivateKey.generate())
WITNESSES = [Cosigner(f"w{number}.example", a_key(number)) for number in range(6)]
LOG_KEY = LOG.verifier.encode()
KEYS = [witness.verifier.encode() for witness in WITNESSES]
TEXT = Checkpoint(LOG.name, 3, sha256(b"a root").digest()).to_text()

EXAMPLE = f"""
log {LOG_KEY}

witness X1 {KEYS[0]}
witness X2 {KEYS[1]}
witness X3 {KEYS[2]}
group X-witnesses 2 X1 X2 X3

witness Y1 {KEYS[3]}
witness Y2 {KEYS[4]}
witness Y3 {KEYS[5]}
group Y-witnesses any Y1 Y2 Y3

group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
"""
"""The example of C2SP tlog-policy."""


def note(*cosigners: int, text: str = TEXT, log: NoteSigner = LOG) -> str:
    return log.sign(text) + "".join(WITNESSES[number].cosign(text, AT + number) for number in cosigners)


def test_the_example_of_the_specification_asks_for_two_of_x_and_one_of_y() -> None:
    policy = TrustPolicy.decode(EXAMPLE)
    witnessed = policy.open(note(0, 2, 4))
    assert witnessed.checkpoint.size == 3
    assert witnessed.witnesses == {
        "X1": datetime.fromtimestamp(AT, UTC),
        "X3": datetime.fromtimestamp(AT + 2, UTC),
        "Y2": datetime.fromtimestamp(AT + 4, UTC),
    }
    for cosigners in ((), (0,), (0, 1), (0, 1, 2), (0, 3, 4, 5), (3, 4, 5)):
        with pytest.raises(LogError, match=r"log\.not_witnessed"):
            policy.open(note(*cosigners))


@given(st.sets(st.integers(0, 5)))
def test_the_quorum_of_the_example_is_what_the_words_say(cosigners: set[int]) -> None:
    expected = len(cosigners & {0, 1, 2}) >= 2 and len(cosigners & {3, 4, 5}) >= 1
    names = ["X1", "X2", "X3", "Y1", "Y2", "Y3"]
    assert TrustPolicy.decode(EXAMPLE).is_met_by({names[number] for number in cosigners}) is expected


@settings(max_examples=50)
@given(st.data())
def test_any_nesting_of_groups_is_decided_as_by_recursion(data: st.DataObject) -> None:
    members: dict[str, tuple[int, list[str]]] = {}
    free = [f"W{number}" for number in range(6)]
    lines = [f"witness W{number} {KEYS[number]}" for number in range(6)]
    for number in range(data.draw(st.integers(0, 5))):
        chosen = data.draw(st.lists(st.sampled_from(free), min_size=1, unique=True)) if free else []
        if not chosen:
            break
        threshold = data.draw(st.integers(1, len(chosen)))
        members[f"G{number}"] = (threshold, chosen)
        free = [name for name in free if name not in chosen] + [f"G{number}"]
        lines.append(f"group G{number} {threshold} {' '.join(chosen)}")
    quorum = data.draw(st.sampled_from([f"W{number}" for number in range(6)] + list(members)))
    policy = TrustPolicy.decode("\n".join([*lines, f"quorum {quorum}\n"]))
    assert TrustPolicy.decode(policy.encode()) == policy
    cosigners = data.draw(st.sets(st.sampled_from([f"W{number}" for number in range(6)])))

    def is_met(name: str) -> bool:
        if name not in members:
            return name in cosigners
        threshold, below = members[name]
        return sum(map(is_met, below)) >= threshold

    assert policy.is_met_by(cosigners) is is_met(quorum)
    names = [f"W{number}" for number in range(6)]
    sizes = [len(some) for count in range(7) for some in combinations(names, count) if policy.is_met_by(some)]
    assert policy.fewest_cosigners() == min(sizes)


def test_a_policy_may_ask_for_no_witness_and_still_names_who_cosigned() -> None:
    policy = TrustPolicy.decode(f"log {LOG_KEY}\nwitness w {KEYS[0]}\nquorum none\n")
    assert policy.open(note()).witnesses == {}
    assert set(policy.open(note(0, 1)).witnesses) == {"w"}


def test_a_policy_without_logs_takes_them_from_elsewhere() -> None:
    policy = TrustPolicy.decode("quorum none\n")
    with pytest.raises(LogError, match="no log of the policy"):
        policy.open(note())
    assert policy.open(note(), [LOG.verifier]).checkpoint.size == 3


def test_a_log_cannot_speak_for_another_one_of_the_policy() -> None:
    policy = TrustPolicy.decode(f"log {LOG_KEY}\nlog {OTHER_LOG.verifier.encode()}\nquorum none\n")
    assert policy.open(note(log=OTHER_LOG, text=TEXT.replace(LOG.name, OTHER_LOG.name))).checkpoint.size == 3
    with pytest.raises(LogError, match="no log of the policy"):
        policy.open(note(log=OTHER_LOG))


def test_a_wrong_cosignature_of_a_known_witness_spoils_the_checkpoint() -> None:
    policy = TrustPolicy.decode(EXAMPLE)
    wrong = WITNESSES[5].cosign(TEXT.replace("\n3\n", "\n4\n"), AT)
    with pytest.raises(LogError, match=r"log\.checkpoint_invalid"):
        policy.open(note(0, 1, 3) + wrong)


def test_a_cosignature_given_twice_counts_once() -> None:
    policy = TrustPolicy.decode(
        f"log {LOG_KEY}\nwitness a {KEYS[0]}\nwitness b {KEYS[1]}\ngroup g all a b\nquorum g\n"
    )
    with pytest.raises(LogError, match="cosigned by a;"):
        policy.open(note(0, 0, 0))
    later = WITNESSES[0].cosign(TEXT, AT + 99)
    assert policy.open(note(0, 1) + later).witnesses["a"] == datetime.fromtimestamp(AT, UTC)


def test_a_post_quantum_log_and_witness_are_believed() -> None:
    witness = Cosigner("w.example", MLDSA44PrivateKey.generate())
    policy = TrustPolicy.decode(
        f"log {PQ_LOG.verifier.encode()}\nwitness w {witness.verifier.encode()}\nquorum w\n"
    )
    text = TEXT.replace(LOG.name, PQ_LOG.name)
    signed = f"{text}\n{PQ_LOG.cosign(text, 0)}"
    assert policy.open(signed + witness.cosign(text, AT)).witnesses == {"w": datetime.fromtimestamp(AT, UTC)}
    assert policy.open(signed + witness.cosign(text, 0)).witnesses == {"w": None}
    with pytest.raises(LogError, match=r"log\.not_witnessed"):
        policy.open(signed)


@pytest.mark.parametrize("root", [b"bananas", sha256(b"not empty").digest()])
def test_a_root_no_such_tree_has_is_refused(root: bytes) -> None:
    policy = TrustPolicy.decode(f"log {LOG_KEY}\nquorum none\n")
    size = 3 if root == b"bananas" else 0
    with pytest.raises(LogError, match=r"log\.checkpoint_invalid"):
        policy.open(LOG.sign(Checkpoint(LOG.name, size, root).to_text()))
    assert policy.open(LOG.sign(Checkpoint(LOG.name, 0, EMPTY_ROOT).to_text())).checkpoint.size == 0


@pytest.mark.parametrize(
    "text",
    [
        "quorum none\n",
        f"quorum none\nlog {LOG_KEY}\n",
        f" \t log\t \t{LOG_KEY} \t\n \t\n\t# a comment\n#another\n\tquorum  none\t\n",
        f"log {LOG_KEY} https://log.example/\nwitness w {KEYS[0]} https://w.example/x\nquorum w\n",
        f"witness w {KEYS[0]}\nquorum w\nwitness v {KEYS[1]}\n",
        f"witness w {KEYS[0]}\ngroup g 1 w\nquorum w\n",
        f"witness all {KEYS[0]}\nwitness any {KEYS[1]}\ngroup 2 all all any\nquorum 2\n",
        f"witness 见证方 {KEYS[0]} https://见证.example/\nquorum 见证方\n",
        f"witness K {KEYS[0]}\nwitness \u212a {KEYS[1]}\nquorum \u212a\n",
        f"witness a\u00a0b {KEYS[0]}\nquorum a\u00a0b\n",
        f"witness a\u2028b {KEYS[0]}\nquorum a\u2028b\n",
        f"witness w#1 {KEYS[0]}\nquorum w#1\n",
        "# \u0085 \u2029\nquorum none\n",
        "".join(f"# {number}\n" for number in range(100)) + "quorum none\n",
    ],
)
def test_a_file_of_the_specified_form_is_read(text: str) -> None:
    policy = TrustPolicy.decode(text)
    assert TrustPolicy.decode(policy.encode()) == policy
    assert TrustPolicy.decode(text.encode()) == policy


def test_names_are_octets() -> None:
    raw = b"witness \xff\xfe " + KEYS[0].encode() + b" \xc3\nquorum \xff\xfe\n"
    policy = TrustPolicy.decode(raw)
    assert policy.quorum.encode("utf-8", "surrogateescape") == b"\xff\xfe"
    assert TrustPolicy.decode(policy.encode()) == policy
    with pytest.raises(LogError, match="not defined"):
        TrustPolicy.decode(raw.replace(b"quorum \xff\xfe", b"quorum \xff\xfd"))


def test_forty_of_each_kind_are_read() -> None:
    names = [f"w{number}" for number in range(40)]
    lines = [
        f"log {NoteSigner(f'{name}.example', Ed25519PrivateKey.generate()).verifier.encode()}"
        for name in names
    ]
    lines += [
        f"witness {name} {Cosigner(name, Ed25519PrivateKey.generate()).verifier.encode()}" for name in names
    ]
    lines += [f"group g{name} any {name}" for name in names]
    lines += [f"group all-of-them 40 {' '.join(f'g{name}' for name in names)}", "quorum all-of-them", ""]
    policy = TrustPolicy.decode("\n".join(lines))
    assert policy.is_met_by(names)
    assert not policy.is_met_by(names[1:])


def renamed(vkey: str, name: str) -> str:
    key = VerifierKey.decode(vkey)
    return VerifierKey(name, key.public_key, key.signature_type).encode()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no quorum"),
        ("# nothing\n", "no quorum"),
        ("quorum none", "newline"),
        ("quorum\n", "quorum <name>"),
        ("quorum none none\n", "quorum <name>"),
        ("quorum none # really\n", "quorum <name>"),
        ("quorum none\nquorum none\n", "one quorum"),
        ("quorum w\n", "not defined"),
        (f"quorum w\nwitness w {KEYS[0]}\n", "not defined"),
        ("Quorum none\n", "starts with none"),
        ("witnesses\nquorum none\n", "starts with none"),
        ("quorum\u00a0none\n", "starts with none"),
        ("quorum none\r\n", "control"),
        ("quorum none\n\x00", "control"),
        ("quorum none\n\x7f\n", "control"),
        ("quorum\x0bnone\n", "control"),
        ("quorum\x0cnone\n", "control"),
        ("log\nquorum none\n", "log <vkey>"),
        (f"log {LOG_KEY} one two\nquorum none\n", "log <vkey>"),
        ("log nonsense\nquorum none\n", "form"),
        (f"log {KEYS[0]}\nquorum none\n", "type"),
        (f"log {LOG_KEY}\nlog {LOG_KEY}\nquorum none\n", "listed already"),
        (f"log {LOG_KEY}\nlog {renamed(LOG_KEY, 'another')}\nquorum none\n", "listed already"),
        ("witness w\nquorum w\n", "witness <name>"),
        (f"witness w {KEYS[0]} one two\nquorum w\n", "witness <name>"),
        (f"witness w {LOG_KEY}\nquorum w\n", "type"),
        (f"witness none {KEYS[0]}\nquorum none\n", "taken"),
        (f"witness w {KEYS[0]}\nwitness w {KEYS[1]}\nquorum w\n", "taken"),
        (f"witness w {KEYS[0]}\nwitness v {KEYS[0]}\nquorum w\n", "listed already"),
        (f"witness w {KEYS[0]}\nwitness v {renamed(KEYS[0], 'another')}\nquorum w\n", "listed already"),
        (f"witness w {KEYS[0]}\ngroup w any w\nquorum w\n", "taken"),
        (f"witness w {KEYS[0]}\ngroup none any w\nquorum none\n", "taken"),
        (f"witness w {KEYS[0]}\ngroup g any\nquorum w\n", "group <name>"),
        ("group g any none\nquorum g\n", "not defined"),
        (f"group g any w\nwitness w {KEYS[0]}\nquorum g\n", "not defined"),
        (f"witness w {KEYS[0]}\ngroup g any g\nquorum w\n", "not defined"),
        (f"witness w {KEYS[0]}\ngroup g any w w\nquorum g\n", "member already"),
        (f"witness w {KEYS[0]}\ngroup g any w\ngroup h any w\nquorum g\n", "member already"),
        (f"witness w {KEYS[0]}\ngroup g 0 w\nquorum g\n", "decimal"),
        (f"witness w {KEYS[0]}\ngroup g 2 w\nquorum g\n", "never"),
        (f"witness w {KEYS[0]}\ngroup g 01 w\nquorum g\n", "decimal"),
        (f"witness w {KEYS[0]}\ngroup g +1 w\nquorum g\n", "decimal"),
        (f"witness w {KEYS[0]}\ngroup g -1 w\nquorum g\n", "decimal"),
        (f"witness w {KEYS[0]}\ngroup g 0x1 w\nquorum g\n", "decimal"),
        (f"witness w {KEYS[0]}\ngroup g \u0661 w\nquorum g\n", "decimal"),
        (f"witness w {KEYS[0]}\ngroup g ALL w\nquorum g\n", "decimal"),
        (f"witness w {KEYS[0]}\ngroup g none w\nquorum g\n", "decimal"),
    ],
)
def test_a_file_of_another_form_is_refused(text: str, why: str) -> None:
    with pytest.raises(LogError, match=why) as caught:
        TrustPolicy.decode(text)
    assert caught.value.code == "log.policy_invalid"


def test_one_key_listed_for_both_ways_of_signing_is_a_duplicate() -> None:
    key = WITNESSES[0].private_key.public_key()
    with pytest.raises(LogError, match="type"):
        TrustPolicy.decode(f"witness w {VerifierKey('w', key, SignatureType.ED25519).encode()}\nquorum w\n")
