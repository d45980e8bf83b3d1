# SPDX-License-Identifier: Apache-2.0
"""README.txt of a bundle: for whoever finds the file one day and knows nothing of it."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

from hub.clock import format_instant

if TYPE_CHECKING:
    from hub.bundles.facts import SummaryFacts


def write_readme(facts: SummaryFacts) -> bytes:
    """Write the file."""
    template = resources.files("hub.bundles").joinpath("readme.txt").read_text(encoding="utf-8")
    return template.format(
        hub=facts.hub,
        origin=facts.log_origin,
        made_at=format_instant(facts.made_at),
        missing=len(facts.missing) or "无 none",
    ).encode("utf-8")
