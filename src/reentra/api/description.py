"""The OpenAPI description: what the framework reads from the routes, and what it cannot read."""

from __future__ import annotations

import inspect
from typing import Any

from litestar import Router
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import (
    Components,
    OpenAPI,
    OpenAPIType,
    Schema,
    SecurityScheme,
)

from reentra import __version__
from reentra.api.examples import DOCUMENTS, EXAMPLES


def description_config(prefix: str) -> OpenAPIConfig:
    """Return what the framework needs to know to describe the routes."""
    return OpenAPIConfig(
        title="Reentra",
        version=__version__,
        description="Backup and restore of Microsoft Entra ID tenants.",
        use_handler_docstrings=True,
        components=Components(
            security_schemes={
                "token": SecurityScheme(type="http", scheme="bearer"),
                "session": SecurityScheme(
                    type="apiKey", name="__Host-reentra", security_scheme_in="cookie"
                ),
            }
        ),
        security=[{"token": []}, {"session": []}],
        # Its own pages say nothing of what they need, so they are closed; ours is below.
        openapi_router=Router(f"{prefix}/closed", route_handlers=[], include_in_schema=False),
        render_plugins=[JsonRenderPlugin()],
    )


def complete(description: OpenAPI) -> None:
    """Add examples, what each document is, and that a stream is text or bytes."""
    schemas = description.components.schemas or {}
    for name, schema in schemas.items():
        if name in EXAMPLES:
            schema.examples = [EXAMPLES[name]]
        if name in DOCUMENTS:
            schema.description = inspect.getdoc(DOCUMENTS[name])
    for item in (description.paths or {}).values():
        for operation in (item.get, item.post, item.put, item.delete):
            for response in _responses(operation):
                for media_type, content in (response.content or {}).items():
                    if isinstance(content.schema, Schema) and content.schema.type is None:
                        content.schema = _stream(media_type)


def _stream(media_type: str) -> Schema:
    """Return the schema of a stream, of which the framework knows nothing."""
    if media_type != "text/event-stream":
        return Schema(type=OpenAPIType.STRING, content_media_type=media_type)
    data = Schema(
        type=OpenAPIType.STRING,
        content_media_type="application/json",
        description="A JobDocument.",
    )
    return Schema(
        type=OpenAPIType.OBJECT,
        description="One event.",
        properties={"event": Schema(type=OpenAPIType.STRING, const="job"), "data": data},
        required=["event", "data"],
    )


def _responses(operation: Any) -> list[Any]:
    return [] if operation is None else list((operation.responses or {}).values())
