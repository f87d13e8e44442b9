"""Settings of the installation: second persons, the identity provider, and the emergency switch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litestar import Response

from reentra import errors
from reentra.access import EVERY_TENANT, Permission, Role
from reentra.api import oidc, people, tenants
from reentra.web import forms, naming
from reentra.web.routing import form_for, page
from reentra.web.visiting import Visit, Visiting

_ROLES = [role.value for role in Role]
_SPARE_RULES = 3  # empty lines to fill in; more appear once these are saved
_CLOUDS = {
    "global": "Global", "usgov": "US Government", "usgovdod": "US Government DoD",
    "china": "China (21Vianet)",
}  # fmt: skip


@page("/settings", Permission.SETTINGS)
def show_settings(visit: Visiting) -> Response[str]:
    """Show the settings of the installation."""
    return visit.show("settings.html", **_known(visit))


@page("/settings/approvals", Permission.SETTINGS, is_sensitive=True)
def show_approvals(visit: Visiting) -> Response[str]:
    """Show the form for what needs a second person."""
    return visit.show("settings-approvals.html", **_known(visit), is_asked=False)


@form_for("/settings/approvals", people.set_settings)
def set_approvals(visit: Visiting) -> Response[Any]:
    """Change what needs a second person."""
    try:
        most = None
        if visit.value("restores") == "true":
            most = forms.whole_number(visit.value("steps"), "The number of steps")
        data = people.Settings(
            approve_restores_over_steps=most,
            approve_disconnect=visit.value("disconnect") == "true",
            approve_retention=visit.value("retention") == "true",
            approve_keys=visit.value("keys") == "true",
        )
        visit.ask(people.set_settings, data=data)
    except errors.Error as failure:
        is_asked = isinstance(failure, errors.ApprovalNeeded)
        known = {**_known(visit), "is_asked": is_asked}
        return forms.again(visit, failure, "settings-approvals.html", **known)
    return visit.lead("/settings")


@page("/settings/provider", Permission.SETTINGS, is_sensitive=True)
def show_provider(visit: Visiting) -> Response[str]:
    """Show the form for the identity provider."""
    return visit.show("settings-provider.html", **_known(visit))


@form_for("/settings/provider", oidc.set_provider)
def set_provider(visit: Visiting) -> Response[Any]:
    """Set which directory vouches for people, and which groups or app roles have which role."""
    try:
        data = forms.body(
            oidc.NewProvider,
            directory=visit.value("directory").strip(),
            client_id=visit.value("client_id").strip(),
            client_secret=visit.value("client_secret"),
            cloud=visit.value("cloud"),
            rules=[rule for rule in _typed_rules(visit) if rule["value"]],
        )
        visit.ask(oidc.set_provider, data=data)
    except errors.Error as failure:
        known = _known(visit) | {"rules": _typed_rules(visit)}
        return forms.again(visit, failure, "settings-provider.html", **known)
    return visit.lead("/settings")


@page("/settings/emergency", Permission.SETTINGS, is_sensitive=True)
def show_emergency(visit: Visiting) -> Response[str]:
    """Say what the emergency switch does, before it is used."""
    return visit.show("settings-emergency.html", **_known(visit))


@form_for("/settings/emergency", oidc.emergency)
def set_emergency(visit: Visiting) -> Response[Any]:
    """Stop believing the identity provider at once, or believe it again."""
    try:
        visit.ask(oidc.emergency, data=oidc.Emergency(on=visit.value("on") == "true"))
    except errors.Error as failure:
        return forms.again(visit, failure, "settings-emergency.html", **_known(visit))
    return visit.lead("/settings")


def _typed_rules(visit: Visit) -> list[dict[str, str]]:
    columns = [visit.values(f"rule_{name}") for name in ("claim", "value", "role", "tenant")]
    return [
        {"claim": claim, "value": value.strip(), "role": role, "tenant": tenant or EVERY_TENANT}
        for claim, value, role, tenant in zip(*columns, strict=False)
    ]


def _groups(visit: Visit, provider: Mapping[str, Any]) -> dict[str, Any]:
    """Return the groups that rules name by id, where the provider's directory has a snapshot."""
    ids = [rule["value"].lower() for rule in provider["rules"] if rule["claim"] == "groups"]
    of = [
        item["name"]
        for item in visit.ask(tenants.list_tenants)["items"]
        if item["tenant_id"] == provider["directory"]
    ]
    for name in of[:1] if ids else ():
        try:
            found = naming.names_in(visit, name, ["latest"], ids)
        except errors.NotFound:  # it has no snapshot yet
            continue
        return {one: {**item, "tenant": name} for one, item in found.items()}
    return {}


def _known(visit: Visit) -> dict[str, Any]:
    found = visit.ask(oidc.show_provider)
    provider = found["provider"]
    spare = {"claim": "groups", "value": "", "role": "reader", "tenant": EVERY_TENANT}
    return {
        "approval": visit.ask(people.show_settings),
        "provider": provider,
        "groups": _groups(visit, provider) if provider else {},
        "callback": found["callback"],
        "rules": [*(provider["rules"] if provider else []), *[spare] * _SPARE_RULES],
        "roles": _ROLES,
        "clouds": _CLOUDS,
    }


ROUTES = (
    show_settings, show_approvals, set_approvals, show_provider, set_provider, show_emergency,
    set_emergency,
)  # fmt: skip
