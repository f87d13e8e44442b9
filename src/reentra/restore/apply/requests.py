"""Steps as writes: what is under way for one request, and the request that Graph gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reentra import errors
from reentra.directory.kinds import KINDS
from reentra.graph import writer
from reentra.graph.writer import TenantWriter, WriteRequest
from reentra.restore.identity import IdentityMap
from reentra.restore.passwords import RestoreSecrets, with_password
from reentra.restore.patience import MAX_WAIT_SECONDS
from reentra.restore.steps import Action, Step


@dataclass(slots=True)
class Work:
    """One request under way: its steps (several when links are bound), and bodies still to send."""

    steps: tuple[Step, ...]
    bodies: list[dict[str, Any]] = field(default_factory=list, repr=False)
    dropped: list[str] = field(default_factory=list)
    is_reconciling_proxies: bool = False
    new_principal_name: str = ""  # under which a user leaves the recycle bin
    refused: list[str] = field(default_factory=list)  # left out, so that the rest is written
    refusal: errors.GraphError | None = None  # why
    is_doubtful: bool = False  # an earlier send may have had its effect
    sends: int = 0
    lag_seconds: float = 0.0
    next_wait_seconds: float = 1.0

    @property
    def step(self) -> Step:
        return self.steps[0]

    def wait_longer(self) -> None:
        """Note that it is sent again after a wait, which grows from time to time."""
        if self.lag_seconds > 0:
            self.next_wait_seconds = min(self.next_wait_seconds * 2, MAX_WAIT_SECONDS)
        self.lag_seconds += self.next_wait_seconds


@dataclass(frozen=True, slots=True)
class RequestMaker:
    """Makes the write of a piece of work, with every id as it is now."""

    writer: TenantWriter
    secrets: RestoreSecrets

    def request(self, work: Work, identity: IdentityMap) -> WriteRequest:
        """Return the write.

        Raises: ``errors.UsageError`` when it cannot be made, for want of a password for instance.
        """
        step = work.step
        live_id = identity.current(step.live_id or step.ref.id)
        body: Mapping[str, Any] = work.bodies[0] if work.bodies else {}
        match step.action:
            case Action.UNDELETE:
                return writer.restore_deleted(
                    live_id,
                    step.ref.kind,
                    is_reconciling_proxies=work.is_reconciling_proxies,
                    new_principal_name=work.new_principal_name,
                )
            case Action.CREATE:
                return writer.create(step.ref.kind, with_password(step, body, self.secrets))
            case Action.INVITE:
                return writer.invite(
                    body["invitedUserEmailAddress"],
                    body["inviteRedirectUrl"],
                    display_name=body.get("invitedUserDisplayName", ""),
                    user_type=body.get("invitedUserType", "Guest"),
                )
            case Action.UPDATE:
                return writer.update(step.ref.kind, live_id, body)
            case Action.ASSIGN_LICENSES:
                return writer.assign_license(
                    step.ref.kind, live_id, body["addLicenses"], body["removeLicenses"]
                )
            case Action.DELETE if step.ref.kind == writer.ELIGIBILITY:
                return writer.end_eligibility(identity.rewritten(step.ref.kind, step.body))
            case Action.DELETE:
                source = KINDS[step.ref.kind].source_property
                source_id = identity.current(str(step.body.get(source) or ""))
                return writer.delete(step.ref.kind, live_id, source_id)
            case Action.ADD_RELATIONSHIP if len(work.steps) > 1:
                targets = [target_id(one, identity) for one in work.steps]
                return self.writer.bind(step.relationship, live_id, targets)
            case Action.ADD_RELATIONSHIP:
                kind = step.target.kind if step.target else ""
                return self.writer.add_reference(
                    step.relationship, live_id, target_id(step, identity), kind
                )
            case Action.REMOVE_RELATIONSHIP:
                return writer.remove_reference(
                    step.relationship, live_id, target_id(step, identity)
                )


def target_id(step: Step, identity: IdentityMap) -> str:
    """Return the id that a link's target has now."""
    if step.target is None:
        raise errors.UsageError(f"Step {step.id} names no target.", hint="Make the plan again.")
    return identity.current(step.target.id)
