"""The sandbox's own controls below /_sandbox: faults, clock, log, permissions, bulk edits.

For tests against a sandbox in another process. Only loopback callers are served; none of it is
part of Graph.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import orjson

from reentra.sandbox.http import Request, Response
from reentra.sandbox.tenant import DIRECTORY_TYPES, NAVIGATIONS, Tenant

if TYPE_CHECKING:
    from reentra.sandbox.app import Sandbox

_TENANT_SWITCHES = ("policy_bin", "policy_bin_serves_applications", "guard_privileged")
_EDITIONS = ("free", "P1", "P2")
_LOOPBACK = ("127.", "::1", "::ffff:127.")

# Computed by the service or dependent on when it happened; not part of what a digest compares.
_VOLATILE = frozenset(
    ("createdDateTime", "modifiedDateTime", "renewedDateTime", "deletedDateTime",
     "lastPasswordChangeDateTime", "signInSessionsValidFromDateTime", "consumedUnits",
     "externalUserStateChangeDateTime")
)  # fmt: skip


class _Refused(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def answer(sandbox: Sandbox, request: Request, segments: list[str]) -> Response:
    """Answer a control request."""
    if not request.peer.startswith(_LOOPBACK):
        return _reply(403, {"error": "only loopback callers may control the sandbox"})
    control = _CONTROLS.get((request.method, "/".join(segments)))
    if control is None:
        names = sorted(f"{method} /_sandbox/{path}" for method, path in _CONTROLS)
        return _reply(501, {"error": "unknown control", "controls": names})
    try:
        body = orjson.loads(request.body) if request.body.strip() else {}
        if not isinstance(body, dict):
            raise _Refused(400, "the body must be a JSON object")
        return _reply(200, control(sandbox, {**request.query(), **body}))
    except _Refused as refused:
        return _reply(refused.status, {"error": str(refused)})
    except (KeyError, TypeError, ValueError) as error:
        return _reply(400, {"error": f"{type(error).__name__}: {error}"})


def _reply(status: int, body: Any) -> Response:
    return Response(status, {"Content-Type": "application/json"}, orjson.dumps(body))


def state_digest(tenant: Tenant) -> str:
    """Return a digest of what is in the tenant: live objects and links, without times."""
    digest = hashlib.sha256()
    for type_ in sorted(known_collections(tenant)):
        records = tenant.collection(type_)
        for id_ in sorted(records):
            record = records[id_]
            props = {
                name: value
                for name, value in record.props.items()
                if name not in _VOLATILE and value not in (None, [])
            }
            line = orjson.dumps([record.type, id_, props], option=orjson.OPT_SORT_KEYS)
            digest.update(line)
    for nav in NAVIGATIONS:
        for id_ in sorted(tenant.collection(nav.partition(".")[0])):
            targets = tenant.targets(nav, id_)
            if targets:
                digest.update(orjson.dumps([nav, id_, sorted(targets)]))
    return digest.hexdigest()


def known_collections(tenant: Tenant) -> list[str]:
    """Return the types whose records the sandbox keeps."""
    return [type_ for type_ in COLLECTIONS if tenant.collection(type_)]


COLLECTIONS = (
    *DIRECTORY_TYPES, "conditionalAccessPolicy", "namedLocation", "unifiedRoleDefinition",
    "unifiedRoleAssignment", "unifiedRoleEligibilitySchedule", "oAuth2PermissionGrant",
    "appRoleAssignment", "groupSetting",
    "domain", "subscribedSku", "organization", "authorizationPolicy", "scopedRoleMembership",
    "federatedIdentityCredential", "extensionProperty", "authenticationStrengthPolicy",
    "authenticationContextClassReference", "groupLifecyclePolicy",
    "identitySecurityDefaultsEnforcementPolicy", "adminConsentRequestPolicy",
    "deviceRegistrationPolicy", "authenticationMethodsPolicy", "crossTenantAccessPolicy",
    "crossTenantAccessPolicyConfigurationDefault", "crossTenantAccessPolicyConfigurationPartner",
)  # fmt: skip


def _state(sandbox: Sandbox, _: Mapping[str, Any]) -> dict[str, Any]:
    tenant = sandbox.tenant
    return {
        "tenant_id": tenant.tenant_id,
        "seq": tenant.seq,
        "now": tenant.clock.now().isoformat(),
        "objects": {type_: len(tenant.collection(type_)) for type_ in known_collections(tenant)},
        "deleted": {
            type_: len(found) for type_ in DIRECTORY_TYPES if (found := tenant.deleted(type_))
        },
        "clients": [
            {"client_id": client.client_id, "name": client.display_name}
            for client in sandbox.tokens.clients()
        ],
    }


def _digest(sandbox: Sandbox, _: Mapping[str, Any]) -> dict[str, Any]:
    return {"digest": state_digest(sandbox.tenant)}


def _counters(sandbox: Sandbox, _: Mapping[str, Any]) -> dict[str, Any]:
    return sandbox.counters.to_json()


def _reset_counters(sandbox: Sandbox, _: Mapping[str, Any]) -> dict[str, Any]:
    sandbox.counters.reset()
    return {}


def _log(sandbox: Sandbox, given: Mapping[str, Any]) -> dict[str, Any]:
    last = int(given.get("last", 1000))
    entries = list(sandbox.counters.log)[-last:]
    return {
        "requests": [
            {
                "method": entry.method,
                "path": entry.path,
                "operation": entry.operation,
                "status": entry.status,
                "units": entry.units,
                "client_id": entry.client_id,
                "in_batch": entry.in_batch,
            }
            for entry in entries
        ]
    }


def _script(sandbox: Sandbox, given: Mapping[str, Any]) -> dict[str, Any]:
    fault = sandbox.faults.script(
        str(given["match"]),
        given["what"],
        int(given.get("times", 1)),
        str(given.get("when", "before")),
        skip=int(given.get("skip", 0)),
        seconds=given.get("seconds"),
        code=str(given.get("code", "")),
        message=str(given.get("message", "")),
    )
    return fault.to_json()


def _list_faults(sandbox: Sandbox, _: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "faults": [fault.to_json() for fault in sandbox.faults.queue],
        "unused": [fault.to_json() for fault in sandbox.faults.unused()],
    }


def _clear_faults(sandbox: Sandbox, _: Mapping[str, Any]) -> dict[str, Any]:
    sandbox.faults.clear()
    return {}


def _advance(sandbox: Sandbox, given: Mapping[str, Any]) -> dict[str, Any]:
    sandbox.clock.advance(float(given["seconds"]))
    return {"now": sandbox.clock.now().isoformat()}


def _withdraw(sandbox: Sandbox, given: Mapping[str, Any]) -> dict[str, Any]:
    sandbox.withdraw(str(given["permission"]), given.get("client_id"))
    return {}


def _grant(sandbox: Sandbox, given: Mapping[str, Any]) -> dict[str, Any]:
    sandbox.grant(str(given["permission"]), given.get("client_id"))
    return {}


def _expire_tokens(sandbox: Sandbox, _: Mapping[str, Any]) -> dict[str, Any]:
    sandbox.tokens.expire_all()
    return {}


def _expire_pages(sandbox: Sandbox, _: Mapping[str, Any]) -> dict[str, Any]:
    sandbox.world.results.expire_all()
    return {}


def _options(sandbox: Sandbox, given: Mapping[str, Any]) -> dict[str, Any]:
    options, of_tenant = sandbox.options, sandbox.tenant.options
    for name, value in given.items():
        if name in type(options).__slots__:
            setattr(options, name, value)
        elif name in _TENANT_SWITCHES:
            setattr(of_tenant, name, bool(value))
        elif name == "edition":
            if value not in _EDITIONS:
                raise _Refused(400, f"there is no edition '{value}'")
            of_tenant.edition = value
        else:
            raise _Refused(400, f"there is no option '{name}'")
    sandbox.world.throttle.factor = options.throttle_factor()
    return {
        **{name: getattr(options, name) for name in type(options).__slots__},
        **{name: getattr(of_tenant, name) for name in _TENANT_SWITCHES},
        "edition": of_tenant.edition,
    }


def _delete(sandbox: Sandbox, given: Mapping[str, Any]) -> dict[str, Any]:
    """Soft-delete objects by id, without asking the rules."""
    tenant = sandbox.tenant
    done = 0
    for id_ in given["ids"]:
        record = tenant.find(str(id_))
        if record is not None:
            tenant.soft_delete(record)
            done += 1
    return {"deleted": done}


def _purge(sandbox: Sandbox, given: Mapping[str, Any]) -> dict[str, Any]:
    """Remove objects for good by id, live or in the recycle bin."""
    tenant = sandbox.tenant
    done = 0
    for id_ in given["ids"]:
        record = tenant.find(str(id_)) or tenant.find_deleted(str(id_))
        if record is not None:
            tenant.purge(record)
            done += 1
    return {"purged": done}


def _edit(sandbox: Sandbox, given: Mapping[str, Any]) -> dict[str, Any]:
    """Set properties of objects of a type, without asking the rules."""
    tenant = sandbox.tenant
    done = 0
    for id_ in given["ids"]:
        record = tenant.get(str(given["type"]), str(id_))
        if record is not None:
            tenant.update(record, given["properties"])
            done += 1
    return {"edited": done}


def _link(sandbox: Sandbox, given: Mapping[str, Any]) -> dict[str, Any]:
    tenant = sandbox.tenant
    change = tenant.unlink if given.get("remove") else tenant.link
    nav = str(given["navigation"])
    if nav not in NAVIGATIONS:
        raise _Refused(400, f"there is no navigation '{nav}'")
    done = sum(change(nav, str(given["source"]), str(target)) for target in given["targets"])
    return {"changed": done}


def _truncate(sandbox: Sandbox, given: Mapping[str, Any]) -> dict[str, Any]:
    """Forget the change log of a type, so that every earlier delta link is refused."""
    sandbox.tenant.truncate_log(str(given["type"]))
    return {}


def _register(sandbox: Sandbox, given: Mapping[str, Any]) -> dict[str, Any]:
    """Register where a client may send people back to after they signed in."""
    client = sandbox.tokens.client(str(given["client_id"]))
    if client is None:
        raise _Refused(404, "there is no such client")
    client.redirect_uris[:] = [str(one) for one in given["redirect_uris"]]
    return {}


_CONTROLS: dict[tuple[str, str], Callable[[Sandbox, Mapping[str, Any]], dict[str, Any]]] = {
    ("GET", "state"): _state,
    ("GET", "digest"): _digest,
    ("GET", "counters"): _counters,
    ("DELETE", "counters"): _reset_counters,
    ("GET", "log"): _log,
    ("POST", "faults"): _script,
    ("GET", "faults"): _list_faults,
    ("DELETE", "faults"): _clear_faults,
    ("POST", "clock/advance"): _advance,
    ("POST", "permissions/withdraw"): _withdraw,
    ("POST", "permissions/grant"): _grant,
    ("POST", "clients/redirect-uris"): _register,
    ("POST", "tokens/expire"): _expire_tokens,
    ("POST", "pages/expire"): _expire_pages,
    ("POST", "options"): _options,
    ("POST", "objects/delete"): _delete,
    ("POST", "objects/purge"): _purge,
    ("POST", "objects/edit"): _edit,
    ("POST", "links"): _link,
    ("POST", "delta/truncate"): _truncate,
}
