"""Downloads: a job writes a sealed file, and who asked for it fetches it until it expires."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
from litestar.params import FromPath, JSONBody
from litestar.response import Stream

from reentra import clock as clocks
from reentra import errors, viewing
from reentra.access import Permission
from reentra.api import selecting
from reentra.api.documents import JobDocument
from reentra.api.routing import route
from reentra.api.serving import Served, SignedIn
from reentra.database import JobStatus
from reentra.directory.selection import Selection
from reentra.download import open_chunks
from reentra.tasks import download_key
from reentra.worker import DOWNLOAD_HOURS

_TAGS = ("downloads",)
_OF = "/tenants/{tenant:str}/downloads"


class NewDownload(msgspec.Struct, forbid_unknown_fields=True):
    """What to download from which snapshot. No kind and no id means everything.

    ``snapshot`` may be a list, as a selection of findings has them; they must be one snapshot.
    """

    snapshot: str | list[str] = "latest"
    kinds: list[str] = []
    ids: list[str] = []
    relationships: bool = False


@route(
    "POST", _OF, Permission.DOWNLOAD, action="download.begin", status=202, tags=_TAGS,
    summary="Make a zip of JSON",
)  # fmt: skip
def make_download(
    tenant: FromPath[str], data: JSONBody[NewDownload], serving: Served, identity: SignedIn
) -> JobDocument:
    """Queue a download; when its job has succeeded, the file can be fetched by who asked."""
    chosen = selecting.one_snapshot(data.snapshot)
    seen = viewing.snapshot_of(serving.application, serving.synced(tenant), chosen)
    name = clocks.new_id(16)
    parameters = {
        "snapshot": seen.snapshot_id,
        "selection": Selection.parse(data.kinds, data.ids).to_json(),
        "relationships": data.relationships,
        "path": str(serving.worker.downloads_folder / name),
        "sealed": True,
        "person": identity.person.id,
    }
    return serving.job_document(
        serving.worker.enqueue(identity.actor, "download", tenant=tenant, parameters=parameters)
    )


@route(
    "GET", _OF + "/{job:str}", Permission.DOWNLOAD, action="download.fetch", tags=_TAGS,
    media_type="application/zip", summary="Fetch a zip of JSON",
)  # fmt: skip
def fetch(tenant: FromPath[str], job: FromPath[str], serving: Served, identity: SignedIn) -> Stream:
    """Stream the zip. It is there for who asked for it, with the same role, for a day."""
    missing = errors.NotFound(
        f"There is no download {job!r} of yours.", hint="It may have expired; make it again."
    )
    try:
        found = serving.application.jobs.load_job(job)
    except errors.UsageError:
        raise missing from None
    oldest = serving.application.clock.now() - dt.timedelta(hours=DOWNLOAD_HOURS)
    if (
        found.id != job
        or found.tenant != tenant
        or found.task != "download"
        or found.parameters.get("person") != identity.person.id
        or found.status is not JobStatus.SUCCEEDED
        or found.finished_at is None
        or found.finished_at < oldest
    ):
        raise missing
    path = serving.worker.downloads_folder / str(found.parameters["path"]).rpartition("/")[2]
    chunks = open_chunks(download_key(serving.application, found.id), path)
    first = next(chunks)

    def content() -> Any:
        yield first
        yield from chunks

    name = f'attachment; filename="{tenant}-{found.id}.zip"'
    return Stream(content(), media_type="application/zip", headers={"Content-Disposition": name})


ROUTES = (make_download, fetch)
