# SPDX-License-Identifier: Apache-2.0
"""Which logs are witnessed: their origins, and the keys each may sign with.

The file has the form in which public witnesses are given theirs:

    logs/v0

    vkey sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8
    origin go.sum database tree
    contact somebody to ask

`vkey` starts a log. Without `origin`, its origin is the key's name. A log with several keys has several such
blocks with one origin. Other lines, such as `qpd` and `contact`, are for people.

Source: the log lists of witness-network.org (logs/v0); C2SP tlog-witness, "Introduction".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub.errors import LogError, SettingsError
from hub.tlog import LONGEST_NAME, Note, SignatureType, VerifierKey

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from hub.tlog import HoldingSignature

_HEADER = "logs/v0"
_LOG_TYPES = (SignatureType.ED25519, SignatureType.ML_DSA_44)


@dataclass(frozen=True)
class WitnessedLog:
    """A log that is witnessed.

    Attributes:
        origin: the first line of its checkpoints; it may hold spaces.
        keys: any of them may sign.
    """

    origin: str
    keys: tuple[VerifierKey, ...]

    def verify(self, note: Note) -> tuple[HoldingSignature, ...]:
        """Check that the log signed a note; returns what holds, at least one.

        Raises:
            LogError: `log.submission_untrusted`: no key of the log signed, or a signature of one is wrong.
        """
        try:
            holding = note.verify(self.keys)
        except LogError as exc:
            raise LogError("log.submission_untrusted", f"invalid signature: {exc.detail}") from exc
        if not holding:
            raise LogError("log.submission_untrusted", "invalid signature: no key of this log signed")
        return holding


def read_witnessed_logs(path: Path) -> Mapping[str, WitnessedLog]:
    """Read the list of witnessed logs, by origin.

    Raises:
        SettingsError: `settings.invalid` names the line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as exc:
        raise SettingsError("settings.invalid", f"witnessed_logs: {path.name} cannot be read") from exc
    logs: dict[str, tuple[VerifierKey, ...]] = {}
    for number, key, origin in _blocks(path.name, text):
        others = logs.get(origin, ())
        if any(key.public_key == other.public_key for other in others):
            raise _invalid(path.name, number, "this key is listed for this log already")
        if len(origin.encode()) > LONGEST_NAME:
            raise _invalid(path.name, number, f"an origin has at most {LONGEST_NAME} bytes")
        logs[origin] = (*others, key)
    return {origin: WitnessedLog(origin, keys) for origin, keys in logs.items()}


def _blocks(name: str, text: str) -> Iterator[tuple[int, VerifierKey, str]]:
    """Take the file apart into the number of a log's first line, its key, and its origin."""
    lines = [(number, line.strip(" \t\r")) for number, line in enumerate(text.split("\n"), start=1)]
    lines = [(number, line) for number, line in lines if line and not line.startswith("#")]
    if not lines or lines[0][1] != _HEADER:
        raise SettingsError("settings.invalid", f"witnessed_logs: {name} does not start with {_HEADER}")
    begun: tuple[int, VerifierKey] | None = None
    origin = ""
    for number, line in lines[1:]:
        word, _, value = line.partition(" ")
        if word == "vkey":
            if begun is not None:
                yield *begun, origin
            key = _read_key(name, number, value)
            begun, origin = (number, key), key.name
        elif begun is None:
            raise _invalid(name, number, "a log starts with its vkey")
        elif word == "origin":
            if not value:
                raise _invalid(name, number, "an origin is not empty")
            origin = value
    if begun is not None:
        yield *begun, origin


def _read_key(name: str, number: int, text: str) -> VerifierKey:
    try:
        key = VerifierKey.decode(text)
    except LogError as exc:
        raise _invalid(name, number, exc.detail) from exc
    if key.signature_type not in _LOG_TYPES:
        raise _invalid(name, number, "the key is a witness's, not a log's")
    return key


def _invalid(name: str, number: int, detail: str) -> SettingsError:
    return SettingsError("settings.invalid", f"witnessed_logs: {name} line {number}: {detail}")
