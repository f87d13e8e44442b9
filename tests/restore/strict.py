"""A Graph in a few lines for writes: it keeps a model and refuses what a test tells it to.

Built apart from the sandbox, so that it can be stricter, or stranger.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from reentra import clock as clocks
from reentra import errors
from reentra.directory.kinds import KINDS
from reentra.directory.relationships import RELATIONSHIPS
from reentra.graph import writer
from reentra.graph.writer import OutcomeKind, WriteOutcome, WriteRequest, outcome_of
from reentra.restore.apply import Applier, RestoreSecrets
from reentra.restore.journal import MemoryJournal
from reentra.restore.plan import RestorePlan
from reentra.restore.report import RestoreReport
from tests.models import ModelTenant

Refuse = Callable[[WriteRequest], errors.GraphError | None]


def bad_request(
    message: str, code: str = "Request_BadRequest", target: str = ""
) -> errors.GraphError:
    return errors.InvalidRequest(message, status=400, graph_code=code, target=target)


class NoClient:
    """Stands where the client stands: only addresses are asked of it."""

    def url(self, path: str) -> str:
        return f"https://graph.example/v1.0/{path}"


class StrictGraph(writer.TenantWriter):
    """Takes writes into ``model``; ``refuse`` decides before each whether it is taken."""

    def __init__(self, model: ModelTenant, refuse: Refuse = lambda _request: None) -> None:
        super().__init__(NoClient())  # type: ignore[arg-type]
        self.model = model
        self.refuse = refuse
        self.taken: list[WriteRequest] = []
        self.refused: list[WriteRequest] = []
        self._number = 0

    def send_batch(self, requests: Sequence[WriteRequest]) -> list[WriteOutcome]:
        return [self._one(request) for request in requests]

    def _one(self, request: WriteRequest) -> WriteOutcome:
        error = self.refuse(request)
        if error is not None:
            self.refused.append(request)
            return outcome_of(request, error)
        self.taken.append(request)
        return WriteOutcome(OutcomeKind.DONE, self._apply(request))

    def _apply(self, request: WriteRequest) -> Mapping[str, Any] | None:
        path, body = request.path, dict(request.body or {})
        match request.action:
            case writer.Action.UPDATE:
                kind, object_id = _addressed(path)
                self.model.change(kind, object_id, **body)
            case writer.Action.CREATE:
                kind = next(n for n, row in KINDS.items() if row.list_path == path)
                return self._created(kind, body)
            case writer.Action.INVITE:
                made = {"mail": body["invitedUserEmailAddress"], "userType": "Guest"}
                return {"invitedUser": self._created("user", made)}
            case writer.Action.RESTORE_DELETED:
                object_id = path.split("/")[-2]
                for kind, bodies in self.model.deleted.items():
                    if object_id in bodies:
                        self.model.objects.setdefault(kind, {})[object_id] = bodies.pop(object_id)
                        break
            case writer.Action.ASSIGN_LICENSE:
                kind, object_id = _addressed(path.removesuffix("/assignLicense"))
                given = self.model.objects[kind][object_id].get("assignedLicenses") or []
                left = [e for e in given if e["skuId"] not in body["removeLicenses"]]
                self.model.change(kind, object_id, assignedLicenses=left + body["addLicenses"])
            case writer.Action.ADD_REFERENCE:
                source, _, name = path.removesuffix("/$ref").rpartition("/")
                kind, object_id = _addressed(source)
                row = RELATIONSHIPS[f"{kind}.{name}"]
                self.model.link(row.name, object_id, body["@odata.id"].rpartition("/")[2])
            case _:
                raise AssertionError(f"{request.action} is not expected here")
        return None

    def _created(self, kind: str, body: Mapping[str, Any]) -> dict[str, Any]:
        self._number += 1
        object_id = f"aaaaaaaa-0000-4000-8000-{self._number:012x}"
        made = {key: value for key, value in body.items() if key != "passwordProfile"}
        if kind == "application":
            made["appId"] = f"bbbbbbbb-0000-4000-8000-{self._number:012x}"
        self.model.put(kind, object_id, **made)
        return {**made, "id": object_id}


class NoWaiting:
    """A clock that notes how long nobody waited."""

    def __init__(self) -> None:
        self.slept_seconds = 0.0

    def now(self) -> Any:
        return clocks.SYSTEM.now()

    def monotonic_seconds(self) -> float:
        return self.slept_seconds

    def sleep(self, seconds: float) -> None:
        self.slept_seconds += seconds


def applied(plan: RestorePlan, graph: StrictGraph, clock: NoWaiting | None = None) -> RestoreReport:
    """Carry a plan out on the strict Graph."""
    return Applier(
        plan,
        graph.model,
        graph,
        MemoryJournal(),
        secrets=RestoreSecrets.with_default("Secret-of-the-day-1"),
        clock=clock or NoWaiting(),
    ).run()


def _addressed(path: str) -> tuple[str, str]:
    collection, _, object_id = path.rpartition("/")
    return next(n for n, row in KINDS.items() if row.list_path == collection), object_id
