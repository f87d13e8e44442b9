"""Creating, updating and inviting users.

https://learn.microsoft.com/graph/api/user-post-users
https://learn.microsoft.com/graph/api/user-update
https://learn.microsoft.com/graph/api/invitation-post
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from reentra.sandbox import rules_dynamic
from reentra.sandbox.errors import (
    Detail,
    bad_request,
    invalid_value,
    missing_value,
    same_value,
)
from reentra.sandbox.rules_privilege import refuse_sensitive
from reentra.sandbox.rules_references import ON_PREMISES, bound_ids, check_bind_count, connect
from reentra.sandbox.rules_shape import (
    NO_CONTENT,
    Asked,
    Route,
    WriteResult,
    checked,
    initial_domain,
    is_verified_domain,
    merged,
    now,
    object_body,
    referred,
    refuse_managed,
    require,
    security_identifier,
    text_length,
)
from reentra.sandbox.tenant import Record, Tenant

# What stays writable on a user that is mastered on premises.
CLOUD_ONLY: Final = frozenset(
    ("usageLocation", "passwordPolicies", "customSecurityAttributes", "ageGroup",
     "consentProvidedForMinor")
)  # fmt: skip
PASSWORD_MINIMUM: Final = 8
PASSWORD_MAXIMUM: Final = 256
_LENGTHS: Final = {
    "displayName": 256, "givenName": 64, "surname": 64, "jobTitle": 128, "department": 64,
    "city": 128, "country": 128, "state": 128, "streetAddress": 1024, "postalCode": 40,
    "companyName": 64, "employeeId": 16, "officeLocation": 128, "mobilePhone": 64,
}  # fmt: skip
_PRINCIPAL_NAME: Final = re.compile(r"[A-Za-z0-9'.\-_!#^~]+@[A-Za-z0-9.\-]+")
_NICKNAME: Final = re.compile(r"[^\s@()\\\[\]\";:<>,]{1,64}")
_ADDRESS: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_CLASSES: Final = (r"[a-z]", r"[A-Z]", r"[0-9]", r"[^A-Za-z0-9]")


def check_principal_name(tenant: Tenant, name: Any, own: Record | None = None) -> None:
    """Refuse a userPrincipalName that is malformed, on a foreign domain, or taken."""
    if not isinstance(name, str) or _PRINCIPAL_NAME.fullmatch(name) is None:
        raise invalid_value("userPrincipalName", "User")
    if not is_verified_domain(tenant, name.rpartition("@")[2]):
        text = (
            "The domain portion of the userPrincipalName property is invalid. You must use one of "
            "the verified domain names in your organization."
        )
        raise bad_request(text, Detail("InvalidValue", text, "userPrincipalName"))
    holder = tenant.user_by_upn(name)
    if holder is not None and holder is not own:
        raise same_value("userPrincipalName")


def check_password(password: Any) -> None:
    """Refuse a password that breaks the policy: 8 to 256 characters, three of four classes."""
    if (
        not isinstance(password, str)
        or not PASSWORD_MINIMUM <= len(password) <= PASSWORD_MAXIMUM
        or sum(re.search(one, password) is not None for one in _CLASSES) < 3
    ):
        text = (
            "The specified password does not comply with password complexity requirements. "
            "Please provide a different password."
        )
        raise bad_request(text, Detail("InvalidValue", text, "passwordProfile/password"))


def check_address_free(tenant: Tenant, address: str, own: Record | None, name: str) -> None:
    """Refuse a mail address that another user or group holds."""
    holder = tenant.holder_of_address("smtp:" + address)
    if holder is not None and holder is not own:
        raise same_value(name)


def with_primary(addresses: Any, mail: str | None) -> list[str]:
    """Return proxy addresses with ``mail`` as the primary one and the former primary kept."""
    others = [
        "smtp:" + address[5:] if address.startswith("SMTP:") else address
        for address in addresses or ()
        if not mail or address.casefold() != "smtp:" + mail.casefold()
    ]
    return ["SMTP:" + mail, *others] if mail else others


def _check_user(tenant: Tenant, props: Mapping[str, Any], own: Record | None) -> None:
    text_length(props, "User", _LENGTHS)
    for name in ("displayName", "accountEnabled", "userPrincipalName", "mailNickname"):
        if name in props and props[name] is None:
            raise invalid_value(name, "User")
    if "userPrincipalName" in props:
        check_principal_name(tenant, props["userPrincipalName"], own)
    if "mailNickname" in props and _NICKNAME.fullmatch(props["mailNickname"]) is None:
        raise invalid_value("mailNickname", "User")
    mail = props.get("mail")
    if mail is not None:
        if _ADDRESS.fullmatch(mail) is None:
            raise invalid_value("mail", "User")
        check_address_free(tenant, mail, own, "mail")
    location = props.get("usageLocation")
    if location is not None and re.fullmatch(r"[A-Z]{2}", location) is None:
        raise invalid_value("usageLocation", "User")
    if props.get("userType") not in (None, "Member", "Guest"):
        raise invalid_value("userType", "User")
    if props.get("ageGroup") not in (None, "Minor", "NotAdult", "Adult"):
        raise invalid_value("ageGroup", "User")
    if props.get("consentProvidedForMinor") not in (None, "Granted", "Denied", "NotRequired"):
        raise invalid_value("consentProvidedForMinor", "User")
    policies = props.get("passwordPolicies")
    if policies is not None and not {word.strip() for word in policies.split(",")} <= {
        "None", "DisablePasswordExpiration", "DisableStrongPassword",
    }:  # fmt: skip
        raise invalid_value("passwordPolicies", "User")
    if len(props.get("businessPhones") or ()) > 1:
        raise invalid_value("businessPhones", "User")
    if len(props.get("otherMails") or ()) > 250 or not all(
        _ADDRESS.fullmatch(address) for address in props.get("otherMails") or ()
    ):
        raise invalid_value("otherMails", "User")


def _stored_profile(profile: Mapping[str, Any]) -> dict[str, Any]:
    # The password itself is never kept: Graph always reads it back as null.
    return {
        "password": None,
        "forceChangePasswordNextSignIn": bool(profile.get("forceChangePasswordNextSignIn", True)),
        "forceChangePasswordNextSignInWithMfa": bool(
            profile.get("forceChangePasswordNextSignInWithMfa", False)
        ),
    }


def _principal_identity(tenant: Tenant, name: str) -> dict[str, str]:
    return {
        "signInType": "userPrincipalName",
        "issuer": initial_domain(tenant),
        "issuerAssignedId": name,
    }


def create_user(asked: Asked) -> WriteResult:
    """Create a user of this tenant."""
    tenant, body, context = asked.tenant, asked.body, asked.context
    body = object_body(body)
    props = checked(tenant, "user", body, binds=("manager", "sponsors"))
    _check_user(tenant, props, None)
    profile = props["passwordProfile"]
    if profile.get("password") is None:
        raise missing_value("passwordProfile/password", "User")
    check_password(profile["password"])
    managers = bound_ids(body, "manager", context)
    sponsors = bound_ids(body, "sponsors", context)
    check_bind_count(managers, sponsors)
    links = [("user.manager", referred(tenant, id_, context, "user")) for id_ in managers]
    links += [
        ("user.sponsors", referred(tenant, id_, context, "user", "group")) for id_ in sponsors
    ]

    moment = now(tenant)
    name, mail = props["userPrincipalName"], props.get("mail")
    identities = [
        identity
        for identity in props.get("identities") or ()
        if identity.get("signInType") != "userPrincipalName"
    ]
    user_id = tenant.clock.new_guid()
    record = tenant.create(
        "user",
        {
            "businessPhones": [],
            "userType": "Member",
            **props,
            "passwordProfile": _stored_profile(profile),
            "createdDateTime": moment,
            "lastPasswordChangeDateTime": moment,
            "signInSessionsValidFromDateTime": moment,
            "proxyAddresses": ["SMTP:" + mail] if mail else [],
            "identities": [*identities, _principal_identity(tenant, name)],
            "securityIdentifier": security_identifier(user_id),
        },
        user_id,
    )
    for nav, target in links:
        connect(tenant, nav, record, target)
    rules_dynamic.settle_member(tenant, record)
    return WriteResult(201, record=record, location=f"/users/{record.id}")


def update_user(asked: Asked) -> WriteResult:
    """Change properties of a user."""
    tenant, params, body = asked.tenant, asked.params, asked.body
    user = require(tenant, "user", params["id"])
    refuse_managed(user)
    props = checked(tenant, "user", object_body(body), user)
    if user.props.get("onPremisesSyncEnabled"):
        refused = [
            name for name in props if name not in CLOUD_ONLY and not name.startswith("extension_")
        ]
        if refused:
            raise bad_request(
                ON_PREMISES, *(Detail("InvalidValue", ON_PREMISES, name) for name in refused)
            )
    refuse_sensitive(tenant, user, asked.context, props)
    _check_user(tenant, props, user)
    changes = merged("user", user.props, props)
    profile = props.get("passwordProfile")
    if profile is not None:
        if profile.get("password") is not None:
            check_password(profile["password"])
            changes["lastPasswordChangeDateTime"] = now(tenant)
        changes["passwordProfile"] = _stored_profile(
            {**(user.props.get("passwordProfile") or {}), **profile}
        )
    if "mail" in props and props["mail"] != user.props.get("mail"):
        changes["proxyAddresses"] = with_primary(user.props.get("proxyAddresses"), props["mail"])
    if "userPrincipalName" in props or "identities" in props:
        source = props.get("identities", user.props.get("identities")) or ()
        name = props.get("userPrincipalName", user.props["userPrincipalName"])
        changes["identities"] = [
            *(one for one in source if one.get("signInType") != "userPrincipalName"),
            _principal_identity(tenant, name),
        ]
    tenant.update(user, changes)
    rules_dynamic.settle_member(tenant, user)
    return NO_CONTENT


def invite(asked: Asked) -> WriteResult:
    """Invite an external person, which makes a guest user, or finds the one there is."""
    tenant, body = asked.tenant, asked.body
    body = object_body(body)
    props = checked(tenant, "invitation", body, set_aside=frozenset(("invitedUser",)))
    address = props["invitedUserEmailAddress"]
    if _ADDRESS.fullmatch(address) is None:
        raise invalid_value("invitedUserEmailAddress", "Invitation")
    kind = props.get("invitedUserType") or "Guest"
    if kind not in ("Guest", "Member"):
        raise invalid_value("invitedUserType", "Invitation")
    user = next(
        (
            known
            for known in (tenant.holder_of_address("smtp:" + address),)
            if known is not None and known.type == "user"
        ),
        None,
    )
    if is_verified_domain(tenant, address.rpartition("@")[2]):
        raise bad_request(
            "The invited user already exists in the directory as object ID: "
            f"{user.id if user else 'unknown'}. They can use that account to sign in."
            if user
            else "Cannot invite a user whose address is on a verified domain of this directory."
        )
    if user is None:
        moment, domain = now(tenant), initial_domain(tenant)
        name = address.replace("@", "_") + "#EXT#@" + domain
        if tenant.user_by_upn(name) is not None:
            raise same_value("userPrincipalName")
        user_id = tenant.clock.new_guid()
        user = tenant.create(
            "user",
            {
                "accountEnabled": True,
                "businessPhones": [],
                "displayName": props.get("invitedUserDisplayName") or address.partition("@")[0],
                "mail": address,
                "mailNickname": name.partition("@")[0],
                "userPrincipalName": name,
                "userType": kind,
                "otherMails": [address],
                "proxyAddresses": ["SMTP:" + address],
                "creationType": "Invitation",
                "createdDateTime": moment,
                "externalUserState": "PendingAcceptance",
                "externalUserStateChangeDateTime": moment,
                "signInSessionsValidFromDateTime": moment,
                "identities": [_principal_identity(tenant, name)],
                "securityIdentifier": security_identifier(user_id),
            },
            user_id,
        )
        rules_dynamic.settle_member(tenant, user)
    invitation_id = tenant.clock.new_guid()
    redeem = (
        "https://login.microsoftonline.com/redeem?rd=https%3a%2f%2finvitations.microsoft.com"
        f"%2fredeem%2f%3ftenant%3d{tenant.tenant_id}%26user%3d{user.id}%26ticket%3d{invitation_id}"
    )
    answer = {
        "id": invitation_id,
        "inviteRedeemUrl": redeem,
        "invitedUserDisplayName": props.get("invitedUserDisplayName"),
        "invitedUserType": kind,
        "invitedUserEmailAddress": address,
        "sendInvitationMessage": bool(props.get("sendInvitationMessage", False)),
        "resetRedemption": bool(props.get("resetRedemption", False)),
        "inviteRedirectUrl": props["inviteRedirectUrl"],
        "status": "PendingAcceptance",
        "invitedUserMessageInfo": props.get("invitedUserMessageInfo"),
        "invitedUser": {"id": user.id},
    }
    return WriteResult(201, body=answer, location=f"/invitations/{invitation_id}")


ROUTES: Final = (
    Route("POST", "/users", "user-post-users", create_user),
    Route("PATCH", "/users/{id}", "user-update", update_user),
    Route("POST", "/invitations", "invitation-post", invite),
)
