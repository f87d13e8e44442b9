"""Every place where Graph embeds an id is known, and is rewritten when what it names is new."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from reentra.directory.kinds import KINDS, IdForm, Reference
from reentra.directory.references import references_in, rewritten
from reentra.restore.draft import PolicyState, RestoreOptions
from reentra.restore.report import RestoreStatus
from tests.restore.support import World

OLD = "11111111-1111-4111-8111-111111111111"
NEW = "22222222-2222-4222-8222-222222222222"
PLACES = [(kind, reference) for kind, row in KINDS.items() for reference in row.references]
TEXTS = {
    IdForm.OBJECT_ID: OLD,
    IdForm.APP_ID: OLD,
    IdForm.SCOPE: f"/administrativeUnits/{OLD}",
    IdForm.APP_URI: f"api://{OLD}/read",
    IdForm.TEXT: f'Direct Reports for "{OLD}" extension_{OLD.replace("-", "")}_x',
    IdForm.EXTENSION: f"extension_{OLD.replace('-', '')}_x",
}
# The holders of the reference map, and where each of them names what else.
KNOWN = {
    "conditionalAccessPolicy": {
        "conditions/users/includeUsers/*", "conditions/users/excludeUsers/*",
        "conditions/users/includeGroups/*", "conditions/users/excludeGroups/*",
        "conditions/users/includeRoles/*", "conditions/users/excludeRoles/*",
        "conditions/applications/includeApplications/*",
        "conditions/applications/excludeApplications/*",
        "conditions/clientApplications/includeServicePrincipals/*",
        "conditions/clientApplications/excludeServicePrincipals/*",
        "conditions/locations/includeLocations/*", "conditions/locations/excludeLocations/*",
        "grantControls/authenticationStrength/id",
    },
    "authenticationMethodsPolicy": {
        "registrationEnforcement/authenticationMethodsRegistrationCampaign/includeTargets/*/id",
        "registrationEnforcement/authenticationMethodsRegistrationCampaign/excludeTargets/*/id",
        "reportSuspiciousActivitySettings/includeTarget/id",
        "systemCredentialPreferences/includeTargets/*/id",
        "systemCredentialPreferences/excludeTargets/*/id",
    },
    "authenticationMethodConfiguration": {
        "includeTargets/*/id", "excludeTargets/*/id", "featureSettings/*/includeTarget/id",
        "featureSettings/*/excludeTarget/id",
    },
    "crossTenantAccessPolicyConfigurationPartner": {
        "b2bCollaborationInbound/usersAndGroups/targets/*/target",
        "b2bCollaborationOutbound/usersAndGroups/targets/*/target",
        "b2bDirectConnectInbound/applications/targets/*/target",
        "b2bDirectConnectOutbound/applications/targets/*/target",
        "tenantRestrictions/usersAndGroups/targets/*/target",
    },
    "adminConsentRequestPolicy": {"reviewers/*/query"},
    "unifiedRoleAssignment": {"principalId", "roleDefinitionId", "directoryScopeId"},
    "group": {"membershipRule"},
    "administrativeUnit": {"membershipRule"},
    "application": {
        "identifierUris/*", "requiredResourceAccess/*/resourceAppId",
        "api/preAuthorizedApplications/*/appId", "api/knownClientApplications/*",
        "optionalClaims/*/*/name",
    },
    "federatedIdentityCredential": {"applicationId", "subject"},
    "extensionProperty": {"applicationId", "name"},
    "appRoleAssignment": {"principalId", "resourceId"},
    "oAuth2PermissionGrant": {"clientId", "resourceId", "principalId"},
    "claimsMappingPolicy": {"definition/*"},
    "groupSetting": {"values/*/value"},
    "deviceRegistrationPolicy": {"azureADJoin/allowedToJoin/groups/*"},
}  # fmt: skip


def body_with(pointer: list[str], text: str) -> Any:
    """Return a value that holds ``text`` at the pointer."""
    if not pointer:
        return text
    inner = body_with(pointer[1:], text)
    return [inner] if pointer[0] == "*" else {pointer[0]: inner}


@pytest.mark.parametrize(("kind", "reference"), PLACES, ids=lambda value: getattr(
    value, "pointer", value))  # fmt: skip
def test_every_place_of_the_table_is_read_and_rewritten(kind: str, reference: Reference) -> None:
    body = body_with(reference.pointer.split("/"), TEXTS[reference.form])
    assert OLD in {identifier for _, identifier in references_in(kind, body)}
    changed = orjson.dumps(
        rewritten(kind, body, lambda _form, one: NEW if one == OLD else None)
    ).decode()
    assert OLD not in changed
    assert OLD.replace("-", "") not in changed
    assert NEW in changed or NEW.replace("-", "") in changed


def test_the_table_knows_every_place_where_graph_embeds_an_id() -> None:
    for kind, pointers in KNOWN.items():
        assert pointers <= {one.pointer for one in KINDS[kind].references}, kind


def test_nothing_names_a_dead_id_once_everything_is_restored(world: World) -> None:
    users, groups = world.ids("user"), world.ids("group")
    (portal,) = [
        item
        for item in world.live.list_objects("application")
        if item.get("displayName") == "Expense Portal"
    ]
    principal = world.ids("servicePrincipal")["Expense Portal"]
    name = f"extension_{str(portal.get('appId')).replace('-', '')}_costCentre"
    world.client.patch(f"/users/{users['Ada Berg']}", {name: "4711"})
    world.client.post(
        "/groups",
        {
            "displayName": "By rule",
            "mailNickname": "byrule",
            "mailEnabled": False,
            "securityEnabled": True,
            "groupTypes": ["DynamicMembership"],
            "membershipRule": (
                f"user.memberof -any (group.objectId -in ['{groups['Sales']}']) and "
                f'user.{name} -eq "4711"'
            ),
            "membershipRuleProcessingState": "On",
        },
    )
    desired = world.captured()
    dead = [users["Omar Haas"], portal.id, str(portal.get("appId")), principal]
    world.purge("users", users["Omar Haas"])
    for one in ("Role Administrators", "Conditional Access exemptions", "Sales",
                "Expense app users"):  # fmt: skip
        dead.append(groups[one])
        world.purge("groups", groups[one])
    world.client.delete(f"/applications/{portal.id}")
    for one in (portal.id, principal):
        world.client.delete(f"/directory/deletedItems/{one}")
    options = RestoreOptions(conditional_access_state=PolicyState.AS_BACKED_UP)
    report = world.restore(desired, options=options)
    assert report.status is RestoreStatus.SUCCEEDED, report.to_text()
    after = world.captured()
    held = orjson.dumps(after.objects).decode().lower()
    before = orjson.dumps(desired.objects).decode().lower()
    for one in (*dead, dead[2].replace("-", "")):
        assert one.lower() in before
        assert one.lower() not in held, held[max(0, held.find(one) - 200) :][:300]
    assert not world.plan(desired, options=options).steps
