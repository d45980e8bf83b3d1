# SPDX-License-Identifier: Apache-2.0
"""A small WSDL whose parts a test can spoil one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
SPACES = (
    'xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/" xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" '
    'xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:t="urn:t"'
)
TYPES = """  <wsdl:types>
    <xs:schema targetNamespace="urn:t" elementFormDefault="qualified">
      <xs:element name="Ask"><xs:complexType><xs:sequence>
        <xs:element name="id" type="xs:string"/>
        <xs:element name="kind" type="t:Kind" minOccurs="0"/>
      </xs:sequence></xs:complexType></xs:element>
      <xs:element name="Told" type="t:Told"/>
      <xs:complexType name="Told"><xs:sequence>
        <xs:element name="name" type="xs:string"/>
        <xs:element name="born" type="xs:date"/>
        <xs:element name="months" type="xs:int" minOccurs="0" maxOccurs="unbounded"/>
        <xs:element name="photo" type="xs:base64Binary" minOccurs="0"/>
      </xs:sequence></xs:complexType>
      <xs:simpleType name="Kind"><xs:restriction base="xs:string">
        <xs:enumeration value="A"/><xs:enumeration value="B"/>
      </xs:restriction></xs:simpleType>
    </xs:schema>
  </wsdl:types>
"""
MESSAGES = """  <wsdl:message name="AskIn"><wsdl:part name="body" element="t:Ask"/></wsdl:message>
  <wsdl:message name="AskOut"><wsdl:part name="body" element="t:Told"/></wsdl:message>
"""
PORT_TYPE = """  <wsdl:portType name="Desk"><wsdl:operation name="ask">
    <wsdl:documentation>Who is it?</wsdl:documentation>
    <wsdl:input message="t:AskIn"/><wsdl:output message="t:AskOut"/>
  </wsdl:operation></wsdl:portType>
"""
BINDING = """  <wsdl:binding name="DeskSoap" type="t:Desk">
    <soap:binding style="document" transport="http://schemas.xmlsoap.org/soap/http"/>
    <wsdl:operation name="ask"><soap:operation soapAction="urn:ask"/>
      <wsdl:input><soap:body use="literal"/></wsdl:input>
      <wsdl:output><soap:body use="literal"/></wsdl:output>
    </wsdl:operation>
  </wsdl:binding>
"""
SERVICE = """  <wsdl:service name="DeskService"><wsdl:port name="Desk" binding="t:DeskSoap">
    <soap:address location="http://127.0.0.1:9/desk"/>
  </wsdl:port></wsdl:service>
"""


def wsdl(
    *,
    head: str = HEAD,
    spaces: str = SPACES,
    types: str = TYPES,
    messages: str = MESSAGES,
    port_type: str = PORT_TYPE,
    binding: str = BINDING,
    service: str = SERVICE,
) -> str:
    """Return the WSDL with some of its parts replaced."""
    inner = f"{types}{messages}{port_type}{binding}{service}"
    return (
        f'{head}<wsdl:definitions name="Desk" targetNamespace="urn:t" {spaces}>\n{inner}</wsdl:definitions>\n'
    )


def written(folder: Path, text: str | bytes, name: str = "desk.wsdl") -> Path:
    """Write a file and return its path."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path
