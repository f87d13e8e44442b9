"""Write the generated pages of docs/ from the tables they describe.

``python tools/write_docs.py`` writes them; with ``--check`` it says whether they are current, and
exits 1 when they are not.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from reentra.directory.kinds import KINDS, ObjectKind
from reentra.directory.relationships import RELATIONSHIPS, Adding
from reentra.directory.unread import UNREAD
from reentra.restore import declared

ROOT = Path(__file__).resolve().parents[1]


def coverage_page() -> str:
    """Return what is backed up, how later backups read it, and with which permissions."""
    lines = [
        "# Coverage",
        "",
        "What Reentra backs up, and the application permissions that it needs. Written from the",
        "kinds table by `make docs`. `reentra tenant check NAME` says which of them are granted.",
        "",
        "## Kinds",
        "",
        "| Kind | Shown as | Later backups | To back up | To restore |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| `{row.name}` | {row.title} | {_reading(row)} | {_names(row.read_permissions)} |"
        f" {_names(row.write_permissions) or 'not restorable'} |"
        for row in KINDS.values()
    ]
    lines += [
        "",
        "## Relationships",
        "",
        "| Relationship | Points at | To back up | To restore |",
        "| --- | --- | --- | --- |",
    ]
    for link in RELATIONSHIPS.values():
        targets = ", ".join(f"`{kind}`" for kind in link.target_kinds)
        writing = (
            link.reason if link.adding is Adding.NOT_WRITABLE else _names(link.write_permissions)
        )
        lines.append(f"| `{link.name}` | {targets} | {_names(link.read_permissions)} | {writing} |")
    lines += [
        "",
        "## What no backup holds",
        "",
        "Microsoft Entra has more than Reentra reads. None of this is protected by it.",
        "",
        "| What | Where Graph has it | Why, and what to do |",
        "| --- | --- | --- |",
    ]
    lines += [f"| {one.title} | `{one.where}` | {one.why} |" for one in UNREAD]
    return "\n".join(lines) + "\n"


def _reading(row: ObjectKind) -> str:
    if row.delta_path:
        return "only changes (delta)"
    if row.per_source_of:
        return f"a list for each `{row.per_source_of}`, compared by digest"
    return "read whole, compared by digest"


def _names(permissions: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in permissions)


def restore_page() -> str:
    """Return the restore page: its prose as it stands, its tables anew."""
    return declared.with_generated((ROOT / "docs/restore.md").read_text(encoding="utf-8"))


PAGES: dict[str, Callable[[], str]] = {
    "docs/coverage.md": coverage_page,
    "docs/restore.md": restore_page,
}


def main(arguments: list[str]) -> int:
    stale = []
    for path, page in PAGES.items():
        file, text = ROOT / path, page()
        if file.exists() and file.read_text(encoding="utf-8") == text:
            continue
        if "--check" in arguments:
            stale.append(path)
        else:
            file.write_text(text, encoding="utf-8")
            print(f"wrote {path}")
    for path in stale:
        print(f"{path} is not current: run `make docs`")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
