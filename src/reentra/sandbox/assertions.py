"""Client assertions: a signed token instead of a secret, and how the authority refuses one.

https://learn.microsoft.com/entra/identity-platform/certificate-credentials
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from reentra.sandbox.clock import Clock

LONGEST_LIFE_SECONDS = 86_400
SKEW_SECONDS = 300


class TokenRefused(Exception):
    """AADSTS{code}: {text}"""

    def __init__(self, status: int, error: str, code: int, text: str) -> None:
        super().__init__(f"AADSTS{code}: {text}")
        self.status = status
        self.error = error
        self.code = code
        self.text = text


def check_assertion(
    client_id: str, certificates_pem: Iterable[bytes], assertion: str, authority: str
) -> None:
    """Check an assertion of a client against its registered certificates.

    ``authority`` is the address of the tenant's authority as the client called it.

    Raises:
        TokenRefused: with the code Entra gives.
    """

    def refused(reason: str) -> TokenRefused:
        return TokenRefused(
            401,
            "invalid_client",
            700027,
            "The certificate with identifier used to sign the client assertion is not "
            f"registered on application, or the assertion is invalid. [Reason - {reason}]",
        )

    try:
        head_text, claims_text, signature_text = assertion.split(".")
        head = orjson.loads(unb64(head_text))
        claims = orjson.loads(unb64(claims_text))
        signature = unb64(signature_text)
    except (ValueError, binascii.Error):
        raise _malformed() from None
    if not isinstance(head, dict) or not isinstance(claims, dict):
        raise _malformed()
    certificate = _certificate_for(certificates_pem, head)
    if certificate is None:
        raise refused("The key was not found.")
    key = certificate.public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        raise refused("The key is not an RSA key.")
    signed = f"{head_text}.{claims_text}".encode()
    try:
        if head.get("alg") == "PS256":
            scheme = padding.PSS(padding.MGF1(hashes.SHA256()), hashes.SHA256.digest_size)
            key.verify(signature, signed, scheme, hashes.SHA256())
        elif head.get("alg") == "RS256":
            key.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
        else:
            raise refused("The algorithm is not allowed.")
    except InvalidSignature:
        raise refused("The signature is invalid.") from None
    if claims.get("iss") != client_id or claims.get("sub") != client_id:
        raise refused("Issuer and subject must be the client id.")
    audience = str(claims.get("aud", ""))
    if not _is_token_endpoint(audience, authority):
        raise TokenRefused(
            401,
            "invalid_client",
            700023,
            f"Client assertion audience claim '{audience}' does not match Realm issuer.",
        )
    expires = claims.get("exp")
    if not isinstance(expires, int | float) or not claims.get("jti"):
        raise refused("The claims exp and jti are required.")
    # The signer's clock is the machine's; a sandbox that was moved ahead must not refuse it.
    now = Clock().seconds()
    begins = claims.get("nbf", now)
    too_long = expires - begins > LONGEST_LIFE_SECONDS
    if too_long or expires <= now - SKEW_SECONDS or begins > now + SKEW_SECONDS:
        raise TokenRefused(
            401,
            "invalid_client",
            700024,
            "Client assertion is not within its valid time range.",
        )


def _malformed() -> TokenRefused:
    return TokenRefused(401, "invalid_client", 50027, "JWT token is invalid or malformed.")


def _is_token_endpoint(audience: str, authority: str) -> bool:
    allowed = {f"{authority}/oauth2/v2.0/token", f"{authority}/v2.0", f"{authority}/oauth2/token"}
    return audience.rstrip("/").lower() in {entry.lower() for entry in allowed}


def _certificate_for(
    certificates_pem: Iterable[bytes], head: Mapping[str, Any]
) -> x509.Certificate | None:
    for pem in certificates_pem:
        certificate = x509.load_pem_x509_certificate(pem)
        if "x5t#S256" in head:
            mine = b64(certificate.fingerprint(hashes.SHA256()))
            if hmac.compare_digest(mine, str(head["x5t#S256"]).rstrip("=").encode()):
                return certificate
        elif "x5t" in head:
            # SHA-1 names the certificate here, it protects nothing.
            mine = b64(certificate.fingerprint(hashes.SHA1()))  # noqa: S303
            if hmac.compare_digest(mine, str(head["x5t"]).rstrip("=").encode()):
                return certificate
    return None


def issuer_of(assertion: str) -> str:
    """Return who an assertion says it is from, unchecked; empty when it cannot be read."""
    try:
        claims = orjson.loads(unb64(assertion.split(".")[1]))
    except (IndexError, ValueError, binascii.Error):
        return ""
    return str(claims.get("iss", "")) if isinstance(claims, dict) else ""


def b64(data: bytes) -> bytes:
    """Encode as URL-safe base64 without padding, as tokens do."""
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def unb64(text: str) -> bytes:
    """Decode URL-safe base64 without padding."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
