# SPDX-License-Identifier: Apache-2.0
"""The number of an electronic certificate (电子证照标识) and its check character.

    1.2.156.3005.2.<type: 18 USCC of the type's authority + 3>.<issuer>.<serial>.<version: 3>.<check>

The check character covers type, issuer, serial and version with the dots taken out. Five of six identifiers
met in public systems compute; the sixth appears only as a documentation sample.

Source: GB/T 36904-2018; ISO/IEC 7064 hybrid system MOD 37,36.
"""

from __future__ import annotations

import re

from hub.identifiers import is_uscc

ROOT = "1.2.156.3005.2"
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_TYPE = re.compile(r"[0-9A-HJ-NPQRTUWXY]{18}[0-9]{3}")
_ISSUER = re.compile(r"[0-9A-Z]{1,18}")
_SERIAL = re.compile(r"[0-9A-Z]{1,32}")
_IDENTIFIER = re.compile(
    r"1\.2\.156\.3005\.2"
    rf"\.(?P<type>{_TYPE.pattern})\.(?P<issuer>{_ISSUER.pattern})"
    rf"\.(?P<serial>{_SERIAL.pattern})\.(?P<version>[0-9]{{3}})\.(?P<check>[0-9A-Z])"
)


def check_character(text: str) -> str:
    """Compute the character that guards `text` (digits and capital letters) against typing errors.

    Raises:
        ValueError: `text` is empty or holds another character.

    Source: ISO/IEC 7064, hybrid system with moduli 37 and 36.
    """
    if not re.fullmatch(r"[0-9A-Z]+", text):
        raise ValueError("only digits and capital letters have a check character")
    remainder = 36
    for character in text:
        remainder = (remainder + _ALPHABET.index(character)) % 36 or 36
        remainder = remainder * 2 % 37
    return _ALPHABET[(37 - remainder) % 36]


def certificate_identifier(type_code: str, issuer: str, serial: str, *, version: int = 1) -> str:
    """Make the identifier of one issued certificate.

    Args:
        type_code: 18 characters of the type authority's USCC, check character included, and 3 digits.
        issuer: the issuing body's code, at most 18 digits and capital letters; its USCC where it has one.
        serial: the issuer's own number, at most 32 digits and capital letters; never a person's id.
        version: 1 for the first issue, counted up with each renewal, at most 999.

    Raises:
        ValueError: a piece has another form.
    """
    pieces = ((_TYPE, type_code), (_ISSUER, issuer), (_SERIAL, serial))
    if not all(form.fullmatch(piece) for form, piece in pieces) or not is_uscc(type_code[:18]):
        raise ValueError("type, issuer or serial of the certificate identifier has the wrong form")
    if not 1 <= version <= 999:
        raise ValueError("the version of a certificate identifier is 1 to 999")
    body = f"{type_code}.{issuer}.{serial}.{version:03d}"
    return f"{ROOT}.{body}.{check_character(body.replace('.', ''))}"


def is_certificate_identifier(text: str) -> bool:
    """Tell whether `text` has the form of an identifier and the right check character.

    The type authority's USCC is not checked: older types stand under codes without a check character.
    """
    found = _IDENTIFIER.fullmatch(text)
    if found is None:
        return False
    guarded = "".join(found[piece] for piece in ("type", "issuer", "serial", "version"))
    return found["check"] == check_character(guarded)
