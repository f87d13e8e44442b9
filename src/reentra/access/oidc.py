"""Signing in with Microsoft Entra ID: OpenID Connect, authorization code with PKCE.

The provider says who somebody is; what they may do follows from their groups or app roles, by rules
of this installation. Nobody without a rule comes in. The only module here that uses a network.
Sources: openid.net/specs/openid-connect-core-1_0.html and
learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import jwt
import orjson
import requests

from reentra import clock as clocks
from reentra import errors
from reentra.access.audit import Actor, Via
from reentra.access.people import People, Person
from reentra.access.roles import Role, parse_role
from reentra.access.vault import Vault

FLOW_SECONDS = 600
_SECRET_PURPOSE = "oidc:client_secret"
_FLOW_PURPOSE = "oidc:flow"
_TIMEOUT_SECONDS = 15
_KNOWN_SECONDS = 300
_LEEWAY_SECONDS = 120
_SCOPE = "openid profile"
_CLAIMS = ("groups", "roles")
# Anybody can make this server ask the provider; one that is slow must not hold every thread.
_AT_ONCE = threading.BoundedSemaphore(4)
_LONGEST_QUEUE_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Rule:
    """Who has ``value`` in a claim (``groups`` or ``roles``) has this role."""

    claim: str
    value: str
    role: Role
    tenant: str

    def to_json(self) -> dict[str, str]:
        return {
            "claim": self.claim,
            "value": self.value,
            "role": self.role.value,
            "tenant": self.tenant,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, str]) -> Rule:
        """Read a rule.

        Raises: ``UsageError``.
        """
        if value["claim"] not in _CLAIMS or not value["value"]:
            raise errors.UsageError(
                f"A rule looks at one of {' and '.join(_CLAIMS)}, and for a value in it."
            )
        return cls(value["claim"], value["value"], parse_role(value["role"]), value["tenant"])


@dataclass(frozen=True, slots=True)
class Provider:
    """The directory that vouches for people. Its secret is sealed, and left out of ``repr``."""

    authority: str  # https://login.microsoftonline.com
    directory: str  # the GUID of the directory that people sign in to
    client_id: str
    sealed_secret: str
    rules: tuple[Rule, ...]
    is_enabled: bool = True
    ca_file: str = ""

    def __repr__(self) -> str:
        return f"Provider({self.authority}/{self.directory}, client {self.client_id})"

    def to_json(self) -> dict[str, Any]:
        return {
            "authority": self.authority,
            "directory": self.directory,
            "client_id": self.client_id,
            "sealed_secret": self.sealed_secret,
            "rules": [rule.to_json() for rule in self.rules],
            "enabled": self.is_enabled,
            "ca_file": self.ca_file,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Provider:
        return cls(
            value["authority"],
            value["directory"],
            value["client_id"],
            value["sealed_secret"],
            tuple(Rule.from_json(item) for item in value["rules"]),
            value["enabled"],
            value["ca_file"],
        )


def seal_secret(vault: Vault, secret: str) -> str:
    """Return a client secret as it is kept."""
    return vault.seal(_SECRET_PURPOSE, secret)


class OidcFlow:
    """One provider, and the two halves of a sign-in: away to it, and back."""

    def __init__(
        self, provider: Provider, vault: Vault, people: People, clock: clocks.Clock
    ) -> None:
        self._provider = provider
        self._vault = vault
        self._people = people
        self._clock = clock
        self._known: dict[str, tuple[float, dict[str, Any]]] = {}

    def begin(self, callback: str, *, is_fresh: bool = False) -> tuple[str, str]:
        """Return where to send the browser, and the sealed cookie that it brings back.

        ``is_fresh`` asks the provider to let them show who they are again, session or not.
        """
        found = self._discovery()
        state, nonce, verifier = (_random() for _ in range(3))
        flow = {
            "state": state,
            "nonce": nonce,
            "verifier": verifier,
            "until": self._clock.now().timestamp() + FLOW_SECONDS,
        }
        challenge = hashlib.sha256(verifier.encode()).digest()
        prompt = {"prompt": "login"} if is_fresh else {}
        query = urlencode(
            {
                **prompt,
                "client_id": self._provider.client_id,
                "response_type": "code",
                "response_mode": "query",
                "redirect_uri": callback,
                "scope": _SCOPE,
                "state": state,
                "nonce": nonce,
                "code_challenge": base64.urlsafe_b64encode(challenge).decode().rstrip("="),
                "code_challenge_method": "S256",
            }
        )
        cookie = self._vault.seal(_FLOW_PURPOSE, orjson.dumps(flow).decode())
        return f"{found['authorization_endpoint']}?{query}", cookie

    def finish(
        self, cookie: str, state: str, code: str, callback: str, address: str
    ) -> tuple[Person, dt.datetime]:
        """Return who comes back, with the roles that their claims give them.

        And when they showed the provider who they are; where it does not tell, now.
        Raises: ``NotSignedIn`` for whatever does not fit; ``NotAllowed`` without a rule;
        ``Refused`` for one who is disabled; ``Unavailable`` when the provider cannot be reached.
        """
        flow = self._flow(cookie)
        if not hmac.compare_digest(str(flow["state"]).encode(), state.encode()) or not code:
            raise _misfit("The answer is not for this browser's question")
        found = self._discovery()
        answer = self._ask(
            "POST",
            found["token_endpoint"],
            {
                "grant_type": "authorization_code",
                "client_id": self._provider.client_id,
                "client_secret": self._vault.open(_SECRET_PURPOSE, self._provider.sealed_secret),
                "code": code,
                "redirect_uri": callback,
                "code_verifier": flow["verifier"],
                "scope": _SCOPE,
            },
        )
        claims = self._verified(str(answer.get("id_token", "")), found)
        if not hmac.compare_digest(
            str(claims.get("nonce", "")).encode(), str(flow["nonce"]).encode()
        ):
            raise _misfit("The token is not for this sign-in")
        grants = self._grants(claims)
        name = str(claims.get("preferred_username") or claims.get("oid") or claims["sub"])
        if not grants:
            raise errors.NotAllowed(
                f"{name} has no role here.",
                hint="An administrator maps a group or an app role to a role.",
            )
        external = f"{claims['iss']}|{claims.get('oid') or claims['sub']}"
        actor = Actor(Via.NOBODY, name, address=address)
        person = self._people.admit_external(external, name, grants, actor)
        return person, self._proved_at(claims)

    def _proved_at(self, claims: Mapping[str, Any]) -> dt.datetime:
        """Return when they signed in there (``auth_time``, which Entra sends if told to).

        Source: learn.microsoft.com/entra/identity-platform/optional-claims-reference.
        """
        told, now = claims.get("auth_time"), self._clock.now()
        if isinstance(told, int) and 0 < told < now.timestamp():
            return dt.datetime.fromtimestamp(told, dt.UTC)
        return now

    def _flow(self, cookie: str) -> dict[str, Any]:
        try:
            flow: dict[str, Any] = orjson.loads(self._vault.open(_FLOW_PURPOSE, cookie))
        except (errors.ConfigurationError, ValueError):
            raise _misfit("This sign-in was not begun in this browser") from None
        if flow["until"] < self._clock.now().timestamp():
            raise _misfit("This sign-in took too long")
        return flow

    def _discovery(self) -> dict[str, str]:
        base = f"{self._provider.authority}/{self._provider.directory}/v2.0"
        found = self._looked_up(f"{base}/.well-known/openid-configuration")
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            # Whoever can change this document must not be sent the secret, or vouch for people.
            if _origin(str(found.get(name, ""))) != _origin(self._provider.authority):
                raise errors.UntrustedLink(f"The identity provider's {name} is on another host.")
        if found.get("issuer") != base:
            raise errors.UntrustedLink("The identity provider names itself differently.")
        return {name: str(value) for name, value in found.items() if isinstance(value, str)}

    def _verified(self, token: str, found: Mapping[str, str]) -> dict[str, Any]:
        try:
            key_id = jwt.get_unverified_header(token).get("kid")
            keys = self._looked_up(found["jwks_uri"]).get("keys", [])
            if all(k.get("kid") != key_id for k in keys):
                self._known.pop(found["jwks_uri"], None)  # signed with a key that is new
                keys = self._looked_up(found["jwks_uri"]).get("keys", [])
            key = next(jwt.PyJWK(k, "RS256") for k in keys if k.get("kid") == key_id)
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=["RS256"],
                audience=self._provider.client_id,
                issuer=found["issuer"],
                leeway=_LEEWAY_SECONDS,
                options={"require": ["exp", "iat", "iss", "aud", "sub"]},
            )
        except (jwt.PyJWTError, StopIteration) as failure:
            raise _misfit(f"The token is not good ({type(failure).__name__})") from failure
        if str(claims.get("tid", "")).lower() != self._provider.directory.lower():
            raise _misfit("The token is of another directory")
        return claims

    def _grants(self, claims: Mapping[str, Any]) -> dict[str, Role]:
        grants: dict[str, Role] = {}
        for rule in self._provider.rules:
            held = claims.get(rule.claim)
            if isinstance(held, list) and rule.value in held:
                known = grants.get(rule.tenant, rule.role)
                grants[rule.tenant] = max(known, rule.role, key=tuple(Role).index)
        return grants

    def _looked_up(self, url: str) -> dict[str, Any]:
        """Return a document of the provider, asked for once in a while."""
        now = self._clock.monotonic_seconds()
        known = self._known.get(url)
        if known is None or now - known[0] > _KNOWN_SECONDS:
            known = self._known[url] = (now, self._ask("GET", url))
        return known[1]

    def _ask(self, method: str, url: str, form: dict[str, str] | None = None) -> dict[str, Any]:
        if not _AT_ONCE.acquire(timeout=_LONGEST_QUEUE_SECONDS):
            raise errors.Unavailable(
                "Too many people sign in with the identity provider at once.", hint="Try again."
            )
        try:
            answer = requests.request(
                method,
                url,
                data=form,
                timeout=_TIMEOUT_SECONDS,
                allow_redirects=False,
                verify=self._provider.ca_file or True,
            )
            document = orjson.loads(answer.content)
        except (requests.RequestException, orjson.JSONDecodeError) as failure:
            raise errors.Unavailable(
                "The identity provider cannot be reached.",
                hint="Sign in with a local account meanwhile.",
            ) from failure
        finally:
            _AT_ONCE.release()
        if answer.status_code >= 500:
            raise errors.Unavailable("The identity provider fails.")
        if answer.status_code != 200 or not isinstance(document, dict):
            # Only the error's name: the rest may repeat what was sent.
            told = document.get("error", "") if isinstance(document, dict) else ""
            raise _misfit(f"The identity provider refused it ({told})")
        return document


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def _misfit(what: str) -> errors.NotSignedIn:
    return errors.NotSignedIn(f"{what}.", hint="Begin to sign in again.")


def _random() -> str:
    return base64.urlsafe_b64encode(clocks.new_secret(32)).decode().rstrip("=")
