# SPDX-License-Identifier: Apache-2.0
"""YAML as this project reads it: plain values only, and no key twice.

YAML lets the second of two equal keys win without a word, in a list of codes or of rights of all places.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Hashable
    from pathlib import Path


class YamlFileError(ValueError):
    """A file that cannot be read, is not YAML, or names a key twice; the message says where."""


def read_yaml(path: Path) -> Any:
    """Read a YAML file in UTF-8.

    Raises:
        YamlFileError: the message is one line and holds no path.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise YamlFileError(" ".join(str(error).split())[:300]) from error
    return parse_yaml(text)


def parse_yaml(text: str) -> Any:
    """Read YAML that is here already; otherwise as `read_yaml`.

    Raises:
        YamlFileError: the message is one line and quotes nothing of the text but a key.
    """
    try:
        return yaml.load(text, Loader=_OnceLoader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        # The error as it is shows the line, where a password may stand by mistake; so does its traceback.
        raise YamlFileError(_told(error)) from None
    except yaml.YAMLError as error:
        raise YamlFileError(" ".join(str(error).split())[:300]) from error
    except (RecursionError, TypeError, ValueError) as error:
        # Nesting without end, keys that are no keys, dates that are none.
        raise YamlFileError(type(error).__name__) from error


def _told(error: yaml.MarkedYAMLError) -> str:
    parts = [part for part in (error.context, error.problem) if part]
    mark = error.problem_mark or error.context_mark
    if mark is not None:
        parts.append(f"line {mark.line + 1}, column {mark.column + 1}")
    return " ".join(", ".join(parts).split())[:300]


class _OnceLoader(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 - PyYAML's signature
        seen = set()
        for key_node, _value in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is there twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)
