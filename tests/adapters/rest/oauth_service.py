# SPDX-License-Identifier: Apache-2.0
"""A registration service behind OAuth2, as a process of its own that shares no code with the adapter.

Run as `python oauth_service.py PORT`; the client is `hub`, its secret comes in OAUTH_SECRET. Tokens last an
hour or OAUTH_USES requests, whichever ends first: then the service answers 401 as after a restart. `/counts`
says what was asked. Standard library only.
"""

from __future__ import annotations

import base64
import email
import email.policy
import json
import os
import secrets
import sys
import urllib.parse
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PEOPLE = {"123456782": None, "111222333": "2025-12-31"}
ROWS = [{"nr": number, "ground": f"{number % 9 + 1:02d}"} for number in range(1, 24)]
USES = int(os.environ.get("OAUTH_USES", "1000"))
EXPECTED = "Basic " + base64.b64encode(f"hub:{os.environ.get('OAUTH_SECRET', '')}".encode()).decode()

tokens: dict[str, int] = {}
counts: Counter[str] = Counter()
kept: dict[str, object] = {}


class Service(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's name
        pass

    def reply(self, status: int, content: object, **headers: str) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        media_type = "application/problem+json" if status >= 400 else "application/json"
        for name, value in {"Content-Type": media_type, **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", "0")))

    def is_signed_in(self) -> bool:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if tokens.get(token, 0) <= 0:
            counts["401"] += 1
            self.reply(401, {"type": "about:blank"}, WWW_Authenticate='Bearer error="invalid_token"')
            return False
        tokens[token] -= 1
        return True

    def do_POST(self) -> None:
        body = self.body()
        if self.path == "/token":
            form = dict(urllib.parse.parse_qsl(body.decode()))
            if self.headers.get("Authorization") != EXPECTED:
                self.reply(401, {"error": "invalid_client", "error_description": "hub is not known"})
            elif form != {"grant_type": "client_credentials", "scope": "quota.read"}:
                self.reply(400, {"error": "invalid_scope"})
            else:
                counts["token"] += 1
                token = secrets.token_urlsafe(24)
                tokens[token] = USES
                self.reply(200, {"access_token": token, "token_type": "Bearer", "expires_in": 3600})
        elif self.is_signed_in():
            raw = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode() + body
            message = email.message_from_bytes(raw, policy=email.policy.HTTP)
            parts = {
                part.get_param("name", header="content-disposition"): part for part in message.iter_parts()
            }
            kept["case"] = parts["case"].get_payload(decode=True)
            size = len(parts["scan"].get_payload(decode=True) or b"")
            counts["upload"] += 1
            self.reply(201, {"size": size, "name": parts["scan"].get_filename()}, Location="/scans/7")

    def do_GET(self) -> None:
        parts = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(parts.query))
        if parts.path == "/counts":
            self.reply(200, counts)
        elif self.is_signed_in():
            self.serve(parts.path, query)

    def serve(self, path: str, query: dict[str, str]) -> None:
        counts[path] += 1
        if path == "/busy" and counts["/busy"] % 2:
            self.reply(503, {"type": "urn:busy"}, Retry_After="0")
        elif path == "/busy":
            self.reply(200, {"v": 1})
        elif path == "/rows":
            start = int(query.get("start", "0"))
            more = {"next": f"/rows?start={start + 10}"} if start + 10 < len(ROWS) else {"next": None}
            self.reply(200, {"count": len(ROWS), **more, "results": ROWS[start : start + 10]})
        elif path.rpartition("/")[2] in PEOPLE:
            number = path.rpartition("/")[2]
            row = {"bsn": number, "until": PEOPLE[number], "grounds": [{"code": "01", "from": "20150101"}]}
            self.reply(200, row)
        else:
            problem = {"type": "https://quota.example/problems/unknown-person", "detail": f"no {path}"}
            self.reply(404 if path.startswith("/people") else 400, problem)


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Service).serve_forever()
