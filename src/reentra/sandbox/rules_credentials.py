"""What applications own beside their properties: secrets, federated credentials, extensions.

https://learn.microsoft.com/graph/api/application-addpassword
https://learn.microsoft.com/graph/api/application-post-federatedidentitycredentials
https://learn.microsoft.com/graph/api/application-post-extensionproperty
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from reentra.sandbox.clock import timestamp
from reentra.sandbox.errors import (
    bad_request,
    invalid_value,
    missing_value,
    not_found,
    same_value,
)
from reentra.sandbox.rules_shape import (
    NO_CONTENT,
    Asked,
    Route,
    WriteFunction,
    WriteResult,
    checked,
    object_body,
    require,
)
from reentra.sandbox.rules_values import check_value
from reentra.sandbox.tenant import Record, Tenant

FEDERATED_LIMIT: Final = 20
_EXTENDED: Final = (
    "User", "Group", "AdministrativeUnit", "Application", "Device", "Organization",
)  # fmt: skip
_EXTENSION_TYPES: Final = (
    "Binary", "Boolean", "DateTime", "Integer", "LargeInteger", "String",
)  # fmt: skip


def _add_password(type_: str) -> WriteFunction:
    def add_password(asked: Asked) -> WriteResult:
        tenant, params, body = asked.tenant, asked.params, asked.body
        record = require(tenant, type_, params["id"])
        given = object_body(body or {}).get("passwordCredential") or {}
        check_value("passwordCredential", given, "passwordCredential", "PasswordCredential")
        moment = tenant.clock.now()
        credential = {
            "customKeyIdentifier": None,
            "displayName": given.get("displayName"),
            "endDateTime": given.get("endDateTime") or timestamp(moment + timedelta(days=730)),
            "hint": "",
            "keyId": tenant.clock.new_guid(),
            "secretText": None,
            "startDateTime": given.get("startDateTime") or timestamp(moment),
        }
        secret = tenant.clock.new_secret()
        credential["hint"] = secret[:3]
        before = record.props.get("passwordCredentials") or []
        tenant.update(record, {"passwordCredentials": [*before, credential]})
        # The secret itself is told this once.
        return WriteResult(200, body={**credential, "secretText": secret})

    return add_password


def _remove_password(type_: str) -> WriteFunction:
    def remove_password(asked: Asked) -> WriteResult:
        tenant, params, body = asked.tenant, asked.params, asked.body
        record = require(tenant, type_, params["id"])
        key_id = object_body(body).get("keyId")
        before = record.props.get("passwordCredentials") or []
        after = [entry for entry in before if entry["keyId"] != key_id]
        if len(after) == len(before):
            raise bad_request(f"No password credential found with keyId '{key_id}'.")
        tenant.update(record, {"passwordCredentials": after})
        return NO_CONTENT

    return remove_password


# --- federated identity credentials ---


def _credential(tenant: Tenant, application: Record, child: str) -> Record:
    for id_ in tenant.targets("application.federatedIdentityCredentials", application.id):
        record = tenant.get("federatedIdentityCredential", id_)
        if record is not None and (record.id == child.lower() or record.props["name"] == child):
            return record
    raise not_found(child)


def _check_credential(
    tenant: Tenant, application: Record, after: Mapping[str, Any], own: Record | None
) -> None:
    if len(after["audiences"]) != 1:
        raise bad_request("A federated identity credential must have exactly one audience.")
    ids = tenant.targets("application.federatedIdentityCredentials", application.id)
    others = [
        record
        for id_ in ids
        if (record := tenant.get("federatedIdentityCredential", id_)) is not None
        and record is not own
    ]
    for other in others:
        if other.props["name"] == after["name"]:
            raise same_value("name")
        if (other.props["issuer"], other.props.get("subject")) == (
            after["issuer"],
            after.get("subject"),
        ):
            raise bad_request(
                "FederatedIdentityCredential with the same issuer and subject already exists on "
                "the app."
            )
    if own is None and len(others) >= FEDERATED_LIMIT:
        raise bad_request(
            f"The application may have no more than {FEDERATED_LIMIT} federated identity "
            "credentials."
        )


def create_credential(asked: Asked) -> WriteResult:
    """Add a federated identity credential to an application."""
    tenant, params, body = asked.tenant, asked.params, asked.body
    application = require(tenant, "application", params["id"])
    props = checked(tenant, "federatedIdentityCredential", object_body(body))
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{2,119}", props["name"]) is None:
        raise invalid_value("name", "FederatedIdentityCredential")
    _check_credential(tenant, application, props, None)
    record = tenant.create("federatedIdentityCredential", props)
    tenant.link("application.federatedIdentityCredentials", application.id, record.id)
    location = f"/applications/{application.id}/federatedIdentityCredentials/{record.id}"
    return WriteResult(201, record=record, location=location)


def update_credential(asked: Asked) -> WriteResult:
    """Change a federated identity credential, all but its name."""
    tenant, params, body = asked.tenant, asked.params, asked.body
    application = require(tenant, "application", params["id"])
    record = _credential(tenant, application, params["child"])
    props = checked(tenant, "federatedIdentityCredential", object_body(body), record)
    _check_credential(tenant, application, {**record.props, **props}, record)
    tenant.update(record, props)
    return NO_CONTENT


def delete_credential(asked: Asked) -> WriteResult:
    """Remove a federated identity credential for good."""
    tenant, params = asked.tenant, asked.params
    application = require(tenant, "application", params["id"])
    tenant.purge(_credential(tenant, application, params["child"]))
    return NO_CONTENT


# --- directory extensions ---


def create_extension(asked: Asked) -> WriteResult:
    """Define a directory extension; its full name carries the application's id."""
    tenant, params, body = asked.tenant, asked.params, asked.body
    application = require(tenant, "application", params["id"])
    props = checked(tenant, "extensionProperty", object_body(body))
    if props["dataType"] not in _EXTENSION_TYPES:
        raise invalid_value("dataType", "ExtensionProperty")
    if not props["targetObjects"] or not set(props["targetObjects"]) <= set(_EXTENDED):
        raise invalid_value("targetObjects", "ExtensionProperty")
    if re.fullmatch(r"[A-Za-z0-9_]{1,100}", props["name"]) is None:
        raise missing_value("name", "ExtensionProperty")
    props["name"] = f"extension_{application.props['appId'].replace('-', '')}_{props['name']}"
    for other in tenant.collection("extensionProperty").values():
        if other.props["name"].casefold() == props["name"].casefold():
            raise bad_request("An extension property exists with the name " + props["name"] + ".")
    props.setdefault("isMultiValued", False)
    props["appDisplayName"] = application.props["displayName"]
    props["isSyncedFromOnPremises"] = False
    record = tenant.create("extensionProperty", props)
    tenant.link("application.extensionProperties", application.id, record.id)
    location = f"/applications/{application.id}/extensionProperties/{record.id}"
    return WriteResult(201, record=record, location=location)


def delete_extension(asked: Asked) -> WriteResult:
    """Remove a directory extension for good; the values it held become unreadable."""
    tenant, params = asked.tenant, asked.params
    application = require(tenant, "application", params["id"])
    record = tenant.get("extensionProperty", params["child"])
    if record is None or not tenant.linked(
        "application.extensionProperties", application.id, record.id
    ):
        raise not_found(params["child"])
    tenant.purge(record)
    return NO_CONTENT


_FEDERATED: Final = "/applications/{id}/federatedIdentityCredentials"
_NAMED: Final = _FEDERATED + "(name='{child}')"
_EXTENSIONS: Final = "/applications/{id}/extensionProperties"

ROUTES: Final = (
    *(
        Route(
            "POST",
            f"/{collection}/{{id}}/{action}Password",
            f"{type_.lower()}-{action}password",
            make(type_),
        )
        for collection, type_ in (
            ("applications", "application"),
            ("servicePrincipals", "servicePrincipal"),
        )
        for action, make in (("add", _add_password), ("remove", _remove_password))
    ),
    Route("POST", _FEDERATED, "application-post-federatedidentitycredentials", create_credential),
    Route("PATCH", _NAMED, "federatedidentitycredential-update", update_credential),
    Route("DELETE", _NAMED, "federatedidentitycredential-delete", delete_credential),
    Route(
        "PATCH", _FEDERATED + "/{child}", "federatedidentitycredential-update", update_credential
    ),
    Route(
        "DELETE", _FEDERATED + "/{child}", "federatedidentitycredential-delete", delete_credential
    ),
    Route("POST", _EXTENSIONS, "application-post-extensionproperty", create_extension),
    Route("DELETE", _EXTENSIONS + "/{child}", "extensionproperty-delete", delete_extension),
)
