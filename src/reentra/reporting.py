"""A job's report as text, CSV or JSON, and the names of what can become of jobs and steps."""

from __future__ import annotations

import csv
import enum
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from reentra import errors

if TYPE_CHECKING:
    from reentra.app import Application
    from reentra.database import Job

_S = TypeVar("_S", bound=enum.StrEnum)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def report(application: Application, job: Job, form: str) -> tuple[str, Any]:
    """Return a job's report as text in the form ``text``, ``csv`` or ``json``, and as JSON."""
    if job.task == "restore":
        from reentra.tasks import load_report

        found = load_report(application, job)
        document: dict[str, Any] = found.to_json()
        document["entries"] = [
            {**entry.to_json(), "new_id": str(entry.detail.get("new_id") or "")}
            for entry in found.entries
        ]
        if form == "csv":
            return found.to_csv(), document
        if form == "text":
            return found.to_text(), document
    else:
        document = {
            "job": job.id,
            "task": job.task,
            "tenant": job.tenant,
            "status": job.status.value,
            **job.summary,
        }
        if job.error:
            document["error"] = dict(job.error)
        if form == "csv":
            return _csv(_rows(document)), document
        if form == "text":
            return "\n".join(_lines(document)) + "\n", document
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n", document


def named_status(closed: type[_S], name: str) -> _S | None:
    """Return the status of that name, if one is named.

    Raises: ``UsageError``.
    """
    if not name:
        return None
    try:
        return closed(name)
    except ValueError as failure:
        raise errors.UsageError(
            f"There is no status {name!r}.", hint=f"It is one of: {', '.join(closed)}."
        ) from failure


def _rows(document: Mapping[str, Any]) -> Iterable[Sequence[Any]]:
    kinds = document.get("kinds")
    if isinstance(kinds, dict) and kinds and all(isinstance(i, dict) for i in kinds.values()):
        columns = ("objects", "added", "changed", "deleted", "coverage", "reason")
        yield ("kind", *columns)
        for kind, item in kinds.items():
            yield (kind, *(item.get(column, "") for column in columns))
        return
    if "problems" in document:
        yield ("severity", "path", "what", "snapshots")
        for item in document["problems"]:
            yield (item["severity"], item["path"], item["what"], " ".join(item["snapshots"]))
        return
    yield ("name", "value")
    for name, value in document.items():
        yield (name, value if isinstance(value, str | int | float) else json.dumps(value))


def _csv(rows: Iterable[Sequence[Any]]) -> str:
    buffer = io.StringIO()
    # What a person called an object must not be taken for a formula by a spreadsheet.
    csv.writer(buffer, lineterminator="\n").writerows(
        [f"'{cell}" if str(cell).startswith(_FORMULA) else cell for cell in row] for row in rows
    )
    return buffer.getvalue()


def _lines(document: Mapping[str, Any], indent: str = "") -> Iterable[str]:
    for name, value in document.items():
        if isinstance(value, dict) and value:
            yield f"{indent}{name}"
            yield from _lines(value, indent + "  ")
        elif isinstance(value, list) and value:
            yield f"{indent}{name}"
            yield from (f"{indent}  {item if isinstance(item, str) else json.dumps(item)}"
                        for item in value)  # fmt: skip
        elif value not in ({}, [], None, ""):
            yield f"{indent}{name}: {value}"
