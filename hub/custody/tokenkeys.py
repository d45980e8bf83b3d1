# SPDX-License-Identifier: Apache-2.0
"""Make a key pair inside a PKCS#11 token, so that it cannot be taken out.

Source: OASIS PKCS #11 v3.1 sections 4.9 (CKA_SENSITIVE, CKA_EXTRACTABLE), 6.1.4 and 6.3.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from pkcs11 import Attribute, KeyType, MechanismFlag, ObjectClass
from pkcs11.exceptions import PKCS11Error
from pkcs11.util.ec import encode_named_curve_parameters

from hub.custody.generation import KeyAlgorithm
from hub.custody.modules import module_of
from hub.custody.tokens import TokenHolder
from hub.errors import TrustError

if TYPE_CHECKING:
    from pathlib import Path

    from pkcs11.types import Session

    from hub.custody.places import TokenPlace
    from hub.custody.secrets import Secret

_CURVES = {
    KeyAlgorithm.P256: (KeyType.EC, "secp256r1"),
    KeyAlgorithm.P384: (KeyType.EC, "secp384r1"),
    KeyAlgorithm.P521: (KeyType.EC, "secp521r1"),
    KeyAlgorithm.ED25519: (KeyType.EC_EDWARDS, "1.3.101.112"),
}
_RSA_BITS = {KeyAlgorithm.RSA3072: 3072, KeyAlgorithm.RSA4096: 4096}
_STAYS_INSIDE = {
    Attribute.PRIVATE: True,
    Attribute.SENSITIVE: True,
    Attribute.EXTRACTABLE: False,
}


def generate_in_token(
    place: TokenPlace, algorithm: KeyAlgorithm, pin: Secret, module: Path | None
) -> TokenHolder:
    """Make a key pair in a token and open it.

    Raises:
        TrustError: as `hub.custody.generate_key`.
    """
    if place.object is None:
        raise TrustError("trust.key_unusable", f"a new key needs a name: object= in {place}")
    with module_of(place, module).session(place, pin) as session:
        try:
            named = {Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.LABEL: place.object}
            if list(session.get_objects(named)):
                raise TrustError("trust.key_exists", f"{place}")
            _generate(session, place, algorithm)
        except PKCS11Error as exc:
            detail = f"{place}: the token makes no {algorithm} key: {type(exc).__name__}"
            raise TrustError("trust.key_unusable", detail) from exc
    return TokenHolder(place, pin, module)


def _generate(session: Session, place: TokenPlace, algorithm: KeyAlgorithm) -> None:
    how: dict[str, Any] = {
        "store": True,
        "label": place.object,
        "id": place.id or secrets.token_bytes(16),
        "capabilities": MechanismFlag.SIGN | MechanismFlag.VERIFY,
        "private_template": _STAYS_INSIDE,
    }
    if algorithm in _RSA_BITS:
        session.generate_keypair(KeyType.RSA, _RSA_BITS[algorithm], **how)
        return
    if algorithm not in _CURVES:
        raise TrustError("trust.key_unusable", f"no token makes {algorithm} keys here")
    key_type, curve = _CURVES[algorithm]
    parameters = session.create_domain_parameters(
        key_type, {Attribute.EC_PARAMS: encode_named_curve_parameters(curve)}, local=True
    )
    parameters.generate_keypair(**how)
