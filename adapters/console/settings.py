# SPDX-License-Identifier: Apache-2.0
"""What a gateway's configuration says about its console.

console:
host: 127.0.0.1
port: 8600
four_eyes: true
needs_test: false
administrators:
- name: 周敏
password: file:zhou.argon2        made by `heliograph adapters password`
tokens: [{digest: file:zhou.token.sha256, expires_on: "2027-06-30"}]
"""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from adapters.console.passwords import require_strong
from adapters.references import ReferredPort, SecretReference

if TYPE_CHECKING:
    from hub.custody import Secret

_DIGEST = re.compile(r"[0-9a-f]{64}")
_LONGEST_NAME = 60


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _name(text: str) -> str:
    if not text.isprintable() or text != text.strip() or not 0 < len(text) <= _LONGEST_NAME:
        raise ValueError(f"1 to {_LONGEST_NAME} printable characters")
    return text


def _password(secret: Secret) -> Secret:
    require_strong(secret.reveal())
    return secret


def _digest(secret: Secret) -> Secret:
    if not _DIGEST.fullmatch(secret.reveal()):
        raise ValueError("not a SHA-256 in lower-case hexadecimal")
    return secret


def _day(text: object) -> object:
    try:
        return date.fromisoformat(text) if isinstance(text, str) else text
    except ValueError as exc:
        raise ValueError("a day is written 2027-06-30") from exc


class TokenSettings(_Settings):
    """A token for programs.

    Attributes:
        digest: where its SHA-256 is, hexadecimal.
        expires_on: the first day on which it opens nothing, in China; never without it.
    """

    digest: Annotated[SecretReference, AfterValidator(_digest)]
    expires_on: Annotated[date, BeforeValidator(_day)] | None = None


class AdministratorSettings(_Settings):
    """A person who administers adapters here.

    Attributes:
        name: stands beside all this person does.
        password: where the argon2id hash of the password is; without it, no signing in to the pages.
    """

    name: Annotated[str, AfterValidator(_name)]
    password: Annotated[SecretReference, AfterValidator(_password)] | None = None
    tokens: Annotated[tuple[TokenSettings, ...], Field(strict=False)] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.password is None and not self.tokens:
            raise ValueError("has neither password nor token, so nobody could sign in")
        return self


class ConsoleSettings(_Settings):
    """A gateway's console.

    Attributes:
        host: address to listen on; beyond this machine only with the gateway's `tls`.
        administrators: the people who administer.
        four_eyes: whether another person than its author has to approve a version before it answers.
        needs_test: whether a version has to pass its contract test before it answers.
        origin: how browsers address it, `https://gateway.example:8600`, where a proxy stands before it.
    """

    host: str = "127.0.0.1"
    port: ReferredPort
    administrators: Annotated[tuple[AdministratorSettings, ...], Field(strict=False, min_length=1)]
    four_eyes: bool = False
    needs_test: bool = False
    origin: Annotated[str, Field(pattern=r"^https?://[^/\s]+$")] | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        names = [each.name for each in self.administrators]
        if len(set(names)) != len(names):
            raise ValueError("two administrators have one name, so nobody could tell who did what")
        secrets = [t.digest.reveal() for each in self.administrators for t in each.tokens]
        secrets += [each.password.reveal() for each in self.administrators if each.password]
        if len(set(secrets)) != len(secrets):
            raise ValueError("two administrators share a password or token")
        if self.four_eyes and len(names) < 2:
            raise ValueError("four_eyes needs two administrators")
        return self
