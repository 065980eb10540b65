"""TLS to the broker: a context from the settings, and what went wrong in words that say what to do.

There is no way to switch the checks off: a broker whose certificate nobody checks could be anyone's.
"""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path

from device.settings import BrokerSettings, locate
from edge.errors import ProjectError

X509_NOT_YET, X509_EXPIRED, X509_HOST, X509_ADDRESS = 9, 10, 62, 64
X509_UNTRUSTED = frozenset({2, 18, 19, 20, 21})
"""Verification codes of OpenSSL (x509_vfy.h): no issuer, self-signed, self-signed root, no local issuer, one leaf."""

WANTS_CERTIFICATE = frozenset({"TLSV13_ALERT_CERTIFICATE_REQUIRED", "SSLV3_ALERT_HANDSHAKE_FAILURE"})
NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "UNKNOWN_PROTOCOL"})


def context(settings: BrokerSettings) -> ssl.SSLContext:
    """What to connect with: the broker's chain and its name are checked, against `ca_file` or the system's authorities.

    Raises ProjectError naming the file that cannot be used.
    """
    ca = locate(settings.ca_file) if settings.ca_file else None
    try:
        made = ssl.create_default_context(cafile=ca)
    except (OSError, ValueError) as error:
        raise ProjectError(f"`ca_file` {_unusable(ca, error, 'certificates')}") from error
    # Python 3.13 refuses private authorities that lack extensions the mosquitto manual's recipe does not make.
    made.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if settings.cert_file:
        _load_pair(made, locate(settings.cert_file), locate(settings.key_file or settings.cert_file))
    return made


def explain(error: OSError, where: str, settings: BrokerSettings) -> str:
    """One line on why TLS with `where` failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _distrust(error, where, settings)
    if isinstance(error, TimeoutError):
        return f"{where} takes connections but does not answer in TLS; is this its TLS port?"
    reason = getattr(error, "reason", None) or ""
    if reason in NO_TLS:
        return f"{where} does not speak TLS on this port; the TLS port is usually 8883, or write mqtt:// for plain MQTT"
    if reason in WANTS_CERTIFICATE and not settings.cert_file:
        return f"{where} asks for a client certificate; name one with --cert and --key (cert_file, key_file)"
    if "ALERT" in reason:
        what = reason.partition("ALERT_")[2].replace("_", " ").lower()
        ours = f"; our certificate is `{settings.cert_file}`" if settings.cert_file else ""
        return f"{where} refuses us in TLS: {what}{ours}"
    if isinstance(error, ssl.SSLEOFError | ConnectionResetError):
        return f"{where} hung up during the TLS greeting; is this its TLS port{asks(settings)}?"
    return f"TLS with {where} failed: {reason.replace('_', ' ').lower() or error.strerror or error}"


def asks(settings: BrokerSettings) -> str:
    """A second thing to suspect of a broker that hangs up on a client without a certificate."""
    return "" if settings.cert_file or not settings.tls else ", or does it ask for a client certificate (--cert, --key)"


def _distrust(error: ssl.SSLCertVerificationError, where: str, settings: BrokerSettings) -> str:
    code, said = error.verify_code, error.verify_message
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    if code == X509_EXPIRED:
        return f"the certificate of {where}, or of its authority, has expired (it is {now} here); renew it"
    if code == X509_NOT_YET:
        return f"the certificate of {where} is not valid yet; it is {now} here: is this machine's clock set?"
    if code in (X509_HOST, X509_ADDRESS):
        return f"the certificate of {where} is for another name; address the broker by a name that is in it"
    if code in X509_UNTRUSTED:
        trusted = f"`{settings.ca_file}`" if settings.ca_file else "one this system trusts"
        return f"the certificate of {where} is not signed by {trusted} ({said}); name its authority with --ca (ca_file)"
    return f"the certificate of {where} is not accepted: {said}"


def _load_pair(made: ssl.SSLContext, cert: Path, key: Path) -> None:
    for name, path in (("cert_file", cert), ("key_file", key)):
        try:
            path.read_bytes()
        except OSError as error:
            raise ProjectError(f"`{name}` {_unusable(path, error, '')}") from error

    def locked() -> str:
        # Without it OpenSSL would ask on the terminal, which a service does not have.
        raise ProjectError(f"`key_file` `{key}` is encrypted; decrypt it (openssl pkey) and protect it as a file")

    try:
        made.load_cert_chain(cert, key, locked)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise ProjectError(f"`key_file` `{key}` does not belong to the certificate `{cert}`") from error
        raise ProjectError(f"`cert_file` `{cert}` and `key_file` `{key}` are no PEM certificate and key") from error


def _unusable(path: Path | None, error: Exception, held: str) -> str:
    if isinstance(error, ssl.SSLError) or not isinstance(error, OSError):
        return f"`{path}` holds no PEM {held}"
    return f"`{path}` cannot be read: {error.strerror or error}"
