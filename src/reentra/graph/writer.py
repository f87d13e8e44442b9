"""``TenantWriter``: the only code that changes a tenant. Only ``restore.apply`` may import it.

Every change is a ``WriteRequest``, made by a function of this module, and ends as a
``WriteOutcome``. Nothing is repeated here whose outcome is unknown, and a create is never
repeated at all: whoever planned it must look first. Sources: the create, update, delete and
``$ref`` pages of each type below learn.microsoft.com/graph/api.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reentra import errors
from reentra.directory import kinds, relationships
from reentra.graph import addresses, odata
from reentra.graph.batch import BatchRequest, BatchResponse
from reentra.graph.client import ENDS_A_LIST, GraphClient, reference_path
from reentra.graph.in_flight import Flight, SideBySide

MAX_BIND = 20
"""Links that one PATCH with ``@odata.bind`` may add; all or none of them are."""


class Action(enum.Enum):
    """What a write does; it decides which refusals mean that nothing was left to do."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    RESTORE_DELETED = "restore deleted"
    ADD_REFERENCE = "add reference"
    BIND = "add references"
    REMOVE_REFERENCE = "remove reference"
    ASSIGN_LICENSE = "assign licence"
    INVITE = "invite"


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """One change, ready to be sent alone or in a batch.

    ``contended`` is what it locks: two writes with the same value never run side by side.
    ``is_link`` marks the creation of an object that is nothing but a link: that it exists already
    is as good as having made it. The body is not in the ``repr``: it may hold a password.
    """

    action: Action
    method: str
    path: str
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    contended: str = ""
    is_link: bool = False


class OutcomeKind(enum.Enum):
    """How a write ended."""

    DONE = "done"
    ALREADY = "already"  # nothing was left to do
    FAILED = "failed"  # Graph refused; nothing was changed
    UNKNOWN = "unknown"  # it may have happened: look before doing it again


@dataclass(frozen=True, slots=True)
class WriteOutcome:
    """The end of one write: a body when done, a reason when already so, else an error."""

    kind: OutcomeKind
    body: Mapping[str, Any] | None = None
    reason: str = ""
    error: errors.GraphError | None = None

    @property
    def is_good(self) -> bool:
        return self.kind in (OutcomeKind.DONE, OutcomeKind.ALREADY)

    @property
    def object_id(self) -> str:
        """The id in the body, or ``""``."""
        found = (self.body or {}).get("id", "")
        return found if isinstance(found, str) else ""

    def unwrap(self) -> Mapping[str, Any]:
        """Return the body (empty when there is none), or raise the error."""
        if self.error is not None:
            raise self.error
        return self.body or {}


ELIGIBILITY = "unifiedRoleEligibilitySchedule"

# --- requests -----------------------------------------------------------------------------------


def create(kind: str, body: Mapping[str, Any]) -> WriteRequest:
    """Return the creation of an object of ``kind``.

    Raises: ``UsageError`` for a kind that Graph cannot create.
    """
    row = kinds.KINDS[kind]
    if not row.can_create:
        raise errors.UsageError(f"A {kind} cannot be created through Graph.", hint=row.reason)
    path = _filled(row, row.create_path or row.list_path, body.get(row.source_property))
    sent = dict(body)
    if kind == "extensionProperty":
        sent["name"] = kinds.own_extension_name(str(sent.get("name") or ""))
    if kind == ELIGIBILITY:
        sent = {"action": "adminAssign", "justification": "Restored from a backup", **sent}
    if row.is_upserted:
        path = row.path_of(addresses.segment(str(sent.pop("id"))))
    method = "PATCH" if row.is_upserted else "POST"
    return WriteRequest(Action.CREATE, method, path, _own(row, sent), is_link=row.is_link)


def update(kind: str, object_id: str, body: Mapping[str, Any]) -> WriteRequest:
    """Return the change of an object's properties; what ``body`` leaves out stays as it is.

    The body of a part of another object names that object at the kind's ``source_property``.

    Raises: ``UsageError`` for a kind that Graph cannot update.
    """
    row = kinds.KINDS[kind]
    if not row.can_update:
        raise errors.UsageError(f"A {kind} cannot be changed through Graph.", hint=row.reason)
    path = _filled(row, row.path_of(addresses.segment(object_id)), body.get(row.source_property))
    action = dict(row.actions).get(next(iter(body), "")) if len(body) == 1 else None
    method = "PUT" if row.is_replaced else "PATCH"
    return WriteRequest(
        Action.UPDATE,
        "POST" if action else method,
        f"{path}/{action}" if action else path,
        _own(row, body),
        contended=_contended(path),
    )


def delete(kind: str, object_id: str, source_id: str = "") -> WriteRequest:
    """Return the deletion of an object, into the recycle bin where its kind has one.

    ``source_id`` is the source of an object of a per-source kind, through which alone it is
    addressed: the resource of an app role assignment, the application of a federated credential.

    Raises: ``UsageError`` for a kind that Graph cannot delete.
    """
    row = kinds.KINDS[kind]
    if not row.can_delete:
        raise errors.UsageError(f"A {kind} cannot be deleted through Graph.", hint=row.reason)
    path = _filled(row, row.path_of(addresses.segment(object_id)), source_id)
    addresses.ensure_deletes_only_its_own(path)
    return WriteRequest(Action.DELETE, "DELETE", path, contended=_contended(path))


def end_eligibility(schedule: Mapping[str, Any]) -> WriteRequest:
    """Return the end of an eligible role assignment, which is a request to PIM.

    ``schedule`` holds its principal, role and scope.
    """
    names = ("principalId", "roleDefinitionId", "directoryScopeId")
    body = {"action": "adminRemove", "justification": "Restored from a backup"}
    body.update({name: schedule[name] for name in names})
    return WriteRequest(Action.DELETE, "POST", kinds.KINDS[ELIGIBILITY].create_path, body)


def restore_deleted(
    object_id: str,
    kind: str = "",
    *,
    is_reconciling_proxies: bool = False,
    new_principal_name: str = "",
) -> WriteRequest:
    """Return the restoration of an object from the recycle bin; it keeps its id.

    ``is_reconciling_proxies`` drops mail addresses that others have taken since; without it such
    a user is refused. So is one whose userPrincipalName is taken, without ``new_principal_name``.
    ``kind`` is needed where the kind has a bin of its own.
    """
    row = kinds.KINDS.get(kind)
    own_bin = row.own_bin if row is not None else ""
    path = f"{own_bin or '/directory/deletedItems'}/{addresses.segment(object_id)}/restore"
    body: dict[str, Any] = {}
    if is_reconciling_proxies:
        body["autoReconcileProxyConflict"] = True
    if new_principal_name:
        body["newUserPrincipalName"] = new_principal_name
    return WriteRequest(
        Action.RESTORE_DELETED, "POST", path, body or None, contended=_contended(path)
    )


def remove_reference(relationship: str, source_id: str, target_id: str) -> WriteRequest:
    """Return the removal of one link; the object at its end is never touched."""
    row = _writable_row(relationship)
    source, navigation = _source_and_navigation(row, source_id)
    target = "" if row.is_single else target_id
    return WriteRequest(
        Action.REMOVE_REFERENCE,
        "DELETE",
        "/" + reference_path(source, navigation, target),
        contended=_contended(source),
    )


def assign_license(
    kind: str,
    object_id: str,
    add: Sequence[Mapping[str, Any]] = (),
    remove: Sequence[str] = (),
) -> WriteRequest:
    """Return a change of a user's or group's own licences.

    ``add`` holds ``{"skuId", "disabledPlans"}``; adding a licence that is there replaces its
    disabled plans. A user needs a usageLocation first.
    """
    if kind not in ("user", "group"):
        raise errors.UsageError(f"Licences belong to users and groups, not to a {kind}.")
    path = kinds.KINDS[kind].path_of(addresses.segment(object_id))
    return WriteRequest(
        Action.ASSIGN_LICENSE,
        "POST",
        f"{path}/assignLicense",
        {"addLicenses": [dict(entry) for entry in add], "removeLicenses": list(remove)},
        contended=_contended(path),
    )


def invite(
    email: str,
    redirect_url: str,
    *,
    display_name: str = "",
    user_type: str = "Guest",
    is_sending_mail: bool = False,
) -> WriteRequest:
    """Return an invitation; the outcome's body has the new guest at ``invitedUser.id``."""
    body: dict[str, Any] = {
        "invitedUserEmailAddress": email,
        "inviteRedirectUrl": redirect_url,
        "invitedUserType": user_type,
        "sendInvitationMessage": is_sending_mail,
    }
    if display_name:
        body["invitedUserDisplayName"] = display_name
    return WriteRequest(Action.INVITE, "POST", "/invitations", body)


# --- the writer -----------------------------------------------------------------------------------


class TenantWriter:
    """Sends changes to one tenant. Thread-safe; nothing is remembered."""

    def __init__(self, client: GraphClient) -> None:
        self._client = client

    # Links are made here and not by functions above: a reference in a body is an absolute address
    # on this client's Graph.

    def add_reference(
        self, relationship: str, source_id: str, target_id: str, target_kind: str = ""
    ) -> WriteRequest:
        """Return the addition of one link, or the setting of a single-valued one."""
        row = _writable_row(relationship)
        source, navigation = _source_and_navigation(row, source_id)
        return WriteRequest(
            Action.ADD_REFERENCE,
            "PUT" if row.adding is relationships.Adding.PUT_REF else "POST",
            f"{source}/{navigation}/$ref",
            {"@odata.id": self._reference(row, target_id, target_kind)},
            contended=_contended(source),
        )

    def bind(self, relationship: str, source_id: str, target_ids: Sequence[str]) -> WriteRequest:
        """Return the addition of up to twenty links in one write: all of them or none.

        Raises: ``UsageError`` for more, or for a relationship that cannot be bound.
        """
        row = _writable_row(relationship)
        if not row.can_bind_many or not 1 <= len(target_ids) <= MAX_BIND:
            raise errors.UsageError(
                f"{len(target_ids)} links of {relationship} cannot be added in one request."
            )
        source, _ = _source_and_navigation(row, source_id)
        references = [self._reference(row, target_id, "") for target_id in target_ids]
        return WriteRequest(
            Action.BIND,
            "PATCH",
            source,
            {f"{row.property}@odata.bind": references},
            contended=_contended(source),
        )

    def _reference(
        self, row: relationships.RelationshipKind, target_id: str, target_kind: str
    ) -> str:
        # Managers, sponsors and members of administrative units are documented with the target's
        # own collection, the rest with directoryObjects.
        collection = "directoryObjects"
        if row.target_path:
            collection = row.target_path.strip("/")
        elif row.name in _TYPED_REFERENCES and target_kind in kinds.KINDS:
            collection = kinds.KINDS[target_kind].list_path.strip("/")
        return self._client.url(f"{collection}/{addresses.segment(target_id)}")

    def send(self, request: WriteRequest) -> WriteOutcome:
        """Send one change and say how it ended.

        Raises: ``ENDS_A_LIST``'s, which say nothing about this change but that
        it was not executed and that the next would not be either.
        """
        try:
            body = self._send(request)
        except ENDS_A_LIST:
            raise
        except errors.GraphError as error:
            if _takes_patch_only(request, error):
                return self.send(dataclasses.replace(request, method="PATCH"))
            return outcome_of(request, error)
        return WriteOutcome(OutcomeKind.DONE, body)

    def _send(self, request: WriteRequest) -> Mapping[str, Any] | None:
        match request.method:
            case "POST":
                return self._client.post(request.path, request.body)
            case "PATCH":
                return self._client.patch(request.path, request.body or {})
            case "PUT":
                return self._client.put(request.path, request.body or {})
            case "DELETE" if request.action is Action.REMOVE_REFERENCE:
                self._client.remove_reference(request.path)
                return None
            case "DELETE":
                self._client.delete(request.path)
                return None
            case _:
                raise errors.UsageError(f"{request.method} is no way to change a tenant.")

    def send_batch(self, requests: Sequence[WriteRequest]) -> list[WriteOutcome]:
        """Send changes twenty at a time, several batches side by side, and say how each ended.

        Changes of the same object run one after the other, in the order given; a failed one does
        not stop those behind it. Conditional Access goes one by one: it is limited to a request a
        second. Nothing is raised; after a lost reply the changes of that batch are ``UNKNOWN``.
        When the token is refused, or Graph is out of reach for long, what was not sent yet
        carries that error.
        """
        outcomes: dict[int, WriteOutcome] = {}
        batched: list[int] = []
        for position, request in enumerate(requests):
            if "/conditionalAccess/" in request.path:
                try:
                    outcomes[position] = self.send(request)
                except errors.GraphError as error:
                    outcomes[position] = outcome_of(request, error)
            else:
                batched.append(position)
        left = [requests[position] for position in batched]
        sending = SideBySide(
            lambda flight: self._send_flight([left[at] for at in flight.positions], flight),
            _is_in_vain,
            lambda at, answers: outcome_of(left[at], _cause(answers)),
        )
        answered = sending.answers([request.contended for request in left])
        outcomes.update(zip(batched, answered, strict=True))
        return [outcomes[position] for position in range(len(requests))]

    def _send_flight(self, requests: Sequence[WriteRequest], flight: Flight) -> list[WriteOutcome]:
        outcomes: list[WriteOutcome] = []
        rest = list(requests)
        while rest:
            responses = self._client.batch(
                [BatchRequest(request.method, request.path, request.body) for request in rest],
                is_serial=flight.is_chain,
            )
            answered = _executed(responses) if flight.is_chain else len(rest)
            for request, response in zip(rest[:answered], responses[:answered], strict=True):
                if _takes_patch_only(request, response.error):
                    outcomes.append(self._patched(request))
                else:
                    outcomes.append(_outcome_of_response(request, response))
            rest = rest[answered:]
        return outcomes

    def _patched(self, request: WriteRequest) -> WriteOutcome:
        try:
            return self.send(dataclasses.replace(request, method="PATCH"))
        except errors.GraphError as error:
            return outcome_of(request, error)


_TYPED_REFERENCES = frozenset({"user.manager", "user.sponsors", "administrativeUnit.members"})


# --- outcomes -------------------------------------------------------------------------------------


def _takes_patch_only(request: WriteRequest, error: errors.GraphError | None) -> bool:
    """Tell whether a policy is to be patched where its page says that it is put.

    The pages of the policies that are written whole and the service do not always agree.
    """
    is_policy = request.method == "PUT" and request.action is Action.UPDATE
    return is_policy and error is not None and error.status == 405


def outcome_of(request: WriteRequest, error: errors.GraphError) -> WriteOutcome:
    """Return what an error means for a change: nothing left to do, refused, or not known."""
    if isinstance(error, errors.OutcomeUnknown):
        return WriteOutcome(OutcomeKind.UNKNOWN, error=error)
    reason = _already(request, error)
    if reason:
        return WriteOutcome(OutcomeKind.ALREADY, reason=reason)
    return WriteOutcome(OutcomeKind.FAILED, error=error)


def _already(request: WriteRequest, error: errors.GraphError) -> str:
    match request.action:
        case Action.ADD_REFERENCE if odata.is_already_exists(error):
            return "the link is there already"
        case Action.CREATE if request.is_link and odata.is_already_exists(error):
            return "it exists already"
        case Action.REMOVE_REFERENCE if isinstance(error, errors.GraphNotFound):
            return "the link is not there"
        case Action.DELETE if isinstance(error, errors.GraphNotFound):
            return "the object is not there"
        case Action.DELETE if error.graph_code == "RoleAssignmentDoesNotExist":
            return "nobody is eligible any more"
        case _:
            return ""


def _outcome_of_response(request: WriteRequest, response: BatchResponse) -> WriteOutcome:
    if response.error is not None:
        return outcome_of(request, response.error)
    body = response.body if isinstance(response.body, Mapping) else None
    return WriteOutcome(OutcomeKind.DONE, body)


def _is_in_vain(outcomes: Sequence[WriteOutcome]) -> bool:
    """Tell whether a whole batch was turned away, as any further one would be."""
    first = outcomes[0].error
    return isinstance(first, ENDS_A_LIST) and all(outcome.error is first for outcome in outcomes)


def _cause(outcomes: Sequence[WriteOutcome]) -> errors.GraphError:
    return outcomes[0].error or errors.GraphError("The batch was turned away.")


def _executed(responses: Sequence[BatchResponse]) -> int:
    """Return how many parts of a chain were tried; those behind a failure get 424, untried."""
    for position, response in enumerate(responses):
        if response.status == 424 and position > 0:
            return position
    return len(responses)


# --- addresses ------------------------------------------------------------------------------------


def _writable_row(relationship: str) -> relationships.RelationshipKind:
    row = relationships.RELATIONSHIPS[relationship]
    if row.adding is relationships.Adding.NOT_WRITABLE:
        raise errors.UsageError(f"{relationship} cannot be written.", hint=row.reason)
    return row


def _source_and_navigation(row: relationships.RelationshipKind, source_id: str) -> tuple[str, str]:
    path = row.list_path.replace("{id}", addresses.segment(source_id))
    source, _, navigation = path.rpartition("/")
    return source, navigation


def _filled(row: kinds.ObjectKind, path: str, source_id: object) -> str:
    place = f"{{{row.source_property}}}"
    if not row.source_property or place not in path:
        return path
    if not isinstance(source_id, str) or not source_id:
        raise errors.UsageError(
            f"A {row.name} is addressed through its {row.per_source_of}, which is not given.",
            hint=f"Name it at {row.source_property}.",
        )
    return path.replace(place, addresses.segment(source_id))


def _own(row: kinds.ObjectKind, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a body is Graph's: whose part an object is says its address alone."""
    return {
        name: value
        for name, value in body.items()
        if not (row.is_owned and name == row.source_property)
    }


def _contended(path: str) -> str:
    """Return the object that a write locks: its collection's path and its id."""
    return "/".join(part.lower() for part in path.strip("/").split("/") if part != "$ref")
