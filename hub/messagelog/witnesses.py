# SPDX-License-Identifier: Apache-2.0
"""Which witnesses the log asks: a policy file, in which each of them has its address.

Source: C2SP tlog-policy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from hub.errors import LogError, SettingsError
from hub.tlog import TrustPolicy

if TYPE_CHECKING:
    from pathlib import Path


def read_witness_policy(path: Path) -> TrustPolicy:
    """Read the policy of the log's own witnesses.

    Raises:
        SettingsError: `settings.invalid`: it is no policy, or a witness has no address.
    """
    try:
        policy = TrustPolicy.decode(path.read_bytes())
    except OSError as exc:
        raise SettingsError("settings.invalid", f"witness_policy: {path.name} cannot be read") from exc
    except LogError as exc:
        raise SettingsError("settings.invalid", f"witness_policy: {path.name}: {exc.detail}") from exc
    for witness in policy.witnesses:
        if urlsplit(witness.url or "").scheme not in {"http", "https"}:
            detail = f"witness_policy: the witness {witness.name} has no address to be asked at"
            raise SettingsError("settings.invalid", detail)
    return policy
