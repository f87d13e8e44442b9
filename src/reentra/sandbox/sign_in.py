"""People signing in with their browser: authorization code with PKCE, and the id token.

A user of the tenant is believed by the name that is typed in or hinted at: there are no passwords.
https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow
https://learn.microsoft.com/entra/identity-platform/id-token-claims-reference
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
import secrets
import time
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reentra.sandbox.assertions import TokenRefused
from reentra.sandbox.http import Request, Response
from reentra.sandbox.tenant import Tenant

CODE_LIFETIME_SECONDS = 600


@dataclass(frozen=True, slots=True)
class _Code:
    client_id: str
    redirect_uri: str
    challenge: str
    nonce: str
    user_id: str
    dies_at_monotonic: float


class SignIns:
    """The codes that were given out and not redeemed yet."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self._codes: dict[str, _Code] = {}

    def authorize(self, request: Request, redirect_uris: Mapping[str, list[str]]) -> Response:
        """Answer the authorize endpoint: ask who it is, then send them back with a code.

        ``redirect_uris`` are those that each client registered; nobody is sent elsewhere.

        Raises:
            TokenRefused: shown as a page, for whatever must not be redirected.
        """
        fields = request.query()
        if request.method == "POST":
            fields |= dict(urllib.parse.parse_qsl(request.body.decode("utf-8", "replace")))
        client_id = fields.get("client_id", "").lower()
        if client_id not in redirect_uris:
            raise TokenRefused(
                400,
                "unauthorized_client",
                700016,
                f"Application with identifier '{client_id}' was not found in the directory "
                f"'{self._tenant.tenant_id}'.",
            )
        back = fields.get("redirect_uri", "")
        if back not in redirect_uris[client_id]:
            raise TokenRefused(
                400,
                "invalid_request",
                50011,
                f"The redirect URI '{back}' specified in the request does not match the redirect "
                f"URIs configured for the application '{client_id}'.",
            )
        state = fields.get("state", "")
        if fields.get("response_type") != "code":
            return _back(back, state, error="unsupported_response_type")
        if "openid" not in fields.get("scope", "").split():
            return _back(back, state, error="invalid_scope")
        if fields.get("code_challenge") and fields.get("code_challenge_method") != "S256":
            return _back(back, state, error="invalid_request")
        name = fields.get("login_hint", "")
        user = self._tenant.user_by_upn(name) if name else None
        if user is None or user.props.get("accountEnabled") is False:
            return _form(fields, "" if not name else "This username may be incorrect.")
        code = secrets.token_urlsafe(32)
        self._codes[code] = _Code(
            client_id,
            back,
            fields.get("code_challenge", ""),
            fields.get("nonce", ""),
            user.id,
            time.monotonic() + CODE_LIFETIME_SECONDS,
        )
        return _back(back, state, code=code)

    def redeem(self, fields: Mapping[str, str], client_id: str) -> tuple[str, str]:
        """Return the user's id and the nonce of a code, which is then used up.

        Raises:
            TokenRefused: with the code Entra gives.
        """
        code = self._codes.pop(fields.get("code", ""), None)
        if code is None:
            raise _invalid_grant(
                54005, "OAuth2 Authorization code was already redeemed, please retry with a new "
                "valid code or use an existing refresh token.",
            )  # fmt: skip
        if code.dies_at_monotonic <= time.monotonic():
            raise _invalid_grant(70008, "The provided authorization code has expired.")
        if code.client_id != client_id.lower() or code.redirect_uri != fields.get("redirect_uri"):
            raise _invalid_grant(
                500112, "The reply address does not match the reply address provided when "
                "requesting Authorization code.",
            )  # fmt: skip
        verifier = fields.get("code_verifier", "")
        if code.challenge:
            digest = hashlib.sha256(verifier.encode()).digest()
            made = base64.urlsafe_b64encode(digest).decode().rstrip("=")
            if not hmac.compare_digest(made, code.challenge):
                raise _invalid_grant(
                    501481, "The Code_Verifier does not match the code_challenge supplied in the "
                    "authorization request.",
                )  # fmt: skip
        return code.user_id, code.nonce

    def claims(self, user_id: str, client_service_principal_id: str) -> dict[str, Any]:
        """Return what an id token says of a user: names, groups and app roles."""
        user = self._tenant.get("user", user_id)
        if user is None:
            raise _invalid_grant(50034, "The user account does not exist in the directory.")
        claims: dict[str, Any] = {
            "oid": user.id,
            "sub": hashlib.sha256(f"{user.id}{client_service_principal_id}".encode()).hexdigest(),
            "name": user.props.get("displayName"),
            "preferred_username": user.props.get("userPrincipalName"),
            "groups": self._groups_of(user_id),
        }
        roles = self._roles_of({user_id, *claims["groups"]}, client_service_principal_id)
        if roles:
            claims["roles"] = roles
        return claims

    def _groups_of(self, user_id: str) -> list[str]:
        found: dict[str, None] = {}
        waiting = [user_id]
        while waiting:
            for source in self._tenant.sources("group.members", waiting.pop()):
                if source not in found and self._tenant.get("group", source) is not None:
                    found[source] = None
                    waiting.append(source)
        return sorted(found)

    def _roles_of(self, principals: set[str], service_principal_id: str) -> list[str]:
        service_principal = self._tenant.get("servicePrincipal", service_principal_id)
        named = {
            role["id"]: role["value"]
            for role in (service_principal.props.get("appRoles") or [] if service_principal else [])
            if role.get("value")
        }
        return sorted(
            {
                named[record.props["appRoleId"]]
                for record in self._tenant.collection("appRoleAssignment").values()
                if record.props.get("resourceId") == service_principal_id
                and record.props.get("principalId") in principals
                and record.props.get("appRoleId") in named
            }
        )


def _invalid_grant(code: int, text: str) -> TokenRefused:
    return TokenRefused(400, "invalid_grant", code, text)


def _back(address: str, state: str, **fields: str) -> Response:
    query = urllib.parse.urlencode({**fields, **({"state": state} if state else {})})
    joint = "&" if "?" in address else "?"
    return Response(302, {"Location": f"{address}{joint}{query}", "Cache-Control": "no-store"}, b"")


def _form(fields: Mapping[str, str], problem: str) -> Response:
    hidden = "".join(
        f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
        for name, value in fields.items()
        if name != "login_hint"
    )
    page = (
        "<!doctype html><title>Sign in to your account</title><h1>Sign in</h1>"
        f'<form method="post"><p role="alert">{html.escape(problem)}</p>{hidden}'
        '<label>Username <input name="login_hint" autofocus></label> <button>Next</button></form>'
    )
    headers = {"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store"}
    return Response(200, headers, page.encode())
