# SPDX-License-Identifier: Apache-2.0
"""SoftHSM, a PKCS#11 token in software, with its tokens in a folder of the tests' own."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from hub.custody import Secret, TokenPlace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

PIN = "49152 for tests"
_TOKENS = 12
_PLACES = (
    "usr/lib/*/softhsm/libsofthsm2.so",
    "usr/lib/softhsm/libsofthsm2.so",
    "usr/lib64/pkcs11/libsofthsm2.so",
)


@dataclass
class SoftHsm:
    """The module, and tokens nobody has used yet; the module sees only those it found when it was loaded."""

    module: Path
    folder: Path
    free: Iterator[str] = field(repr=False)
    shared: str | None = None

    def token(self) -> str:
        """Return the label of an empty token."""
        return next(self.free)

    def shared_token(self) -> str:
        """Return the label of a token for tests that only add keys of their own names."""
        if self.shared is None:
            self.shared = self.token()
        return self.shared

    def place(self, token: str, name: str) -> TokenPlace:
        return TokenPlace(token=token, object=name, module=self.module)

    def import_key(self, token: str, name: str, key: PrivateKeyTypes, folder: Path) -> TokenPlace:
        """Put a key into a token with SoftHSM's own tool, which lets it be taken out no more."""
        file = folder / f"{name}.pk8"
        file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        arguments = ["--import", str(file), "--token", token, "--label", name, "--id", "01", "--pin", PIN]
        subprocess.run(["softhsm2-util", *arguments], check=True, capture_output=True)
        file.unlink()
        return self.place(token, name)

    @property
    def pin(self) -> Secret:
        return Secret("a test", PIN)

    def folder_of(self, token: str) -> Path:
        """Return where a token's objects lie."""
        [found] = [
            each.parent
            for each in (self.folder / "tokens").glob("*/token.object")
            if token.encode() in each.read_bytes()
        ]
        return found


def find_module() -> Path | None:
    found = (path for pattern in _PLACES for path in sorted(Path("/").glob(pattern)))
    return next(found, None)


def initialise(folder: Path, labels: list[str]) -> Path:
    """Write SoftHSM's configuration and make tokens."""
    (folder / "tokens").mkdir()
    configuration = folder / "softhsm2.conf"
    configuration.write_text(f"directories.tokendir = {folder / 'tokens'}\n", encoding="utf-8")
    for label in labels:
        subprocess.run(
            ["softhsm2-util", "--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", PIN],
            env={**os.environ, "SOFTHSM2_CONF": str(configuration)},
            check=True,
            capture_output=True,
        )
    return configuration


@pytest.fixture(scope="session")
def softhsm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoftHsm]:
    module = find_module()
    if module is None or shutil.which("softhsm2-util") is None:
        pytest.skip("softhsm2 is not installed")
    folder = tmp_path_factory.mktemp("softhsm")
    labels = [f"test-{number:02}" for number in range(_TOKENS)]
    configuration = initialise(folder, labels)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SOFTHSM2_CONF", str(configuration))
        yield SoftHsm(module, folder, iter(labels))
