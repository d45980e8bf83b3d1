# SPDX-License-Identifier: Apache-2.0
"""How each engine is connected to: to an address that was judged, with its certificate, and not for ever.

PostgreSQL's library takes the judged address beside the name it holds the certificate to; PyMySQL takes a
socket that is connected already. Any other driver is given the address in the name's place.
"""

from __future__ import annotations

import math
import ssl
from contextlib import closing
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, create_engine, event, exc

from adapters.ports import NotAskedError
from adapters.web import tls_context
from hub.errors import AdapterError

if TYPE_CHECKING:
    from sqlalchemy import Dialect, Engine

    from adapters.addresses import AddressGuard
    from adapters.tables.settings import DatabaseSettings

_POOL_CONNECTIONS = 8
_RECYCLE_SECONDS = 240


def make_engine(settings: DatabaseSettings, guard: AddressGuard, *, seconds: float, at: str) -> Engine:
    """Return an engine; nothing is connected to before something is asked.

    Args:
        settings: where the database is.
        guard: says which addresses may be connected to.
        seconds: the longest a connection, or one answer, may take.
        at: where the description stands, for errors.

    Raises:
        AdapterError: `adapter.configuration_invalid`, no such driver is installed, or the TLS
            files are not good.
    """
    try:
        engine = create_engine(
            _url(settings),
            connect_args=_arguments(settings, seconds, at),
            hide_parameters=True,
            pool_pre_ping=settings.engine != "sqlite",
            pool_recycle=_RECYCLE_SECONDS,
            pool_size=_POOL_CONNECTIONS,
            max_overflow=0,
            pool_timeout=seconds,
        )
    except (exc.ArgumentError, exc.NoSuchModuleError, ImportError) as error:
        detail = f"{at}.engine: {settings.driver} is not installed with this gateway"
        raise AdapterError("adapter.configuration_invalid", detail) from error
    if not settings.is_local:
        event.listen(engine, "do_connect", _Connector(settings, guard, seconds))
    elif settings.file is not None:
        event.listen(engine, "do_connect", _RequireFile(settings))
    return engine


def _url(settings: DatabaseSettings) -> URL:
    password = settings.password.reveal() if settings.password else None
    if settings.file is not None:
        # A file that is not there is not made.
        name = settings.file.resolve().as_uri() + "?mode=rw&uri=true"
        return URL.create(
            settings.driver, database=name.partition("?")[0], query={"mode": "rw", "uri": "true"}
        )
    is_socket = settings.is_local and "pymysql" in settings.driver
    return URL.create(
        settings.driver,
        username=settings.username,
        password=password,
        host=None if is_socket else settings.host,
        port=None if settings.is_local and settings.port is None else settings.port_number,
        database=settings.database,
    )


def _arguments(settings: DatabaseSettings, seconds: float, at: str) -> dict[str, Any]:
    whole = max(2, math.ceil(seconds))
    if settings.engine == "sqlite":
        return {"timeout": seconds}
    if settings.driver == "postgresql+psycopg":
        return {
            "connect_timeout": whole,
            "tcp_user_timeout": whole * 1000,
            "application_name": "heliograph-adapter",
            **_libpq_tls(settings),
        }
    if "pymysql" in settings.driver:
        arguments: dict[str, Any] = {
            "connect_timeout": whole,
            # The server is told to stop first; this is for one that does not answer at all.
            "read_timeout": whole + 2,
            "write_timeout": whole + 2,
            "charset": "utf8mb4",
            "local_infile": False,
        }
        if settings.is_local:
            arguments["unix_socket"] = settings.host
        if settings.tls is not None:
            arguments["ssl"] = tls_context(settings.tls, at)
        return arguments
    return {}


def _libpq_tls(settings: DatabaseSettings) -> dict[str, str]:
    tls = settings.tls
    if tls is None:
        return {}
    arguments = {"sslmode": "verify-full", "sslrootcert": str(tls.authorities or "system")}
    if tls.certificate is not None:
        arguments["sslcert"] = str(tls.certificate)
        arguments["sslkey"] = str(tls.key or tls.certificate)
    if tls.passphrase is not None:
        arguments["sslpassword"] = tls.passphrase.reveal()
    return arguments


class _RequireFile:
    """Says that a database file is not there, in place of the driver's own words."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self._settings = settings

    def __call__(self, dialect: Dialect, record: Any, args: list[Any], params: dict[str, Any]) -> None:
        del dialect, record, args, params
        file = self._settings.file
        if file is None or not file.is_file():
            raise NotAskedError("adapter.system_unreachable", "the database's file is not there")


class _Connector:
    """Makes an engine's connections."""

    def __init__(self, settings: DatabaseSettings, guard: AddressGuard, seconds: float) -> None:
        self._settings = settings
        self._guard = guard
        self._seconds = seconds

    def __call__(self, dialect: Dialect, record: Any, args: list[Any], params: dict[str, Any]) -> Any:
        """Connect, or change what the driver will connect to; see SQLAlchemy's `do_connect`."""
        del record
        settings = self._settings
        host, port = settings.host or "", settings.port_number or 0
        if "pymysql" in settings.driver:
            return self._pymysql(dialect, host, port, params)
        addresses = self._guard.addresses(host, port)
        if settings.driver == "postgresql+psycopg":
            params["host"] = ",".join([host] * len(addresses))
            params["port"] = ",".join([str(port)] * len(addresses))
            params["hostaddr"] = ",".join(addresses)
            return None
        url = _url(settings).set(host=addresses[0], port=port)
        args[:], changed = dialect.create_connect_args(url)
        params.update(changed)
        return None

    def _pymysql(self, dialect: Dialect, host: str, port: int, params: dict[str, Any]) -> Any:
        connected = self._guard.connect(host, port, self._seconds)
        try:
            made: Any = dialect.loaded_dbapi.connect(**params, defer_connect=True)
            made.connect(connected)
        except BaseException:
            connected.close()
            raise
        # A server that offers no TLS would be spoken to in plain all the same.
        if self._settings.tls is not None and not isinstance(made._sock, ssl.SSLSocket):  # noqa: SLF001
            with closing(made):
                raise NotAskedError("adapter.system_unreachable", "the server offers no TLS")
        return made
