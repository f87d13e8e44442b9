"""The plain ends of a repository: its configuration and its key slots, as they are stored.

``docs/format.md`` sections 4 and 5 govern this module.
"""

from __future__ import annotations

import datetime as dt
import hmac
from collections.abc import Mapping, Sequence
from typing import Any

from reentra import clock as clocks
from reentra import errors

from .keys import (
    FORMAT_VERSION,
    Keyring,
    Slot,
    canonical_json,
    parse_canonical_json,
    parse_slot,
)
from .storage import NotStored, Storage

CONFIG_PATH = "config"


def new_config(keyring: Keyring, created_at: dt.datetime) -> bytes:
    """Return the bytes of a new repository's configuration."""
    fields: dict[str, object] = {
        "created_at": clocks.iso(created_at),
        "format": FORMAT_VERSION,
        "repository": keyring.repository_id,
    }
    return canonical_json({**fields, "mac": keyring.config_mac(fields)})


def load_config(storage: Storage) -> dict[str, Any]:
    """Fetch the configuration; its MAC is not verified yet.

    Raises: ``errors.NotFound``, ``errors.RepositoryDamaged``, ``errors.UnsupportedFormat``.
    """
    try:
        data = storage.get(CONFIG_PATH)
    except NotStored as error:
        raise errors.NotFound(
            f"There is no repository at {storage.url}.",
            hint="Name the right place, or make one.",
            typed="reentra init",
        ) from error
    config = parse_canonical_json(data, CONFIG_PATH)
    version = config.get("format")
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise errors.UnsupportedFormat(
            f"The repository at {storage.url} has format {version}; this version knows format"
            f" {FORMAT_VERSION}."
        )
    try:
        whole = (
            version == FORMAT_VERSION
            and len(bytes.fromhex(config["repository"])) == 16
            and len(bytes.fromhex(config["mac"])) == 32
        )
        clocks.parse_iso(config["created_at"])
    except (KeyError, TypeError, ValueError, AttributeError):
        whole = False
    if not whole:
        raise errors.RepositoryDamaged("config is damaged: a field is missing or makes no sense.")
    return config


def verify_config(config: Mapping[str, Any], keyring: Keyring) -> None:
    """Verify the configuration's MAC.

    Raises: ``errors.RepositoryDamaged``.
    """
    fields = {name: value for name, value in config.items() if name != "mac"}
    if not hmac.compare_digest(keyring.config_mac(fields), str(config["mac"])):
        raise errors.RepositoryDamaged("config is damaged: it is not as it was written.")


def load_slots(
    storage: Storage, repository_id: str
) -> tuple[list[Slot], list[errors.RepositoryDamaged]]:
    """Fetch the key slots, newest generation first, and what is wrong with the others."""
    slots: list[Slot] = []
    damaged: list[errors.RepositoryDamaged] = []
    for stored in storage.list_stored("keys"):
        try:
            slot = parse_slot(storage.get(stored.path), stored.path)
            if slot.repository_id != repository_id:
                raise errors.RepositoryDamaged(
                    f"The key slot {stored.path} belongs to another repository, or config does."
                )
            slots.append(slot)
        except NotStored:
            continue  # removed since the listing
        except errors.RepositoryDamaged as error:
            damaged.append(error)
    return sorted(slots, key=lambda slot: -slot.generation), damaged


def open_any(slots: Sequence[Slot], secret: str) -> tuple[Slot, Keyring] | None:
    """Return the first slot that ``secret`` opens, and its keyring. Slow on purpose."""
    for slot in slots:
        keyring = slot.open(secret)
        if keyring is not None:
            return slot, keyring
    return None
