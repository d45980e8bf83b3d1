# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hub.yamlfile import YamlFileError, read_yaml

if TYPE_CHECKING:
    from pathlib import Path


def written(folder: Path, content: bytes) -> Path:
    path = folder / "file.yaml"
    path.write_bytes(content)
    return path


def test_plain_values_are_read(tmp_path: Path) -> None:
    content = "名称: [1, a, true, null]\n".encode()
    assert read_yaml(written(tmp_path, content)) == {"名称": [1, "a", True, None]}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"a: 1\na: 2\n", "the key 'a' is there twice"),
        (b"outer:\n  - {b: 1, b: 1}\n", "the key 'b' is there twice"),
        (b"a: [1\n", "expected ',' or ']'"),
        (b"a: \xff\n", "can't decode byte 0xff"),
        (b"a: !!python/object/apply:os.system [ls]\n", "could not determine a constructor"),
    ],
)
def test_anything_else_is_refused_with_its_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(YamlFileError) as refusal:
        read_yaml(written(tmp_path, content))
    assert reason in str(refusal.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(YamlFileError, match="No such file"):
        read_yaml(tmp_path / "none.yaml")
