"""The dialog "Download", and the zip that its job made."""

from __future__ import annotations

from typing import Any

from litestar import Response
from litestar.params import FromPath

from reentra import errors
from reentra.access import Permission
from reentra.api import downloads
from reentra.web import choosing, rendering
from reentra.web.routing import form, form_for, page, page_for
from reentra.web.visiting import Visit, Visiting

_ADDRESS = "/tenants/{tenant:str}/download"


@page(_ADDRESS, Permission.DOWNLOAD)
def show_download(tenant: FromPath[str], visit: Visiting) -> Response[str]:
    """Show the dialog for what a link names."""
    return _dialog(visit, tenant)


@form(_ADDRESS, Permission.DOWNLOAD)
def show_large_download(tenant: FromPath[str], visit: Visiting) -> Response[str]:
    """Show the dialog for what is too much for an address."""
    return _dialog(visit, tenant)


@form_for("/tenants/{tenant:str}/downloads", downloads.make_download)
def begin_download(tenant: FromPath[str], visit: Visiting) -> Response[Any]:
    """Begin the download, and lead to its job."""
    chosen = choosing.chosen_of(visit)
    wanted = downloads.NewDownload(
        chosen.snapshot,
        list(chosen.kinds),
        list(chosen.ids),
        relationships=bool(visit.value("relationships")),
    )
    try:
        job = visit.ask(downloads.make_download, tenant=tenant, data=wanted)
    except errors.UsageError as failure:
        return _dialog(visit, tenant, failure)
    return visit.lead(rendering.path("tenants", tenant, "jobs", job["id"]))


@page_for("/tenants/{tenant:str}/downloads/{job:str}", downloads.fetch)
def fetch_download(tenant: FromPath[str], job: FromPath[str], visit: Visiting) -> Any:
    """Send the zip to who asked for it."""
    return visit.ask(downloads.fetch, tenant=tenant, job=job)


def _dialog(visit: Visit, tenant: str, failure: errors.Error | None = None) -> Response[str]:
    chosen = choosing.chosen_of(visit)
    return visit.show(
        "download.html",
        status=200 if failure is None else failure.http_status,
        tenant=tenant,
        chosen=chosen,
        selected=choosing.named(visit, tenant, chosen),
        relationships=bool(visit.given("relationships")),
        is_picked=bool(visit.given("picked")),
        failure=failure,
    )


ROUTES = (show_download, show_large_download, begin_download, fetch_download)
