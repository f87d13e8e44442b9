"""Credentials and tokens of a connection.

Source: learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow.
"""

from __future__ import annotations

import base64
import binascii
import re
import threading
from collections.abc import Callable
from typing import Any

import orjson
from azure.core import exceptions as azure_errors
from azure.core.credentials import AccessTokenInfo, TokenRequestOptions
from azure.core.pipeline import Pipeline, PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import BearerTokenCredentialPolicy
from azure.core.pipeline.transport import RequestsTransport
from azure.core.rest import HttpRequest, HttpResponse

from reentra import clock as clocks
from reentra import errors
from reentra.graph.connection import (
    CLOUDS,
    Cloud,
    CloudEndpoints,
    CredentialKind,
    TenantConnection,
    ensure_transport_is_safe,
    is_loopback,
)

__all__ = [
    "CLOUDS",
    "Cloud",
    "CloudEndpoints",
    "CredentialKind",
    "LoopbackCredential",
    "SecretProvider",
    "TenantConnection",
    "TenantCredential",
    "TokenPolicy",
    "ensure_transport_is_safe",
    "granted_roles",
    "is_loopback",
    "token_error",
]

# --- secrets ----------------------------------------------------------------------------------

_RENEWED_BEFORE_END_SECONDS = 300

SecretProvider = Callable[[], str]
"""Returns a client secret, or the passphrase of a certificate (empty when it has none)."""


def _no_secret() -> str:
    return ""


# --- credentials -----------------------------------------------------------------------------


class TenantCredential:
    """The token source of one connection, in azure-core's form.

    Tokens are cached until shortly before they end. ``refresh`` forgets them, for the case that
    Graph refuses a token that looks good from here. Thread-safe.
    """

    __slots__ = ("_clock", "_connection", "_lock", "_make", "_source", "_token")

    def __init__(
        self,
        connection: TenantConnection,
        secret: SecretProvider = _no_secret,
        clock: clocks.Clock = clocks.SYSTEM,
    ) -> None:
        self._connection = connection
        self._clock = clock
        self._make: Callable[[], Any] = lambda: _token_source(connection, secret)
        self._source: Any = None
        self._token: AccessTokenInfo | None = None
        self._lock = threading.RLock()

    def __repr__(self) -> str:
        return f"TenantCredential({self._connection.credential.value})"

    def get_token_info(
        self, *scopes: str, options: TokenRequestOptions | None = None
    ) -> AccessTokenInfo:
        """Return a token, fresh or cached.

        Raises: ``Unauthenticated`` with what to do; ``Unavailable`` when the authority cannot be
        reached; ``ConfigurationError`` when a credential file cannot be used.
        """
        wanted = options or TokenRequestOptions()
        with self._lock:
            kept = self._token
            if kept is not None and not wanted.get("claims") and self._is_good(kept):
                return kept
            try:
                if self._source is None:
                    self._source = self._make()
                fresh: AccessTokenInfo = self._source.get_token_info(*scopes, options=wanted)
            except azure_errors.ClientAuthenticationError as failure:
                # azure-identity folds failures of the network into refusals of the credential.
                if _is_network_failure(failure):
                    raise _unreachable(failure, self._connection) from None
                raise token_error(str(failure.message), self._connection) from None
            except azure_errors.AzureError as failure:
                raise _unreachable(failure, self._connection) from None
            except (OSError, ValueError) as failure:
                raise errors.ConfigurationError(
                    f"The {self._connection.credential.value} credential cannot be used: "
                    f"{type(failure).__name__} while reading its file.",
                    hint=f"Look at {self._connection.credential_file or 'its settings'}.",
                ) from None
            self._token = fresh
            return fresh

    def _is_good(self, token: AccessTokenInfo) -> bool:
        return self._clock.now().timestamp() < token.expires_on - _RENEWED_BEFORE_END_SECONDS

    def __enter__(self) -> TenantCredential:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def refresh(self, refused: str = "") -> None:
        """Forget every token, so that the next one comes from the authority.

        Does nothing when ``refused`` is given and another thread has replaced that token already.
        """
        with self._lock:
            if refused and self._token is not None and self._token.token != refused:
                return
            self._source = None
            self._token = None

    def close(self) -> None:
        with self._lock:
            close = getattr(self._source, "close", None)
            if close is not None:
                close()
            self._source = None
            self._token = None


def _token_source(connection: TenantConnection, secret: SecretProvider) -> Any:
    """Return azure-identity's credential, or our own for plain http on loopback."""
    # azure-identity takes 0.4 s to import and is not needed by the demo's loopback tenant.
    authority = connection.endpoints.authority
    if authority.startswith("http://"):
        if connection.credential is not CredentialKind.CLIENT_SECRET:
            raise errors.UsageError(
                f"A {connection.credential.value} credential needs an https authority.",
                hint="Use a client secret with a plain-http authority on this machine.",
            )
        return LoopbackCredential(connection, secret)
    from azure import identity

    options: dict[str, Any] = {"retry_total": 2}
    if connection.cloud is Cloud.CUSTOM:
        options["disable_instance_discovery"] = True
    if connection.ca_file:
        options["connection_verify"] = connection.ca_file
    match connection.credential:
        case CredentialKind.CLIENT_SECRET:
            return identity.ClientSecretCredential(
                connection.tenant_id,
                connection.client_id,
                _given(secret, connection),
                authority=authority,
                **options,
            )
        case CredentialKind.CERTIFICATE:
            return identity.CertificateCredential(
                connection.tenant_id,
                connection.client_id,
                connection.credential_file,
                password=secret() or None,
                authority=authority,
                **options,
            )
        case CredentialKind.MANAGED_IDENTITY:
            if connection.client_id:
                return identity.ManagedIdentityCredential(client_id=connection.client_id)
            return identity.ManagedIdentityCredential()
        case CredentialKind.WORKLOAD_IDENTITY:
            found: dict[str, Any] = {}
            if connection.credential_file:
                found["token_file_path"] = connection.credential_file
            return identity.WorkloadIdentityCredential(
                tenant_id=connection.tenant_id,
                client_id=connection.client_id,
                authority=authority,
                **found,
                **options,
            )


def _given(secret: SecretProvider, connection: TenantConnection) -> str:
    value = secret().strip()
    if not value:
        raise errors.ConfigurationError(
            f"The client secret of the connection {connection.name!r} is empty.",
            hint=f"Look at {connection.credential_file or 'where the secret is read from'}.",
        )
    return value


class LoopbackCredential:
    """The client credentials grant over plain http, for a Graph on this machine.

    azure-identity refuses any http authority. Tokens are kept by ``TenantCredential``.
    """

    __slots__ = ("_clock", "_connection", "_pipeline", "_secret")

    def __init__(
        self,
        connection: TenantConnection,
        secret: SecretProvider,
        clock: clocks.Clock = clocks.SYSTEM,
    ) -> None:
        ensure_transport_is_safe(connection.endpoints.authority)
        self._connection = connection
        self._secret = secret
        self._clock = clock
        self._pipeline: Pipeline[HttpRequest, HttpResponse] = Pipeline(
            RequestsTransport(use_env_settings=False), []
        )

    def get_token_info(
        self, *scopes: str, options: TokenRequestOptions | None = None
    ) -> AccessTokenInfo:
        return self._request(scopes, (options or {}).get("claims") or "")

    def close(self) -> None:
        self._pipeline.__exit__()

    def _request(self, scopes: tuple[str, ...], claims: str) -> AccessTokenInfo:
        form = {
            "grant_type": "client_credentials",
            "client_id": self._connection.client_id,
            "client_secret": _given(self._secret, self._connection),
            "scope": " ".join(scopes),
        }
        if claims:
            form["claims"] = claims
        authority = self._connection.endpoints.authority
        answer = self._pipeline.run(
            HttpRequest(
                "POST",
                f"{authority}/{self._connection.tenant_id}/oauth2/v2.0/token",
                data=form,
            )
        ).http_response
        try:
            body = orjson.loads(answer.content)
        except orjson.JSONDecodeError:
            body = {}
        token = body.get("access_token") if isinstance(body, dict) else None
        if answer.status_code != 200 or not isinstance(token, str):
            said = body.get("error_description") if isinstance(body, dict) else ""
            raise azure_errors.ClientAuthenticationError(
                message=f"{answer.status_code}: {said or 'no token in the answer'}"
            )
        lifetime_seconds = int(body.get("expires_in", 3600))
        return AccessTokenInfo(token, int(self._clock.now().timestamp()) + lifetime_seconds)


# --- what the authority says -----------------------------------------------------------------

# learn.microsoft.com/entra/identity-platform/reference-error-codes
_TOKEN_ERRORS: dict[str, tuple[str, str]] = {
    "7000215": (
        "the client secret is wrong",
        "Give the secret's value, not its id; it is shown once, when it is created.",
    ),
    "7000222": (
        "the client secret has expired",
        "Create a new secret for the application and connect the tenant again with it.",
    ),
    "700016": (
        "the application is not known in this tenant",
        "Check both ids; the application must be registered or consented in the tenant.",
    ),
    "90002": (
        "the tenant does not exist in this cloud",
        "Check the tenant id and the cloud.",
    ),
    "700027": (
        "the certificate is not one of the application's, or has expired",
        "Upload the certificate's public part to the application registration.",
    ),
    "70021": (
        "no federated identity credential matches the workload's token",
        "Compare issuer, subject and audience with the application's federated credentials.",
    ),
    "700213": (
        "no federated identity credential matches the workload's token",
        "Compare issuer, subject and audience with the application's federated credentials.",
    ),
    "53003": (
        "Conditional Access blocks the application",
        "Exclude it from the policy for workload identities, or let it sign in from here.",
    ),
    "7000112": ("the application is disabled", "Enable its enterprise application in the tenant."),
    "7000229": (
        "the application has no service principal in this tenant",
        "Grant it admin consent in the tenant.",
    ),
    "90013": ("the tenant id is not valid", "Check the tenant id."),
    "900023": ("the tenant id is not valid", "Check the tenant id."),
    "90014": ("the request lacks a field", "Check the connection's settings."),
    "70011": ("the scope is not valid", "Check the address of Graph."),
    "500011": (
        "the authority does not know this Graph",
        "Check the address of Graph and the cloud.",
    ),
}
_AADSTS = re.compile(r"AADSTS(\d+)")
_TRACE = re.compile(r"(?:Trace ID|trace_id)[\"':\s]*([0-9a-fA-F-]{36})")


def _is_network_failure(failure: BaseException) -> bool:
    cause: BaseException | None = failure
    while cause is not None:
        if isinstance(cause, azure_errors.ServiceRequestError | azure_errors.ServiceResponseError):
            return True
        cause = cause.__cause__
    return False


def _unreachable(
    failure: azure_errors.AzureError, connection: TenantConnection
) -> errors.Unavailable:
    authority = connection.endpoints.authority
    if "CERTIFICATE_VERIFY_FAILED" in str(failure):
        return errors.Unavailable(
            f"The token authority {authority} showed a TLS certificate that is not trusted.",
            hint="Give the certificate of the authority that signed it.",
            typed="--ca-file FILE",
        )
    return errors.Unavailable(
        f"The token authority {authority} could not be reached, or did not answer as one."
    )


def token_error(said: str, connection: TenantConnection) -> errors.Unauthenticated:
    """Return our error for the authority's refusal; only its code and trace id are carried over.

    Its text is left out: it may quote what was sent.
    """
    found = _AADSTS.search(said)
    code = found.group(1) if found else ""
    trace = _TRACE.search(said)
    what, hint = _TOKEN_ERRORS.get(code, ("", ""))
    reason = what or "the authority gave no token"
    if not code and "authority configuration" in said:
        reason = "the authority does not know the tenant"
        hint = "Check the tenant id, and the cloud or the authority."
    if not code and connection.credential is CredentialKind.MANAGED_IDENTITY:
        reason = "this machine offers no such managed identity"
        hint = "Assign the identity to the machine, or connect with another kind of credential."
    name = f" (AADSTS{code})" if code else ""
    return errors.Unauthenticated(
        f"No token for tenant {connection.tenant_id}: {reason}{name}.",
        graph_code=f"AADSTS{code}" if code else "",
        request_id=trace.group(1) if trace else "",
        hint=hint or None,
    )


def granted_roles(token: str) -> frozenset[str] | None:
    """Return the application permissions that a token says it carries, or ``None``.

    Tokens are opaque officially, so ``None`` (unreadable) must not stop anything. The signature
    is not checked: this is information, never a decision about access.
    """
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        payload = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        claims = orjson.loads(payload)
    except (binascii.Error, ValueError):
        return None
    if not isinstance(claims, dict):
        return None
    roles = claims.get("roles", [])
    if not isinstance(roles, list):
        return None
    return frozenset(role for role in roles if isinstance(role, str))


# --- the pipeline's token policy -------------------------------------------------------------


class TokenPolicy(BearerTokenCredentialPolicy[HttpRequest, HttpResponse]):
    """azure-core's bearer policy, with one more try after a 401 that is no CAE challenge.

    A claims challenge is answered by azure-core's own code. Any other 401 can be a token that
    ended early (a clock that is wrong, a session revoked): it is dropped and asked for anew, once.
    A 401 says that nothing was executed, so writes are sent again too. Tokens are kept by the
    credential alone, because azure-core's policy is not safe for threads.
    """

    def __init__(self, credential: TenantCredential, scope: str) -> None:
        super().__init__(credential, scope, enable_cae=True)
        self._tenant_credential = credential
        self._scope = scope

    def on_request(self, request: PipelineRequest[HttpRequest]) -> None:
        self.authorize_request(request, self._scope)

    def authorize_request(
        self, request: PipelineRequest[HttpRequest], *scopes: str, **kwargs: Any
    ) -> None:
        options = TokenRequestOptions(enable_cae=True)
        if kwargs.get("claims"):
            options["claims"] = kwargs["claims"]
        token = self._tenant_credential.get_token_info(*scopes, options=options)
        self._update_headers(request.http_request.headers, token.token)

    def send(
        self, request: PipelineRequest[HttpRequest]
    ) -> PipelineResponse[HttpRequest, HttpResponse]:
        response = super().send(request)
        if response.http_response.status_code == 401:
            sent = str(request.http_request.headers.get("Authorization", ""))
            self._tenant_credential.refresh(sent.removeprefix("Bearer "))
            self.authorize_request(request, self._scope)
            response = self.next.send(request)
        return response
