"""The token endpoint: registered clients, their credentials, access tokens and AADSTS refusals.

Client credentials with a secret or with a signed assertion, codes of people who signed in, the
OpenID configuration and the instance discovery that Microsoft's client libraries ask for.
https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
"""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import time
import urllib.parse
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from reentra.sandbox.assertions import TokenRefused, b64, check_assertion, issuer_of
from reentra.sandbox.clock import Clock, timestamp
from reentra.sandbox.errors import GraphError
from reentra.sandbox.http import Request, Response
from reentra.sandbox.sign_in import SignIns

TOKEN_LIFETIME_SECONDS = 3599
_JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """One secret of a registered client; ``expires_at`` is aware UTC, or None for never."""

    value: str = field(repr=False)
    expires_at: datetime | None = None


@dataclass(slots=True)
class RegisteredClient:
    """An app registration that may ask for tokens, with the app roles it was granted."""

    client_id: str
    display_name: str
    service_principal_id: str
    roles: set[str]
    secrets: list[ClientSecret] = field(default_factory=list)
    certificates_pem: list[bytes] = field(default_factory=list, repr=False)
    redirect_uris: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a valid access token speaks for."""

    client: RegisteredClient
    token: str = field(repr=False)

    @property
    def client_id(self) -> str:
        return self.client.client_id


@dataclass(slots=True)
class _Issued:
    client_id: str
    dies_at_monotonic: float


class TokenService:
    """Issues and checks access tokens for one tenant.

    A token lives by the machine's own clock and not by the sandbox's, so moving the sandbox
    ahead by a week does not invalidate what a client has cached; `expire_all` does.
    """

    def __init__(self, tenant_id: str, clock: Clock) -> None:
        self.tenant_id = tenant_id
        self.lifetime_seconds = TOKEN_LIFETIME_SECONDS
        self._clock = clock
        self._clients: dict[str, RegisteredClient] = {}
        self._issued: dict[str, _Issued] = {}
        self.sign_ins: SignIns | None = None  # people may sign in when there is one

    def register(self, client: RegisteredClient) -> None:
        """Add a client, or replace the one with the same id."""
        self._clients[client.client_id.lower()] = client

    def clients(self) -> list[RegisteredClient]:
        return list(self._clients.values())

    def client(self, client_id: str) -> RegisteredClient | None:
        return self._clients.get(client_id.lower())

    def expire_all(self) -> None:
        """Make every token issued so far expired, as if its hour had passed."""
        for issued in self._issued.values():
            issued.dies_at_monotonic = 0.0

    def revoke(self, authorization: str | None) -> GraphError:
        """Kill the token of a header, and return the 401 that tells its bearer to get another.

        The challenge carries claims, as continuous access evaluation sends them; a client that
        passes them on gets a new token instead of the cached one.
        """
        issued = self._issued.get((authorization or "").partition(" ")[2].strip())
        if issued is not None:
            issued.dies_at_monotonic = 0.0
        claims = {"access_token": {"nbf": {"essential": True, "value": str(0)}}}
        encoded = base64.b64encode(orjson.dumps(claims)).decode("ascii")
        challenge = (
            'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/'
            'authorize", client_id="00000003-0000-0000-c000-000000000000", '
            f'error="insufficient_claims", claims="{encoded}"'
        )
        return GraphError(
            401,
            "InvalidAuthenticationToken",
            "Continuous access evaluation resulted in challenge with result: "
            "InteractionRequired and code: TokenIssuedBeforeRevocationTimestamp.",
            headers={"WWW-Authenticate": challenge},
        )

    def issue(self, client: RegisteredClient) -> str:
        """Make an access token for Microsoft Graph without asking for a credential."""
        now = int(self._clock.seconds())
        claims = {
            "aud": "https://graph.microsoft.com",
            "iss": f"https://sts.windows.net/{self.tenant_id}/",
            "iat": now,
            "nbf": now,
            "exp": now + self.lifetime_seconds,
            "app_displayname": client.display_name,
            "appid": client.client_id,
            "appidacr": "1",
            "idtyp": "app",
            "oid": client.service_principal_id,
            "sub": client.service_principal_id,
            "tid": self.tenant_id,
            "roles": sorted(client.roles),
            "uti": self._clock.new_guid(),
            "ver": "1.0",
        }
        token = _signed(claims)
        self._issued[token] = _Issued(client.client_id, time.monotonic() + self.lifetime_seconds)
        return token

    def caller(self, authorization: str | None) -> Caller:
        """Return who sent the header.

        Raises:
            GraphError: 401 InvalidAuthenticationToken for a missing, expired or foreign token.
        """
        scheme, _, token = (authorization or "").partition(" ")
        token = token.strip()
        if not token:
            raise _invalid_token("Access token is empty.")
        if scheme.lower() != "bearer":
            raise _invalid_token("Access token is empty.")
        issued = self._issued.get(token)
        if issued is None:
            if token.count(".") != 2:
                raise _invalid_token(
                    "IDX14100: JWT is not well formed, there are no dots (.). "
                    "The token needs to be in JWS or JWE Compact Serialization Format."
                )
            raise _invalid_token("Access token validation failure. Invalid audience.")
        client = self.client(issued.client_id)
        if client is None or issued.dies_at_monotonic <= time.monotonic():
            raise _invalid_token(
                "Lifetime validation failed, the token is expired. "
                "Access token has expired or is not yet valid."
            )
        return Caller(client, token)

    # --- the endpoints -------------------------------------------------------------------

    def answer(self, request: Request, segments: list[str]) -> Response | None:
        """Answer a request of the login authority, or None when the path is not one of its."""
        lowered = [segment.lower() for segment in segments]
        if lowered == ["common", "discovery", "instance"]:
            return self._instance_discovery(request)
        if lowered[1:] == ["v2.0", ".well-known", "openid-configuration"]:
            if not self._is_ours(lowered[0]):
                return self._refusal(_unknown_tenant(segments[0]))
            return self._openid_configuration(request, segments[0])
        if lowered[1:] == ["discovery", "v2.0", "keys"]:
            return _json(200, {"keys": [_public_key()]})
        if lowered[1:] == ["oauth2", "v2.0", "authorize"] and self.sign_ins is not None:
            if not self._is_ours(lowered[0]):
                return self._refusal(_unknown_tenant(segments[0]))
            registered = {c.client_id.lower(): c.redirect_uris for c in self.clients()}
            try:
                return self.sign_ins.authorize(request, registered)
            except TokenRefused as refused:
                return self._refusal(refused)
        if lowered[1:] in (["oauth2", "v2.0", "token"], ["oauth2", "token"]):
            if request.method != "POST":
                text = "The endpoint only accepts POST requests. Received a GET request."
                return self._refusal(TokenRefused(400, "invalid_request", 900561, text))
            try:
                return self._token(request, segments[0])
            except TokenRefused as refused:
                return self._refusal(refused)
        return None

    def _is_ours(self, tenant: str) -> bool:
        return tenant.lower() == self.tenant_id.lower()

    def _token(self, request: Request, tenant: str) -> Response:
        if not self._is_ours(tenant):
            raise _unknown_tenant(tenant)
        fields = dict(
            urllib.parse.parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True)
        )
        grant = fields.get("grant_type", "")
        if grant == "authorization_code" and self.sign_ins is not None:
            return self._redeemed(request, tenant, fields, self.sign_ins)
        if grant != "client_credentials":
            raise TokenRefused(
                400,
                "unsupported_grant_type",
                70003,
                f"The app requested an unsupported grant type '{grant}'.",
            )
        scope = fields.get("scope", fields.get("resource", ""))
        if not scope:
            raise TokenRefused(
                400,
                "invalid_request",
                900144,
                "The request body must contain the following parameter: 'scope'.",
            )
        if "resource" not in fields and not any(s.endswith("/.default") for s in scope.split()):
            raise TokenRefused(
                400,
                "invalid_scope",
                1002012,
                f"The provided value for scope {scope} is not valid. Client credential flows must "
                "have a scope value with /.default suffixed to the resource identifier.",
            )
        client_id = fields.get("client_id", "")
        assertion = fields.get("client_assertion")
        if not client_id and assertion:
            client_id = issuer_of(assertion)
        client = self.client(client_id)
        if client is None:
            raise TokenRefused(
                400,
                "unauthorized_client",
                700016,
                f"Application with identifier '{client_id}' was not found in the directory "
                f"'{self.tenant_id}'. This can happen if the application has not been installed "
                "by the administrator of the tenant or consented to by any user in the tenant.",
            )
        if assertion is not None:
            if fields.get("client_assertion_type") != _JWT_BEARER:
                raise TokenRefused(
                    401, "invalid_client", 700030, "Invalid client_assertion_type was provided."
                )
            check_assertion(
                client.client_id, client.certificates_pem, assertion, f"{request.base_url}/{tenant}"
            )
        elif "client_secret" in fields:
            self._check_secret(client, fields["client_secret"])
        else:
            raise TokenRefused(
                401,
                "invalid_client",
                7000216,
                "'client_assertion', 'client_secret' or 'request' is required for the "
                "'client_credentials' grant type.",
            )
        body = {
            "token_type": "Bearer",
            "expires_in": self.lifetime_seconds,
            "ext_expires_in": self.lifetime_seconds,
            "access_token": self.issue(client),
        }
        return _json(200, body)

    def _redeemed(
        self, request: Request, tenant: str, fields: dict[str, str], sign_ins: SignIns
    ) -> Response:
        client = self.client(fields.get("client_id", ""))
        if client is None:
            raise TokenRefused(
                400,
                "unauthorized_client",
                700016,
                f"Application with identifier '{fields.get('client_id', '')}' was not found in "
                f"the directory '{self.tenant_id}'.",
            )
        if "client_secret" not in fields:
            raise TokenRefused(
                401,
                "invalid_client",
                7000218,
                "The request body must contain the following parameter: 'client_assertion' or "
                "'client_secret'.",
            )
        self._check_secret(client, fields["client_secret"])
        user_id, nonce = sign_ins.redeem(fields, client.client_id)
        now = int(self._clock.seconds())
        claims = {
            "aud": client.client_id,
            "iss": f"{request.base_url}/{tenant}/v2.0",
            "iat": now,
            "nbf": now,
            "exp": now + self.lifetime_seconds,
            **sign_ins.claims(user_id, client.service_principal_id),
            "tid": self.tenant_id,
            "ver": "2.0",
        }
        if nonce:
            claims["nonce"] = nonce
        body = {
            "token_type": "Bearer",
            "scope": "openid profile",
            "expires_in": self.lifetime_seconds,
            "ext_expires_in": self.lifetime_seconds,
            "id_token": _signed(claims),
        }
        return _json(200, body)

    def _check_secret(self, client: RegisteredClient, secret: str) -> None:
        given = secret.encode()
        for known in client.secrets:
            if not hmac.compare_digest(known.value.encode(), given):
                continue
            if known.expires_at is not None and known.expires_at <= self._clock.now():
                raise TokenRefused(
                    401,
                    "invalid_client",
                    7000222,
                    f"The provided client secret keys for app '{client.client_id}' are expired. "
                    "Create new keys for your app in Azure Portal.",
                )
            return
        raise TokenRefused(
            401,
            "invalid_client",
            7000215,
            "Invalid client secret provided. Ensure the secret being sent in the request is the "
            "client secret value, not the client secret ID, for a secret added to app "
            f"'{client.client_id}'.",
        )

    def _refusal(self, refused: TokenRefused) -> Response:
        now = timestamp(self._clock.now())
        trace, correlation = self._clock.new_guid(), self._clock.new_guid()
        shown = now.replace("T", " ")
        body = {
            "error": refused.error,
            "error_description": f"AADSTS{refused.code}: {refused.text} Trace ID: {trace} "
            f"Correlation ID: {correlation} Timestamp: {shown}",
            "error_codes": [refused.code],
            "timestamp": shown,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": f"https://login.microsoftonline.com/error?code={refused.code}",
        }
        return _json(refused.status, body)

    def _openid_configuration(self, request: Request, tenant: str) -> Response:
        base = f"{request.base_url}/{tenant}"
        return _json(
            200,
            {
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "token_endpoint_auth_methods_supported": [
                    "client_secret_post",
                    "private_key_jwt",
                    "client_secret_basic",
                ],
                "jwks_uri": f"{base}/discovery/v2.0/keys",
                "response_modes_supported": ["query", "fragment", "form_post"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "response_types_supported": ["code", "id_token", "code id_token"],
                "scopes_supported": ["openid", "profile", "email", "offline_access"],
                "issuer": f"{base}/v2.0",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
                "tenant_region_scope": "EU",
                "cloud_instance_name": "microsoftonline.com",
                "cloud_graph_host_name": "graph.windows.net",
                "msgraph_host": request.headers.get("host", "localhost"),
            },
        )

    def _instance_discovery(self, request: Request) -> Response:
        host = request.headers.get("host", "localhost")
        return _json(
            200,
            {
                "tenant_discovery_endpoint": f"{request.base_url}/{self.tenant_id}/v2.0/"
                ".well-known/openid-configuration",
                "api-version": "1.1",
                "metadata": [
                    {"preferred_network": host, "preferred_cache": host, "aliases": [host]}
                ],
            },
        )


def _unknown_tenant(tenant: str) -> TokenRefused:
    return TokenRefused(
        400,
        "invalid_request",
        90002,
        f"Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are "
        "signing into the correct cloud.",
    )


def _invalid_token(message: str) -> GraphError:
    challenge = (
        'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/'
        'authorize", client_id="00000003-0000-0000-c000-000000000000"'
    )
    return GraphError(
        401, "InvalidAuthenticationToken", message, headers={"WWW-Authenticate": challenge}
    )


def _signed(claims: dict[str, Any]) -> str:
    key, key_id = _signing_key()
    head = b64(orjson.dumps({"typ": "JWT", "alg": "RS256", "kid": key_id}))
    signed = head + b"." + b64(orjson.dumps(claims))
    signature = key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
    return (signed + b"." + b64(signature)).decode("ascii")


@functools.cache
def _signing_key() -> tuple[rsa.RSAPrivateKey, str]:
    """Make this process's signing key, once and only when a token is first asked for."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    modulus = key.public_key().public_numbers().n
    key_id = hashlib.sha256(modulus.to_bytes(256, "big")).digest()[:20]
    return key, b64(key_id).decode()


def _public_key() -> dict[str, str]:
    key, key_id = _signing_key()
    numbers = key.public_key().public_numbers()
    return {
        "kty": "RSA",
        "use": "sig",
        "alg": "RS256",
        "kid": key_id,
        "n": b64(numbers.n.to_bytes(256, "big")).decode(),
        "e": b64(numbers.e.to_bytes(3, "big")).decode(),
    }


def _json(status: int, body: dict[str, Any]) -> Response:
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "Cache-Control": "no-store, no-cache",
    }
    return Response(status, headers, orjson.dumps(body))
