# SPDX-License-Identifier: Apache-2.0
"""The register of disability certificates: JSON with its own field names and codes, and an API key.

`POST /api/cjrzh/plcx` asks about many people at once, `GET /api/cjrzh/{id}` about one.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from adapters.simulators import misbehaviour
from adapters.simulators.misbehaviour import SLOW_SECONDS, Misbehaviour, StandIn
from adapters.simulators.population import population

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from starlette.requests import Request

    from adapters.ports import JsonValue
    from adapters.simulators.population import Person
    from hub.clock import Clock

API_KEY_HEADER = "X-App-Key"
_MAX_PERSONS = 500
_WITHOUT_END = "99991231"


@dataclass(frozen=True)
class CertificateRegister:
    """The stand-in.

    Args:
        folder: where it is told to misbehave.
        api_key: what a caller has to show.
        clock: says which year it is.
    """

    folder: Path
    api_key: str
    clock: Clock

    def app(self) -> Starlette:
        """Return the service."""
        return Starlette(
            routes=[
                Route("/api/cjrzh/plcx", self._guarded(self._many), methods=["POST"]),
                Route("/api/cjrzh/{zjhm}", self._guarded(self._one), methods=["GET"]),
            ]
        )

    def _guarded(
        self, serve: Callable[[Request, Misbehaviour | None], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def guarded(request: Request) -> Response:
            how = misbehaviour.current(self.folder, StandIn.REST)
            if how is Misbehaviour.SLOW:
                await asyncio.sleep(SLOW_SECONDS)
            if how is Misbehaviour.REDIRECT:
                return Response(status_code=302, headers={"location": "http://198.51.100.7/"})
            if how is Misbehaviour.FAULT:
                return JSONResponse({"code": "500", "msg": "系统繁忙"}, status_code=500)
            if how is Misbehaviour.OVERSIZED:
                return Response(b"[" + b"0," * 10_000_000 + b"0]", media_type="application/json")
            if how is Misbehaviour.HALF_WRITTEN:
                return Response(b'{"code": "0", "data": [{"zjhm"', media_type="application/json")
            shown = request.headers.get(API_KEY_HEADER, "")
            if not hmac.compare_digest(shown.encode(), self.api_key.encode()):
                return JSONResponse({"code": "401", "msg": "未授权"}, status_code=401)
            return await serve(request, how)

        return guarded

    async def _many(self, request: Request, how: Misbehaviour | None) -> Response:
        try:
            question = json.loads(await request.body())
            person_ids = [str(person_id) for person_id in question["zjhms"]]
        except (ValueError, KeyError, TypeError):
            return JSONResponse({"code": "1001", "msg": "参数错误"}, status_code=400)
        if len(person_ids) > _MAX_PERSONS:
            return JSONResponse({"code": "1002", "msg": "超过批量上限"})
        rows = [self._row(person_id, how) for person_id in person_ids]
        return JSONResponse({"code": "0", "msg": "成功", "lsh": question.get("lsh"), "data": rows})

    async def _one(self, request: Request, how: Misbehaviour | None) -> Response:
        row = self._row(request.path_params["zjhm"], how)
        if row["cxjg"] == 0:
            return JSONResponse({"code": "404", "msg": "查无此证"}, status_code=404)
        return JSONResponse({"code": "0", "msg": "成功", "data": row})

    def _row(self, person_id: str, how: Misbehaviour | None) -> dict[str, JsonValue]:
        person = population(self.clock.now().year).person(person_id)
        if person is None:
            return {"zjhm": person_id, "cxjg": 0}
        return _certificate(person, how)


def _certificate(person: Person, how: Misbehaviour | None) -> dict[str, JsonValue]:
    certificate = person.certificate
    if certificate is None:
        raise ValueError("a person of the register has a certificate")
    return {
        "zjhm": person.person_id,
        "cxjg": 1,
        "xm": certificate.name or person.name,
        "zjlx": "2" if certificate.is_military else "1",
        "zh": certificate.number,
        "cjlb": certificate.category if certificate.category is not None else "",
        # Grade 9 is what a civil certificate can never have.
        "cjdj": 9 if how is Misbehaviour.BREAKS_CONTRACT else certificate.grade,
        "yxqq": f"{certificate.valid_from:%Y%m%d}",
        "yxqz": f"{certificate.valid_to:%Y%m%d}" if certificate.valid_to else _WITHOUT_END,
        "zt": "Z" if how is Misbehaviour.UNKNOWN_CODE else certificate.status,
    }
