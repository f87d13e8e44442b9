"""The built files that pages load: script, style sheet, icons. They travel inside the wheel."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from reentra import errors

_ENCODINGS = ("br", "gzip")  # best first
_REFUSED = re.compile(r";\s*q\s*=\s*0(\.0*)?\s*$")
FOLDER = Path(__file__).parent / "static"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is sent. ``compressed`` is the same by the name of each encoding, best first."""

    content: bytes
    media_type: str
    compressed: Mapping[str, bytes]

    def encoding_for(self, accepted: str) -> str:
        """Return the best encoding that an Accept-Encoding header names; nothing means none."""
        names = {
            one.partition(";")[0].strip().lower()
            for one in accepted.split(",")
            if not _REFUSED.search(one)
        }
        return next((name for name in self.compressed if name in names), "")


@dataclass(frozen=True, slots=True)
class Assets:
    """Every file by its address' last part, which holds a hash of the content."""

    names: Mapping[str, str]
    files: Mapping[str, Asset]

    def path(self, name: str) -> str:
        """Return the address of a file by its plain name, such as ``app.css``."""
        return f"/static/{self.names[name]}"


@functools.cache
def load_assets() -> Assets:
    """Read all of them, once.

    Raises: ``ConfigurationError`` when they were never built.
    """
    try:
        names = json.loads((FOLDER / "assets.json").read_text())
        files = {
            hashed: Asset(
                (FOLDER / hashed).read_bytes(),
                _TYPES[Path(hashed).suffix],
                {name: (FOLDER / f"{hashed}.{name}").read_bytes() for name in _ENCODINGS},
            )
            for hashed in names.values()
        }
    except FileNotFoundError as failure:
        raise errors.ConfigurationError(
            "The pages' script and style are not built.",
            hint="Run make web, which needs Node.js 20 or newer.",
        ) from failure
    return Assets(names, files)
