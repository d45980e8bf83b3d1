# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
import itertools
import json
import os
import pickle
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import structlog
from pydantic import BaseModel, TypeAdapter, ValidationError

from hub.custody import Secret, read_secret
from hub.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

HIDDEN = "correct horse battery"
_NUMBERS = itertools.count(600)
"""Descriptors that no other test has read."""


def private(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


def piped(content: bytes) -> int:
    """Return a descriptor from which the content can be read once."""
    reading, writing = os.pipe()
    os.write(writing, content)
    os.close(writing)
    number = next(_NUMBERS)
    os.dup2(reading, number)
    os.close(reading)
    return number


def is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def test_a_secret_is_read_from_a_variable_or_a_file(tmp_path: Path) -> None:
    private(tmp_path / "secret", f"{HIDDEN}\n".encode())
    environment = {"PASSPHRASE": HIDDEN}
    from_variable = read_secret("env:PASSPHRASE", folder=tmp_path, environment=environment)
    from_file = read_secret("file:secret", folder=tmp_path, environment={})
    assert from_variable.reveal() == from_file.reveal() == HIDDEN


def test_only_line_ends_at_the_end_are_cut_off(tmp_path: Path) -> None:
    private(tmp_path / "secret", b"  with spaces \r\n")
    assert read_secret("file:secret", folder=tmp_path, environment={}).reveal() == "  with spaces "


def test_a_credential_is_found_where_systemd_puts_it(tmp_path: Path) -> None:
    (tmp_path / "credentials").mkdir()
    private(tmp_path / "credentials" / "passphrase", HIDDEN.encode(), 0o440)
    environment = {"CREDENTIALS_DIRECTORY": str(tmp_path / "credentials")}
    assert read_secret("credential:passphrase", folder=tmp_path, environment=environment).reveal() == HIDDEN
    for reference, given in (
        ("credential:passphrase", {}),
        ("credential:other", environment),
        ("credential:../secret", environment),
        ("credential:..", environment),
    ):
        with pytest.raises(SettingsError):
            read_secret(reference, folder=tmp_path, environment=given)


def test_a_descriptor_is_read_once_and_closed(tmp_path: Path) -> None:
    descriptor = piped(f"{HIDDEN}\n".encode())
    reference = f"fd:{descriptor}"
    assert read_secret(reference, folder=tmp_path, environment={}).reveal() == HIDDEN
    assert not is_open(descriptor)
    # The number may now belong to any other file, whose content would be taken for the secret.
    stranger = private(tmp_path / "stranger", b"no secret")
    with stranger.open("rb") as file:
        os.dup2(file.fileno(), descriptor)
    with pytest.raises(SettingsError, match="read once"):
        read_secret(reference, folder=tmp_path, environment={})
    os.close(descriptor)


@pytest.mark.parametrize("reference", ["fd:1", "fd:2", "fd:-1", "fd:x", "fd:99999", "fd:٣"])
def test_what_is_no_descriptor_for_reading_is_refused(tmp_path: Path, reference: str) -> None:
    with pytest.raises(SettingsError) as refused:
        read_secret(reference, folder=tmp_path, environment={})
    assert refused.value.code == "settings.invalid"


def test_a_descriptor_that_is_not_open_holds_no_secret(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        read_secret("fd:998", folder=tmp_path, environment={})
    assert refused.value.code == "settings.secret_missing"


def test_another_process_hands_its_secret_over_by_descriptor() -> None:
    program = (
        "from pathlib import Path\n"
        "from hub.custody import read_secret\n"
        "print(read_secret('fd:3', folder=Path(), environment={}).reveal())"
    )
    shell = f'exec 3<<<\'{HIDDEN}\'; exec "$0" -c "$1"'
    answer = subprocess.run(["bash", "-c", shell, sys.executable, program], check=True, capture_output=True)
    assert answer.stdout.decode().strip() == HIDDEN


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o602, 0o620, 0o666])
def test_a_secret_that_others_may_read_or_change_is_refused(tmp_path: Path, mode: int) -> None:
    private(tmp_path / "secret", HIDDEN.encode(), mode)
    with pytest.raises(SettingsError) as refused:
        read_secret("file:secret", folder=tmp_path, environment={})
    assert refused.value.code == "settings.secret_exposed"
    assert HIDDEN not in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", b"x" * 70_000])
def test_a_file_without_a_readable_secret_is_refused(tmp_path: Path, content: bytes) -> None:
    private(tmp_path / "secret", content)
    with pytest.raises(SettingsError) as refused:
        read_secret("file:secret", folder=tmp_path, environment={})
    assert refused.value.code == "settings.secret_missing"


def test_a_pipe_in_the_place_of_a_secret_does_not_stop_the_service(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "secret", 0o600)
    with pytest.raises(SettingsError, match="cannot be read"):
        read_secret("file:secret", folder=tmp_path, environment={})


@pytest.mark.parametrize("inline", [HIDDEN, f"pass:{HIDDEN}", "env:", "file:", "fd:", ""])
def test_an_inline_secret_is_refused_and_not_repeated(tmp_path: Path, inline: str) -> None:
    with pytest.raises(SettingsError) as refused:
        read_secret(inline, folder=tmp_path, environment={})
    assert refused.value.code == "settings.invalid"
    assert HIDDEN not in str(refused.value)


class Holder(BaseModel):
    passphrase: Secret


def test_a_secret_shows_itself_nowhere(capsys: pytest.CaptureFixture[str]) -> None:
    secret = Secret("env:PASSPHRASE", HIDDEN)
    holder = Holder(passphrase=secret)
    structlog.get_logger("test").warning("an event", secret=secret, holder=holder)
    shown = [
        repr(secret),
        str(secret),
        f"{secret}",
        "%s %r" % (secret, secret),  # noqa: UP031 (one of the ways to print)
        repr(holder),
        str(holder),
        repr(holder.model_dump()),
        holder.model_dump_json(),
        json.dumps(holder.model_dump(mode="json")),
        repr(TypeAdapter(Holder).dump_python(holder)),
        capsys.readouterr().out,
    ]
    assert [text for text in shown if HIDDEN in text] == []
    assert "env:PASSPHRASE" in holder.model_dump_json()


class HolderWithPort(Holder):
    port: int


def test_what_pydantic_says_of_what_is_wrong_beside_a_secret_does_not_show_it() -> None:
    with pytest.raises(ValidationError) as refused:
        HolderWithPort.model_validate({"passphrase": Secret("env:PASSPHRASE", HIDDEN)})
    assert "env:PASSPHRASE" in str(refused.value)
    assert HIDDEN not in str(refused.value)
    assert HIDDEN not in repr(refused.value.errors())


def test_a_secret_is_neither_pickled_nor_doubled() -> None:
    secret = Secret("env:PASSPHRASE", HIDDEN)
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(secret)
    assert copy.copy(secret) is secret
    assert copy.deepcopy({"a": secret})["a"] is secret


def test_secrets_are_equal_by_their_value() -> None:
    assert Secret("a", HIDDEN) == Secret("b", HIDDEN)
    assert Secret("a", HIDDEN) != Secret("a", "another")
    assert Secret("a", HIDDEN) != HIDDEN
