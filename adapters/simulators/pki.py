# SPDX-License-Identifier: Apache-2.0
"""The development PKI: made by certomancer from `certs/`, and its OCSP, CRL and time-stamping services.

Development and tests only: certomancer calls itself a testing tool, and these certificates guard nothing.

    python -m adapters.simulators.pki FOLDER

runs the services of a PKI made before; the passphrase of its keys comes from HELIOGRAPH_PKI_PASSPHRASE.
"""

from __future__ import annotations

import asyncio
import json
import os
import string
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from aiohttp import web
from certomancer.integrations.aiohttp_animator import build_animator_app
from certomancer.registry import ArchLabel, CertLabel, CertomancerConfig
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from multidict import CIMultiDict

from hub.clock import to_milliseconds
from hub.custody import load_signing_key
from hub.identifiers import SubsystemId
from hub.trust import RevocationPolicy, Use
from hub.trustlist import (
    AuthorityRow,
    BilingualName,
    Content,
    ServiceRow,
    compose,
    file_name,
    read_pinned,
    read_trust_lists,
    sign_trust_list,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiohttp.typedefs import Handler
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

    from hub.trust import TrustList
    from hub.trustlist import TrustListHistory

PASSPHRASE_VARIABLE = "HELIOGRAPH_PKI_PASSPHRASE"  # noqa: S105 (a name, not a secret)
"""Environment variable that hands the passphrase to the services' own process."""

TIME_HEADER = "X-Certomancer-Fake-Time"
"""A request that carries this (RFC 3339) is answered as of that instant; tests travel in time with it."""

LIST_OPERATOR = SubsystemId("11510108MB1A00001J/trust-list")
"""The subsystem that publishes the development trust list."""

_LIST_SIGNER = "trust-list"
_LIST_LIFETIME = timedelta(days=3650)

_RECIPES = Path(__file__).parents[2] / "certs"
_HOST = "127.0.0.1"
_APPROVED = {
    "envelope-ca": ["envelope", "encryption"],
    "seal-ca": ["seal", "timestamp"],
    "tls-ca": ["tls-client", "tls-server"],
}
_APPROVED_IN_TESTS = {"revoked-ca": ["envelope"]}

TIME_STAMPING = ("tsa", "tsa-2")
"""Labels of the time-stamping authorities, in the order in which they are asked."""

Recipe = dict[str, Any]


@dataclass(frozen=True)
class DevelopmentPki:
    """A development PKI in a folder, and where its parts are.

    A label is a name of `certs/development.yml.in`, such as `labour-sign`, `labour-seal`, `tsa`;
    `rogue/labour-sign` and the like are the tests' twins that nobody approved.

    Attributes:
        folder: holds `keys/`, `certificates/`, `chains/`, `trust-lists/` and the filled-in recipe.
        port: of the services on loopback; it stands in the certificates, so it is part of the PKI.
    """

    folder: Path
    port: int

    @property
    def url(self) -> str:
        """Where the services answer."""
        return f"http://{_HOST}:{self.port}"

    @property
    def trust_list(self) -> Path:
        """The folder of the signed versions of the trust list."""
        return self.folder / "trust-lists"

    @property
    def trust_list_signer(self) -> Path:
        """The PEM certificate of whoever signs the list; its key is `key("trust-list")`."""
        return self.certificate(_LIST_SIGNER)

    def trust_lists(self) -> TrustListHistory:
        """Read the trust list with all its versions."""
        return read_trust_lists(self.trust_list, read_pinned(self.trust_list_signer))

    def approved(self) -> TrustList:
        """Read the newest trust list."""
        return self.trust_lists().current.trust_list

    @property
    def time_stamp_url(self) -> str:
        """The RFC 3161 service that is asked first."""
        return self.time_stamp_urls[0]

    @property
    def time_stamp_urls(self) -> tuple[str, ...]:
        """All RFC 3161 services, in the order in which they are asked."""
        return tuple(f"{self.url}/development/tsa/{label}" for label in TIME_STAMPING)

    def key(self, label: str) -> Path:
        """Return the encrypted PKCS#8 key of a label."""
        return self.folder / "keys" / f"{label}.key.pem"

    def certificate(self, label: str) -> Path:
        """Return the PEM certificate of a label."""
        return self.folder / "certificates" / f"{label}.pem"

    def certificates(self, label: str) -> tuple[x509.Certificate, ...]:
        """Return the chain of a label: its certificate, then its issuers without the root."""
        return tuple(x509.load_pem_x509_certificates(self.chain(label).read_bytes()))

    def chain(self, label: str) -> Path:
        """Return the PEM chain of a label: its certificate first, then its issuers, without the root."""
        return self.folder / "chains" / f"{label}.pem"


def make_development_pki(
    folder: Path, port: int, passphrase: bytes, *, now: datetime | None = None, with_test_cases: bool = False
) -> DevelopmentPki:
    """Make keys, certificates, chains and the trust list.

    Args:
        folder: to be filled; made when absent. What an earlier call left there is replaced.
        port: on loopback, where the services will answer.
        passphrase: encrypts every key; ASCII or UTF-8.
        now: the certificates' validity is laid around it; the present when left out.
        with_test_cases: add the certificates that must be refused (`certs/test-cases.yml.in`).
    """
    pki = DevelopmentPki(folder, port)
    recipe = _read_recipe(pki, now or datetime.now(UTC), with_test_cases=with_test_cases)
    for keyset, architecture in _architectures(recipe):
        for label in architecture["certs"]:
            _write_key(pki.key(_path_label(keyset, label)), _new_key(label), passphrase)
    config = _load(pki, recipe, passphrase)
    for name, architecture in _architectures(recipe):
        for label in architecture["certs"]:
            _write_certificates(pki, config, name, label)
            architecture["certs"][label]["certificate-file"] = f"certificates/{_path_label(name, label)}.pem"
    approved = _APPROVED | (_APPROVED_IN_TESTS if with_test_cases else {})
    _write_list_signer(pki, passphrase)
    _write_trust_list(pki, approved, passphrase)
    _write(folder / "certomancer.yml", yaml.safe_dump(recipe, allow_unicode=True, sort_keys=False).encode())
    _write(folder / "pki.json", json.dumps({"port": port}).encode())
    return pki


def open_development_pki(folder: Path) -> DevelopmentPki:
    """Find a PKI that `make_development_pki` made before.

    Raises:
        FileNotFoundError: there is none in this folder.
    """
    return DevelopmentPki(folder, json.loads((folder / "pki.json").read_text())["port"])


@contextmanager
def serve(pki: DevelopmentPki, passphrase: bytes) -> Iterator[None]:
    """Run the OCSP, CRL and time-stamping services in a thread, as long as the block lasts."""
    application = _application(pki, passphrase)
    loop = asyncio.new_event_loop()
    runner = web.AppRunner(application, access_log=None)

    async def start() -> None:
        await runner.setup()
        await web.TCPSite(runner, _HOST, pki.port, reuse_address=True).start()

    loop.run_until_complete(start())
    thread = threading.Thread(target=loop.run_forever, name="development-pki", daemon=True)
    thread.start()
    try:
        yield
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(timeout=10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=10)
        loop.close()


def main() -> None:
    """Run the services of the PKI in the folder named on the command line, until interrupted."""
    if len(sys.argv) != 2 or PASSPHRASE_VARIABLE not in os.environ:
        sys.exit(f"usage: {PASSPHRASE_VARIABLE}=... python -m adapters.simulators.pki FOLDER")
    pki = open_development_pki(Path(sys.argv[1]))
    application = _application(pki, os.environ[PASSPHRASE_VARIABLE].encode())
    web.run_app(application, host=_HOST, port=pki.port, access_log=None, print=None)


def _application(pki: DevelopmentPki, passphrase: bytes) -> web.Application:
    recipe = yaml.safe_load((pki.folder / "certomancer.yml").read_text(encoding="utf-8"))
    application: web.Application = build_animator_app(
        _load(pki, recipe, passphrase).pki_archs, with_web_ui=False
    )
    application.middlewares.append(_speak_whole_seconds)
    return application


@web.middleware
async def _speak_whole_seconds(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let OCSP answers state whole seconds.

    Certomancer writes fractions, which RFC 6960 section 4.2.2.1 (by RFC 5280 section 4.1.2.5.2) forbids and
    strict readers refuse. Time stamps may carry them (RFC 3161 section 2.4.2) and stay as they are.
    """
    if "/ocsp/" in request.path and TIME_HEADER not in request.headers:
        now = datetime.now(UTC).replace(microsecond=0)
        headers = CIMultiDict(request.headers)
        headers[TIME_HEADER] = now.isoformat()
        request = request.clone(headers=headers)
    return await handler(request)


def _read_recipe(pki: DevelopmentPki, now: datetime, *, with_test_cases: bool) -> Recipe:
    """Fill dates and address into the recipe, and describe the keys it needs."""

    def day(days: float) -> str:
        return (now + timedelta(days=days)).replace(microsecond=0).isoformat()

    filled = {
        "url": pki.url,
        "ca_from": day(-1000),
        "ca_to": day(3650),
        "leaf_from": day(-365),
        "leaf_to": day(730),
        "next_from": day(-30),
        "expired_from": day(-700),
        "expired_to": day(-30),
        "future_from": day(30),
        "future_to": day(700),
        "revoked_since": day(-10),
        "revoked_soon": day(1 / 24),
    }
    recipe = _read_yaml("development.yml.in", filled)
    if with_test_cases:
        _merge(recipe, _read_yaml("test-cases.yml.in", filled))
    recipe["keysets"] = {
        name: {
            "path-prefix": "keys",
            "keys": {
                label: {"path": f"{_path_label(name, label)}.key.pem"} for label in architecture["certs"]
            },
        }
        for name, architecture in _architectures(recipe)
    }
    return recipe


def _read_yaml(name: str, filled: dict[str, str]) -> Recipe:
    text = string.Template((_RECIPES / name).read_text(encoding="utf-8")).substitute(filled)
    recipe: Recipe = yaml.safe_load(text)
    return recipe


def _merge(target: Recipe, more: Recipe) -> None:
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(target.get(key), dict):
            _merge(target[key], value)
        else:
            target[key] = value


def _architectures(recipe: Recipe) -> list[tuple[str, Recipe]]:
    return list(recipe["pki-architectures"].items())


def _path_label(architecture: str, label: str) -> str:
    return label if architecture == "development" else f"{architecture}/{label}"


def _load(pki: DevelopmentPki, recipe: Recipe, passphrase: bytes) -> CertomancerConfig:
    """Hand the recipe to certomancer; the passphrase stays in memory and never reaches the recipe's file."""
    keysets = {
        name: {**keyset, "default-password": passphrase.decode()}
        for name, keyset in recipe["keysets"].items()
    }
    return CertomancerConfig(
        {**recipe, "keysets": keysets},
        key_search_dir=str(pki.folder),
        config_search_dir=str(pki.folder),
        lazy_load_keys=True,
    )


def _new_key(label: str) -> PrivateKeyTypes:
    if label.endswith("-p384"):
        return ec.generate_private_key(ec.SECP384R1())
    if label.endswith("-rsa"):
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    if label.endswith("-rsa-short"):
        return rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 (must be refused)
    if label.endswith("-ed25519"):
        return ed25519.Ed25519PrivateKey.generate()
    return ec.generate_private_key(ec.SECP256R1())


def _write_key(path: Path, key: PrivateKeyTypes, passphrase: bytes) -> None:
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(passphrase),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode=0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)


def _write_certificates(pki: DevelopmentPki, config: CertomancerConfig, name: str, label: str) -> None:
    architecture = config.get_pki_arch(ArchLabel(name))
    labels = [CertLabel(label), *architecture.get_chain(CertLabel(label))]
    certificates = [x509.load_der_x509_certificate(architecture.get_cert(each).dump()) for each in labels]
    pems = [certificate.public_bytes(serialization.Encoding.PEM) for certificate in certificates]
    below_root = pems if len(pems) == 1 else pems[:-1]
    _write(pki.certificate(_path_label(name, label)), pems[0])
    _write(pki.chain(_path_label(name, label)), b"".join(below_root))


def _write_list_signer(pki: DevelopmentPki, passphrase: bytes) -> None:
    """Make the key that signs the trust list; its certificate is pinned, so nobody issued it."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    name = x509.Name(
        [
            x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "成华区数据交换（开发环境）"),
            x509.NameAttribute(x509.NameOID.COMMON_NAME, "Heliograph 开发用信任列表签署"),
        ]
    )
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + _LIST_LIFETIME)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    _write_key(pki.key(_LIST_SIGNER), key, passphrase)
    _write(pki.certificate(_LIST_SIGNER), pem)
    _write(pki.chain(_LIST_SIGNER), pem)


def _write_trust_list(pki: DevelopmentPki, approved: dict[str, list[str]], passphrase: bytes) -> None:
    """Sign and write the first version of the trust list."""
    authorities = [_authority(pki, "root", [], is_anchor=True)]
    authorities += [_authority(pki, label, uses, is_anchor=False) for label, uses in approved.items()]
    now = to_milliseconds(datetime.now(UTC))
    content = Content(
        name=BilingualName(zh="开发用信任列表", en="Development trust list"),
        signers=(_read_certificate(pki, _LIST_SIGNER),),
        authorities=tuple(authorities),
        time_stamping_authorities=tuple(
            _time_stamping(_read_certificate(pki, label), url)
            for label, url in zip(TIME_STAMPING, pki.time_stamp_urls, strict=True)
        ),
        ocsp_responders=(),
    )
    document = compose(content, None, issued_at=now, next_update=now + _LIST_LIFETIME)
    key = load_signing_key(pki.key(_LIST_SIGNER), pki.chain(_LIST_SIGNER), passphrase)
    version = sign_trust_list(document, LIST_OPERATOR, key)
    _write(pki.trust_list / file_name(version.sequence), version.raw)


def _time_stamping(certificate: x509.Certificate, url: str) -> ServiceRow:
    return ServiceRow(
        certificate=certificate,
        name=_common_name(certificate),
        approved_from=certificate.not_valid_before_utc,
        approved_until=certificate.not_valid_after_utc,
        url=url,
    )


def _authority(pki: DevelopmentPki, label: str, uses: list[str], *, is_anchor: bool) -> AuthorityRow:
    certificate = _read_certificate(pki, label)
    return AuthorityRow(
        name=_common_name(certificate),
        certificate=certificate,
        is_anchor=is_anchor,
        uses=tuple(map(Use, uses)),
        approved_from=certificate.not_valid_before_utc,
        approved_until=certificate.not_valid_after_utc,
        revocation=RevocationPolicy.EITHER,
        reaches_below=False,
        longest_answer_age_seconds=None,
        unsafe_accept_unknown_revocation=False,
    )


def _read_certificate(pki: DevelopmentPki, label: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pki.certificate(label).read_bytes())


def _common_name(certificate: x509.Certificate) -> str:
    return str(certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


if __name__ == "__main__":
    main()
