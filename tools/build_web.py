"""The build hook: a wheel carries the pages' script, style and icons, built from npm's packages."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class BuildWeb(BuildHookInterface[Any]):
    """Builds what is missing before a wheel is packed; ``make web`` builds for a working tree."""

    def initialize(self, version: str, _build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        if version == "editable" or (root / "src/reentra/web/static/assets.json").exists():
            return
        npm, node = shutil.which("npm"), shutil.which("node")
        if npm is None or node is None:
            raise RuntimeError("Building Reentra needs Node.js 20 or newer, for its pages.")
        subprocess.run([npm, "ci", "--silent"], cwd=root / "frontend", check=True)
        subprocess.run([node, "build.mjs"], cwd=root / "frontend", check=True)
