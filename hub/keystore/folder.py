# SPDX-License-Identifier: Apache-2.0
"""The folder of the hub's own keys.

    <name>.key.pem              the encrypted key, or
    <name>.key.uri              the URI of the key in a token
    <name>.request.pem          what was asked of an authority
    <name>.chain.pem            its answer, and .previous the one before

A new key is kept where the hub's signing key is: in its token, or in a file under the same passphrase. So a
key that is ready is taken up by naming its files in the settings.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from hub.custody import (
    CheckedAnswer,
    Expectation,
    KeyAlgorithm,
    Subject,
    TokenPlace,
    check_answer,
    generate_key,
    previous_of,
    read_certificates,
    read_chain,
    read_key_place,
    read_request,
    request_certificate,
    require_use,
    use_of,
    write_chain,
    write_private_file,
)
from hub.errors import TrustError
from hub.keystore.model import StoredKey, require_name
from hub.trust import Use

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from hub.custody import KeyPlace, Secret
    from hub.identifiers import MemberId
    from hub.trust import Validator

_FOR_EVERYBODY = 0o644


class KeyFolder:
    """The hub's own keys; thread-safe.

    Args:
        folder: made when it is not there, for its owner only.
        secret: of the hub's signing key.
        member: whom every certificate names.
        signing_key: where the hub's signing key is; new ones are kept in the same kind of place.
        module: the PKCS#11 library.
        validator: judges certificates by the trust list.
    """

    def __init__(  # noqa: PLR0913 (its dependencies)
        self,
        folder: Path,
        secret: Secret,
        *,
        member: MemberId,
        signing_key: KeyPlace,
        module: Path | None = None,
        validator: Validator | None = None,
    ) -> None:
        self._folder = folder
        self._secret = secret
        self.member = member
        self._signing_key = signing_key
        self._module = module
        self._validator = validator
        self._lock = threading.Lock()

    def stored(self) -> list[StoredKey]:
        """Return every key, by name."""
        return stored_keys(self._folder)

    def key(self, name: str) -> StoredKey:
        """Return one key.

        Raises:
            TrustError: `trust.key_unknown`, `trust.request_invalid` for what is no name.
        """
        place = _places(self._folder).get(require_name(name))
        if place is None:
            raise TrustError("trust.key_unknown", name)
        return _stored(self._folder, name, place)

    def generate(self, name: str, algorithm: KeyAlgorithm, subject: Subject, use: Use) -> StoredKey:
        """Make a key and the request for its certificate.

        Raises:
            TrustError: `trust.key_exists`, `trust.request_invalid`, and as `hub.custody.generate_key`.
        """
        require_name(name)
        # Before the key is made, so that none is left over without its request.
        require_use(use, subject)
        if use in {Use.ENVELOPE, Use.SEAL, Use.ENCRYPTION} and subject.member != self.member:
            raise TrustError("trust.request_invalid", "member: the hub asks for its own member only")
        with self._lock:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if name in _places(self._folder):
                raise TrustError("trust.key_exists", name)
            place = self._new_place(name)
            holder = generate_key(place, algorithm, self._secret, module=self._module)
            if isinstance(place, TokenPlace):
                write_private_file(self._folder / f"{name}.key.uri", f"{place}\n".encode())
            request = request_certificate(holder, subject, use)
            path = _request_path(self._folder, name)
            write_private_file(path, request, replaces=True, mode=_FOR_EVERYBODY)
        return _stored(self._folder, name, place)

    def request(self, name: str) -> bytes:
        """Return the request of a key, in PEM.

        Raises:
            TrustError: `trust.key_unknown`, also for a key that was put there without one.
        """
        if self.key(name).request is None:
            raise TrustError("trust.key_unknown", f"{name} has no request")
        return _request_path(self._folder, name).read_bytes()

    def import_answer(
        self, name: str, content: bytes, *, use: Use | None, now: datetime, dry_run: bool = False
    ) -> CheckedAnswer:
        """Check what an authority sent and take it over; the certificates before are kept.

        Args:
            name: of the key.
            content: certificates in any form and order.
            use: what the certificate is for; None takes the request's, and an envelope's where that is open.
            now: UTC.
            dry_run: check only.

        Raises:
            TrustError: `trust.key_unknown`, and as `hub.custody.check_answer`.
        """
        key = self.key(name)
        if key.request is None:
            raise TrustError("trust.key_unknown", f"{name} has no request")
        wanted = use or use_of(key.request) or Use.ENVELOPE
        expected = Expectation(
            public_key=key.request.public_key(),
            use=wanted,
            at=now,
            member=self.member if wanted in {Use.ENVELOPE, Use.SEAL, Use.ENCRYPTION} else None,
            request=key.request,
            validator=self._validator,
        )
        answer = check_answer(read_certificates(content), expected)
        if not dry_run:
            with self._lock:
                write_chain(_chain_path(self._folder, name), answer)
        return answer

    def _new_place(self, name: str) -> KeyPlace:
        if isinstance(self._signing_key, TokenPlace):
            return replace(self._signing_key, object=name, id=None)
        return self._folder / f"{name}.key.pem"


def stored_keys(folder: Path) -> list[StoredKey]:
    """Return every key of a folder, by name; none is opened.

    Raises:
        TrustError: `trust.request_invalid`, `trust.key_unusable` for a file that cannot be read.
    """
    return [_stored(folder, name, place) for name, place in sorted(_places(folder).items())]


def _places(folder: Path) -> dict[str, KeyPlace]:
    places: dict[str, KeyPlace] = {
        path.name.removesuffix(".key.pem"): path for path in folder.glob("*.key.pem")
    }
    for path in folder.glob("*.key.uri"):
        try:
            place = read_key_place(path.read_text(encoding="utf-8").strip(), folder)
        except (OSError, ValueError) as exc:
            raise TrustError("trust.key_unusable", f"{path.name} names no key in a token") from exc
        places[path.name.removesuffix(".key.uri")] = place
    return places


def _stored(folder: Path, name: str, place: KeyPlace) -> StoredKey:
    request, chain = _request_path(folder, name), _chain_path(folder, name)
    return StoredKey(
        name=name,
        place=place,
        request=read_request(request.read_bytes()) if request.exists() else None,
        chain=read_chain(chain) if chain.exists() else (),
        has_previous=previous_of(chain).exists(),
    )


def _request_path(folder: Path, name: str) -> Path:
    return folder / f"{name}.request.pem"


def _chain_path(folder: Path, name: str) -> Path:
    return folder / f"{name}.chain.pem"
