"""``Serving``: what the handlers of one process share."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import cast

from litestar.di import NamedDependency
from litestar.params import SkipValidation

from reentra import errors
from reentra.access import Access, Identity
from reentra.api.documents import JobDocument
from reentra.app import Application
from reentra.compare import KeptComparisons
from reentra.database import Job, JobStatus
from reentra.restore.paged import PagedPlan
from reentra.tasks import load_paged_plan
from reentra.worker import Worker

STORED_SECONDS = 600.0  # how old what is said of the store's size may be
SYNC_SECONDS = 10.0  # how old the catalog's knowledge of the repository may be
MOST_PLAN_BYTES = 32 * 1024 * 1024  # of the plans that are kept in memory, but for the last one
PORT = 8440
_HIDDEN = frozenset({"path", "person", "sealed", "for_worker", "killed"})


@dataclass(slots=True)
class Serving:
    """An open application with its worker, and how the outside reaches it.

    ``hosts`` are the names that requests may be addressed to. ``is_secure`` says that the outside
    speaks TLS; ``trusts_proxy`` that the nearest proxy tells who asks.
    """

    application: Application
    worker: Worker
    hosts: frozenset[str]
    is_secure: bool
    trusts_proxy: bool = False
    _synced_at: dict[str, float] = field(default_factory=dict)
    _stored: tuple[float, int, int] | None = None
    _plans: OrderedDict[str, PagedPlan] = field(default_factory=OrderedDict)
    _reading_plan: threading.Lock = field(default_factory=threading.Lock)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    comparisons: KeptComparisons = field(default_factory=KeptComparisons)
    applying: threading.Lock = field(default_factory=threading.Lock)  # of two, one is the first

    @property
    def access(self) -> Access:
        return self.application.access

    @property
    def cookie(self) -> str:
        """The session cookie's name. The prefix binds it to this host and to TLS."""
        return "__Host-reentra" if self.is_secure else "reentra"

    def synced(self, name: str) -> str:
        """Return the GUID of a connected tenant whose catalog knows the repository's snapshots.

        Raises: ``NotFound``.
        """
        tenant_id = self.application.connections.find(name).tenant_id
        now = self.application.clock.monotonic_seconds()
        with self._lock:
            last = self._synced_at.get(tenant_id)
            if last is None or now - last >= SYNC_SECONDS:
                self.application.catalog.sync(tenant_id)
                self._synced_at[tenant_id] = now
        return tenant_id

    def stored(self) -> tuple[int, int]:
        """Return how many files the repository has and how many bytes they take."""
        now = self.application.clock.monotonic_seconds()
        with self._lock:
            known = self._stored
        if known is None or now - known[0] >= STORED_SECONDS:
            known = (now, *self.application.repository.count_stored())
            with self._lock:
                self._stored = known
        return known[1], known[2]

    def paged_plan(self, plan_id: str) -> PagedPlan:
        """Return a stored plan to look at, in pieces.

        The last ones are kept: who watches a restore asks again and again. Plans never change.
        Raises: ``NotFound``.
        """
        with self._lock:
            known = self._plans.get(plan_id)
            if known is not None:
                self._plans.move_to_end(plan_id)
                return known
        with self._reading_plan:  # of a large one not twice at once
            known = self._plans.get(plan_id) or load_paged_plan(self.application, plan_id)
        with self._lock:
            self._plans[plan_id] = known
            while len(self._plans) > 1 and self._plans_bytes() > MOST_PLAN_BYTES:
                self._plans.popitem(last=False)
        return known

    def _plans_bytes(self) -> int:
        return sum(one.size_bytes for one in self._plans.values())

    def job_document(self, job: Job) -> JobDocument:
        """Return a job as people see it: no path of the server, nobody's number."""
        document = job.to_json()
        if job.status is JobStatus.RUNNING and not self.worker.runner.is_alive(job.id):
            document["status"] = "interrupted"
        for inner in ("parameters", "summary"):
            document[inner] = {k: v for k, v in document[inner].items() if k not in _HIDDEN}
        return cast("JobDocument", document)

    def ensure_approved(
        self, identity: Identity, action: str, tenant: str, subject: str, *, is_needed: bool,
        bound: str = "",
    ) -> None:  # fmt: skip
        """Let pass what needs no second person, or has one's word, which is then used up.

        ``subject`` says in words all that is approved; ``bound`` is what else must be as it was
        when it was asked for.
        Raises: ``ApprovalNeeded``, after having asked for it.
        """
        if not is_needed:
            return
        said = f"{action}:{tenant}:{subject}" + (f":{bound}" if bound else "")
        digest = hashlib.sha256(said.encode()).hexdigest()
        try:
            self.access.approvals.use(identity.actor, action, tenant, digest)
        except errors.ApprovalNeeded:
            self.access.approvals.ask(identity.actor, action, tenant, subject, digest)
            raise

    @contextmanager
    def visiting(self) -> Iterator[Application]:
        """Yield the application for one request: clients that it opens are closed after it."""
        with self.application.visiting() as visitor:
            yield visitor


# What handlers are given, as it is: neither is data of a request.
Served = NamedDependency[SkipValidation[Serving]]
SignedIn = NamedDependency[SkipValidation[Identity]]
