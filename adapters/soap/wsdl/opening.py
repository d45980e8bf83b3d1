# SPDX-License-Identifier: Apache-2.0
"""Hand a sound WSDL to zeep, which needs nothing else for it: no file, no address, no network."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from typing import TYPE_CHECKING, Any

import zeep
from lxml import etree
from zeep.exceptions import Error as ZeepError
from zeep.proxy import ServiceProxy

from adapters.soap.catalogue import well_known
from hub.errors import AdapterError

if TYPE_CHECKING:
    from collections.abc import Sequence

# zeep publishes no types, so at this edge it is Any.
_zeep: Any = zeep
_ServiceProxy: Any = ServiceProxy

ADDRESS = "http://wsdl.invalid/mended.wsdl"
"""What zeep takes the document's address to be; nothing is asked there."""

# What zeep says while it reads is about files of strangers; what matters of it is found by us.
logging.getLogger("zeep").addHandler(logging.NullHandler())


class Shelf:
    """A transport that only hands out what is at hand already.

    Args:
        content: the sound WSDL.
        wire: what sends messages; None where none are sent.
    """

    def __init__(self, content: bytes, wire: Any = None) -> None:
        self._content = content
        self._wire = wire

    def load(self, url: str) -> bytes:
        """Return the WSDL, or one of the schemas that zeep adds by itself.

        Raises:
            AdapterError: `adapter.configuration_invalid`, it asks for anything else.
        """
        if url == ADDRESS:
            return self._content
        if url in well_known():
            return well_known()[url]
        raise AdapterError("adapter.configuration_invalid", f"the WSDL needs {url}")

    def post_xml(self, address: str, envelope: etree._Element, headers: Any) -> Any:
        """Send an envelope."""
        return self._wire.post_xml(address, envelope, headers)


def open_client(
    content: bytes,
    *,
    wire: Any = None,
    wsse: Any = None,
    plugins: Sequence[Any] = (),
    has_huge_text: bool = False,
) -> Any:
    """Return zeep's client.

    Args:
        content: the sound WSDL.
        wire: sends messages.
        wsse: signs and verifies messages.
        plugins: zeep's, for each message.
        has_huge_text: whether texts of more than 10 MB may come.

    Raises:
        ValueError: zeep cannot use it after all.
    """
    strictness = _zeep.Settings(
        forbid_dtd=True, forbid_entities=True, forbid_external=False, xml_huge_tree=has_huge_text
    )
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            return _zeep.Client(
                ADDRESS, wsse=wsse, transport=Shelf(content, wire), settings=strictness, plugins=list(plugins)
            )
    except (ZeepError, etree.LxmlError, RecursionError, AssertionError, NotImplementedError) as exc:
        raise ValueError(f"{type(exc).__name__} {exc}") from exc
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, AdapterError) as exc:
        raise ValueError(f"{type(exc).__name__} {exc}") from exc


def bound_service(client: Any, binding: str, address: str) -> Any:
    """Return the operations of a binding at an address."""
    return _ServiceProxy(client, client.wsdl.bindings[binding], address=address)
