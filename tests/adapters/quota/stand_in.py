# SPDX-License-Identifier: Apache-2.0
"""A stand-in of the Dutch quota register; every message, in and out, is held against the WSDL's own schemas.

The people are invented.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lxml import etree
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request

QUOTA_FOLDER = (
    Path(__file__).parents[4] / "shared/data/wsdl/suwinet/UWVDossierQuotumArbeidsbeperktenGSD-v0300-b01"
)
_SERVICE_FOLDER = QUOTA_FOLDER / "Diensten/UWVDossierQuotumArbeidsbeperktenGSD/v0300-b01"
QUOTA_WSDL = _SERVICE_FOLDER / "UWVDossierQuotumArbeidsbeperktenGSD.wsdl"

REGISTERED = "999990019"
ENDED = "999990020"
INCOMPLETE = "999990032"
REFUSED = "999990044"
BROKEN = "999990056"
UNKNOWN = "999990068"
EMPTY = "999990070"

_SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
_OWN = "http://bkwi.nl/SuwiML/Diensten/UWVDossierQuotumArbeidsbeperktenGSD/v0300"
_FWI = "http://bkwi.nl/SuwiML/FWI/v0205"
_MESSAGE = "<Code>{code}</Code><Tekst>{text}</Tekst><Bron><DN>CN=uwv.test</DN></Bron>"

_ANSWERS = {
    REGISTERED: f"""<ClientSuwi><Burgerservicenr>{REGISTERED}</Burgerservicenr><LdrRegistratieWbQa/>
        <GrondslagArbeidsbeperktheid>
        <CdGrondslagArbeidsbeperktheid>01</CdGrondslagArbeidsbeperktheid>
        <DatBGrondslagArbeidsbeperktheid>20150101</DatBGrondslagArbeidsbeperktheid>
        </GrondslagArbeidsbeperktheid>
        </ClientSuwi>""",
    ENDED: f"""<ClientSuwi><Burgerservicenr>{ENDED}</Burgerservicenr>
        <LdrRegistratieWbQa><DatELdrRegistratieWbQa>20251231</DatELdrRegistratieWbQa></LdrRegistratieWbQa>
        <GrondslagArbeidsbeperktheid>
        <CdGrondslagArbeidsbeperktheid>02</CdGrondslagArbeidsbeperktheid>
        <DatBGrondslagArbeidsbeperktheid>20130701</DatBGrondslagArbeidsbeperktheid>
        <DatEGrondslagArbeidsbeperktheid>20191231</DatEGrondslagArbeidsbeperktheid>
        </GrondslagArbeidsbeperktheid>
        <GrondslagArbeidsbeperktheid>
        <DatBGrondslagArbeidsbeperktheid>20200101</DatBGrondslagArbeidsbeperktheid>
        <DatEGrondslagArbeidsbeperktheid>00000000</DatEGrondslagArbeidsbeperktheid>
        </GrondslagArbeidsbeperktheid>
        </ClientSuwi>
        <fwi:FWI><Informatie>{_MESSAGE.format(code="I001", text="Let op")}</Informatie></fwi:FWI>""",
    # The schema lets a month or day be 00 where it is not known.
    INCOMPLETE: f"""<ClientSuwi><Burgerservicenr>{INCOMPLETE}</Burgerservicenr>
        <GrondslagArbeidsbeperktheid>
        <DatBGrondslagArbeidsbeperktheid>20160000</DatBGrondslagArbeidsbeperktheid>
        </GrondslagArbeidsbeperktheid>
        </ClientSuwi>""",
    REFUSED: f"<fwi:FWI><Fout>{_MESSAGE.format(code='F010', text='Niet beschikbaar')}</Fout></fwi:FWI>",
}


def quota_environment(port: int) -> dict[str, str]:
    """Return what `quota.yaml` refers to."""
    return {"QUOTA_WSDL": str(QUOTA_WSDL), "QUOTA_FOLDER": str(QUOTA_FOLDER), "QUOTA_PORT": str(port)}


def quota_app() -> Starlette:
    """Return the register's service."""
    path = "/suwibroker/soap/UWVDossierQuotumArbeidsbeperktenGSD-v0300"
    return Starlette(routes=[Route(path, _reply, methods=["POST"])])


async def _reply(request: Request) -> Response:
    envelope: etree._Element = etree.fromstring(await request.body(), etree.XMLParser(resolve_entities=False))
    [question] = envelope.findall(f"{{{_SOAP}}}Body/*")
    _schema("BodyAction.xsd").assertValid(question)
    if envelope.find("{*}Header/{*}Action") is None:
        raise ValueError("the WSDL asks for WS-Addressing")
    number = question.findtext("Burgerservicenr") or ""
    if number == BROKEN:
        return _envelope(
            f"<s:Fault><faultcode>s:Client</faultcode><faultstring>Aanvraag niet ok</faultstring><detail>"
            f"<fwi:Fout>{_MESSAGE.format(code='E100', text='Bericht onjuist')}</fwi:Fout></detail></s:Fault>",
            status_code=500,
        )
    if number == EMPTY:
        return _envelope("<d:UWVPersoonsArbeidsbeperktenInfoResponse/>", is_valid=False)
    content = _ANSWERS.get(number, "<fwi:NietsGevonden/>")
    return _envelope(
        f"<d:UWVPersoonsArbeidsbeperktenInfoResponse>{content}</d:UWVPersoonsArbeidsbeperktenInfoResponse>"
    )


def _envelope(content: str, *, status_code: int = 200, is_valid: bool = True) -> Response:
    namespaces = f'xmlns:s="{_SOAP}" xmlns:d="{_OWN}" xmlns:fwi="{_FWI}"'
    text = f"<s:Envelope {namespaces}><s:Body>{content}</s:Body></s:Envelope>"
    envelope: etree._Element = etree.fromstring(text)
    [answer] = envelope.findall(f"{{{_SOAP}}}Body/*")
    if status_code == 200 and is_valid:
        _schema("BodyReaction.xsd").assertValid(answer)
    return Response(text, status_code=status_code, media_type="text/xml")


def _schema(name: str) -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(_SERVICE_FOLDER / name))
