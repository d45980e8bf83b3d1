# SPDX-License-Identifier: Apache-2.0
"""Runs OpenSSH's own server on a free port, as the user who runs the tests."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.adapters.running import free_port, has_port_open, tool, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SSHD = tool("sshd")

needs_openssh = [
    pytest.mark.skipif(SSHD is None, reason="needs OpenSSH's server (openssh-server)"),
    pytest.mark.skipif(tool("ssh-keygen") is None, reason="needs ssh-keygen (openssh-client)"),
    pytest.mark.skipif(
        os.geteuid() == 0 and not Path("/run/sshd").is_dir(), reason="sshd run by root needs /run/sshd"
    ),
]


def user_name() -> str:
    return subprocess.run(["id", "-un"], capture_output=True, check=True, text=True).stdout.strip()


def new_key(path: Path, kind: str, passphrase: str = "") -> str:
    subprocess.run(
        ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-f", str(path)], check=True, capture_output=True
    )
    return path.with_suffix(".pub").read_text(encoding="ascii").strip()


@contextmanager
def sshd(
    folder: Path, *, before: Sequence[str] = (), environment: dict[str, str] | None = None
) -> Iterator[dict[str, str]]:
    """Run sshd; yields the environment the descriptions refer to.

    Args:
        folder: for its keys and its log.
        before: a command that runs it, such as `prlimit`.
        environment: what is added to its own.
    """
    port = free_port()
    host_key = new_key(folder / "host", "ed25519")
    new_key(folder / "other_host", "rsa")
    client = new_key(folder / "client", "ecdsa", "open sesame")
    (folder / "authorized").write_text(client, encoding="ascii")
    config = folder / "sshd_config"
    config.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nHostKey {folder}/other_host\n"
        f"AuthorizedKeysFile {folder}/authorized\nPasswordAuthentication no\nStrictModes no\nUsePAM no\n"
        f"PidFile none\nPermitRootLogin yes\nSubsystem sftp internal-sftp\n",
        encoding="ascii",
    )
    with (
        (folder / "sshd.log").open("wb") as log,
        subprocess.Popen(
            [*before, str(SSHD), "-D", "-e", "-f", str(config)],
            stderr=log,
            env={**os.environ, **(environment or {})},
            # Python ignores SIGXFSZ; a server that inherits this sees a full disk as an error.
            restore_signals=False,
        ) as process,
    ):
        try:
            wait_until(lambda: has_port_open(port))
            yield {
                "SOCIAL_INSURANCE_PORT": str(port),
                "SOCIAL_INSURANCE_HOST_KEY": host_key,
                "SOCIAL_INSURANCE_CLIENT_KEY": (folder / "client").read_text(encoding="ascii"),
                "SOCIAL_INSURANCE_PASSPHRASE": "open sesame",
            }
        finally:
            process.terminate()
