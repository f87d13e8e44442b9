"""Choices: which options of a restore fit together, and fit its selection. Pure."""

from __future__ import annotations

from reentra import errors
from reentra.directory.kinds import KINDS, ObjectKind
from reentra.directory.selection import Selection
from reentra.restore import single_properties
from reentra.restore.draft import TENANT_SETTINGS, RelationshipsBehavior, RestoreOptions


def ensure_consistent(options: RestoreOptions, selection: Selection) -> None:
    """Let pass options that mean something together.

    Raises: ``errors.UsageError``, which says what to change.
    """
    if (
        options.relationships_behavior is RelationshipsBehavior.ROLLBACK
        and not options.relationships
    ):
        raise errors.UsageError(
            "Relationships are left out and rolled back at the same time.",
            hint="Choose one of them.",
            typed="--no-relationships, or --relationships rollback",
        )
    if options.deleted_only and (
        options.rollback_kinds
        or options.relationships_behavior is RelationshipsBehavior.ROLLBACK
        or options.properties
    ):
        raise errors.UsageError(
            "When only deleted items are restored, what exists is left untouched; nothing of it "
            "can be rolled back or put back.",
            hint="Restore existing items too, or leave out what rolls or puts back.",
            typed="--deleted-only, or --relationships rollback, --rollback-kind and --property",
        )
    for owner in options.settings_of:
        if owner not in settings_owners():
            raise errors.UsageError(
                f"There are no settings of {owner!r}.",
                hint=f"Settings are those of: {', '.join(settings_owners())}.",
            )
    for kind in sorted(options.rollback_kinds):
        _ensure_can_roll_back(kind, options, selection)
    if options.properties:
        single_properties.chosen(options.properties, selection)


def settings_owners() -> tuple[str, ...]:
    """Return whose settings there are: of kinds, and of the tenant itself."""
    owners = {row.settings_of or TENANT_SETTINGS for row in KINDS.values() if row.is_settings}
    return tuple(sorted(owners))


def can_roll_back(row: ObjectKind) -> bool:
    """Tell whether objects of a kind may be deleted because they were created later.

    Only what Graph keeps in a recycle bin, or what can be created again.
    """
    return (
        row.can_delete
        and not row.is_link
        and not row.is_singleton
        and not row.per_source_of
        and (row.has_recycle_bin or row.can_create)
    )


def _ensure_can_roll_back(kind: str, options: RestoreOptions, selection: Selection) -> None:
    row = KINDS.get(kind)
    if row is None or not can_roll_back(row):
        possible = ", ".join(sorted(name for name, one in KINDS.items() if can_roll_back(one)))
        what = "There is no kind" if row is None else "Objects cannot be rolled back of kind"
        if row is not None and row.is_link:
            raise errors.UsageError(
                f"{what} {kind!r}.",
                hint="Roll links back as relationships.",
                typed="--relationships rollback",
            )
        raise errors.UsageError(f"{what} {kind!r}.", hint=f"Kinds that can be: {possible}.")
    if not selection.takes_whole(kind):
        raise errors.UsageError(
            f"A rollback of {kind} deletes whatever was created since; the selection does not "
            "hold the whole kind.",
            hint="Select the whole kind, or leave its rollback out.",
            typed=f"--kind {kind}",
        )
    if options.properties:
        raise errors.UsageError(
            "Single properties and the rollback of a kind do not go together.",
            hint="Make two restores of it.",
        )
