# SPDX-License-Identifier: Apache-2.0
"""How an administrator's password is kept: argon2id, as a text that says how it was made.

Source: RFC 9106; the PHC string format; least cost as OWASP's Password Storage Cheat Sheet has it.
"""

from __future__ import annotations

import re
import secrets
import threading

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

SHORTEST_PASSWORD = 12
"""Characters; NIST SP 800-63B section 5.1.1 asks for 8, and this door opens a department's systems."""

LONGEST_PASSWORD = 200

_LANES, _ROUNDS, _KIBIBYTES = 4, 3, 65_536
_LEAST_ROUNDS, _LEAST_KIBIBYTES, _MOST_KIBIBYTES, _MOST_ROUNDS = 2, 19_456, 1_048_576, 20
_FORM = re.compile(
    r"\$argon2id\$v=19\$m=(?P<memory>[0-9]{1,8}),t=(?P<rounds>[0-9]{1,3}),p=[0-9]{1,3}"
    r"\$[A-Za-z0-9+/]{22,86}\$[A-Za-z0-9+/]{43,86}"
)
# Each check takes 64 MB: callers who have not shown who they are get two at a time.
_checking = threading.BoundedSemaphore(2)


def hash_password(password: str) -> str:
    """Return what is kept of a password.

    Raises:
        ValueError: it is too short or too long.
    """
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise ValueError(f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters")
    kdf = Argon2id(
        salt=secrets.token_bytes(16), length=32, iterations=_ROUNDS, lanes=_LANES, memory_cost=_KIBIBYTES
    )
    return kdf.derive_phc_encoded(password.encode("utf-8"))


def require_strong(kept: str) -> None:
    """Refuse what is no argon2id hash, or one that is guessed too cheaply.

    Raises:
        ValueError: without the hash.
    """
    found = _FORM.fullmatch(kept)
    if found is None:
        raise ValueError("not an argon2id hash; `heliograph adapters password` makes one")
    memory, rounds = int(found["memory"]), int(found["rounds"])
    if not (_LEAST_KIBIBYTES <= memory <= _MOST_KIBIBYTES and _LEAST_ROUNDS <= rounds <= _MOST_ROUNDS):
        raise ValueError("an argon2id hash of another cost; `heliograph adapters password` makes one")


def is_password(password: str, kept: str) -> bool:
    """Tell whether a password is the one that was kept."""
    if len(password) > LONGEST_PASSWORD:
        return False
    with _checking:
        try:
            Argon2id.verify_phc_encoded(password.encode("utf-8", "surrogatepass"), kept)
        except InvalidKey:
            return False
        return True
