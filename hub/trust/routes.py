# SPDX-License-Identifier: Apache-2.0
"""Explanations over HTTP: whoever has an account may ask why a certificate is believed, or why not.

Certificates only come in and nothing is kept. The services a certificate names are asked only when its
signatures lead to the trust list, as for every validation, so nobody makes the hub call an address of its own
choice. The work has threads of its own and an end, so explanations never keep messages waiting.
"""

# Annotations are evaluated here: FastAPI could not find a factory's local names in their text.
import asyncio
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from typing import Annotated, Any

from cryptography import x509
from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from hub.accounts import Principal
from hub.clock import Clock, parse_instant
from hub.errors import ExchangeError, TrustError
from hub.trust.model import Use
from hub.trust.telling import explanation_to_json
from hub.trust.validation import Validator

LONGEST_SECONDS = 20.0
_MOST_AT_ONCE = 4
_MOST_CERTIFICATES = 6
_LONGEST_PEM = 64 * 1024
_LONGEST_DER = 16 * 1024


class ExplanationBody(BaseModel):
    """Which certificate, for what, and when."""

    model_config = ConfigDict(extra="forbid")

    certificates: (
        Annotated[str, Field(max_length=_LONGEST_PEM)]
        | Annotated[
            list[Annotated[str, Field(max_length=_LONGEST_DER)]],
            Field(min_length=1, max_length=_MOST_CERTIFICATES),
        ]
    ) = Field(description="PEM, or DER in base64 one by one; the certificate in question first.")
    use: Use = Field(default=Use.ENVELOPE, description="What it was used for.")
    at: str | None = Field(
        default=None, description="When it was used (2026-03-01T08:00:00.000Z); now when left out."
    )


def explanation_routes(
    validator: Validator, clock: Clock, authenticate: Callable[..., Principal]
) -> APIRouter:
    """Make the route under `/api/v1/trust`."""
    router = APIRouter(prefix="/api/v1/trust", tags=["trust"])
    Caller = Annotated[Principal, Depends(authenticate)]  # noqa: N806 - it is a type
    threads = ThreadPoolExecutor(_MOST_AT_ONCE, thread_name_prefix="explanation")

    @router.post("/explanations")
    async def explain(body: ExplanationBody, caller: Caller) -> dict[str, Any]:
        """Explain why a certificate is believed, or why not: every check of its path, in every language."""
        del caller  # Every role may ask.
        chain, now = _certificates(body.certificates), clock.now()
        at = _instant(body.at) if body.at is not None else now
        work = partial(validator.explain, chain, use=body.use, at=at, judged_at=max(at, now))
        loop = asyncio.get_running_loop()
        try:
            told = await asyncio.wait_for(loop.run_in_executor(threads, work), LONGEST_SECONDS)
        except TimeoutError as exc:
            detail = f"no verdict within {LONGEST_SECONDS:.0f} seconds"
            raise TrustError("trust.revocation_unknown", detail) from exc
        return explanation_to_json(told)

    return router


def _certificates(given: str | list[str]) -> tuple[x509.Certificate, ...]:
    try:
        if isinstance(given, str):
            found = tuple(x509.load_pem_x509_certificates(given.encode("ascii")))
        else:
            found = tuple(x509.load_der_x509_certificate(b64decode(each, validate=True)) for each in given)
    except (ValueError, TypeError, Base64Error, x509.InvalidVersion) as exc:
        detail = "certificates: neither certificates in PEM nor a list of DER in base64"
        raise TrustError("trust.certificate_unreadable", detail) from exc
    if len(found) > _MOST_CERTIFICATES:
        detail = f"certificates: {len(found)}, at most {_MOST_CERTIFICATES} are possible"
        raise TrustError("trust.certificate_unreadable", detail)
    return found


def _instant(text: str) -> datetime:
    try:
        return parse_instant(text)
    except ValueError as exc:
        raise ExchangeError("exchange.request_invalid", f"at: {exc}") from exc
