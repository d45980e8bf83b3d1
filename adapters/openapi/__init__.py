# SPDX-License-Identifier: Apache-2.0
"""Interface descriptions of REST services: OpenAPI 3.0, 3.1 and Swagger 2.

reading      a file as a source: operations ready for adapters, defects as findings
text         bytes to plain values with their lines
documents    places in a file, and what they refer to
endpoints    what is offered, whatever the dialect
shapes       schemas as shapes for people
connections  where the system stands and how to sign in
structure    where a file departs from its standard
schemas      schemas as JSON Schema, for who judges or invents values by them
"""

from adapters.openapi.connections import is_json
from adapters.openapi.documents import Spot
from adapters.openapi.endpoints import Body, Endpoint, Parameter, Reply
from adapters.openapi.reading import Description, preferred, read_description, read_openapi, success
from adapters.openapi.schemas import SchemaBundle

__all__ = [
    "Body",
    "Description",
    "Endpoint",
    "Parameter",
    "Reply",
    "SchemaBundle",
    "Spot",
    "is_json",
    "preferred",
    "read_description",
    "read_openapi",
    "success",
]
