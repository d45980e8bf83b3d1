# SPDX-License-Identifier: Apache-2.0
"""The text of one service's description, in the one form that is compared, digested and kept.

The form is YAML with the entry's own fields in a fixed order and everything below them as it was written: the
order of a mapping's members may decide the columns of a file. Comments do not survive; a note goes with the
version instead.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import yaml

from hub.errors import AdapterError
from hub.yamlfile import YamlFileError, parse_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_BYTES = 1_000_000
"""Of one description: larger ones are lists of codes that belong elsewhere, or attacks."""

_MOST_VALUES = 50_000
_DEEPEST = 60
_FIRST = ("service", "contract", "kind", "timeout_seconds", "repeatable", "connection")
_LAST = ("request", "response", "outcomes", "code_lists")


class _Dumper(yaml.SafeDumper):
    """Writes a value that stands twice twice, so that texts are equal where contents are."""

    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True


def parse_description(text: str, *, at: str) -> Any:
    """Read YAML that somebody sent.

    Args:
        text: the description.
        at: what it is called, for errors.

    Raises:
        AdapterError: `adapter.configuration_invalid`: it is no YAML, too large, too deep, or grows without
            bounds by references to itself.
    """
    if len(text.encode("utf-8", "replace")) > MOST_BYTES:
        raise AdapterError("adapter.configuration_invalid", f"{at}: more than {MOST_BYTES} bytes")
    try:
        content = parse_yaml(text)
    except YamlFileError as error:
        raise AdapterError("adapter.configuration_invalid", f"{at}: {error}") from error
    _refuse_endless(content, at)
    return content


def canonical_text(entry: Mapping[str, Any]) -> str:
    """Write one entry of `services:`."""
    known = [name for name in (*_FIRST, *_LAST) if name in entry]
    others = [name for name in entry if name not in known]
    first = [name for name in known if name in _FIRST]
    last = [name for name in known if name in _LAST]
    ordered = {name: entry[name] for name in (*first, *others, *last)}
    return yaml.dump(
        ordered, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=110, default_flow_style=False
    )


def digest_of(text: str) -> str:
    """Return the SHA-256 of a description's text, hexadecimal."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _refuse_endless(content: Any, at: str) -> None:
    """Count what the description would be if it were written out: a few aliases make billions."""
    waiting: list[tuple[Any, int]] = [(content, 0)]
    seen = 0
    while waiting:
        value, depth = waiting.pop()
        seen += 1
        if seen > _MOST_VALUES or depth > _DEEPEST:
            raise AdapterError("adapter.configuration_invalid", f"{at}: too many values, or too deep")
        if isinstance(value, dict):
            waiting += [(each, depth + 1) for each in value.values()]
        elif isinstance(value, list | tuple | set):
            waiting += [(each, depth + 1) for each in value]
