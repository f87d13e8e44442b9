"""Reentra: backup and restore for Microsoft Entra ID tenants.

Reading order: ``directory`` (what a tenant is), ``graph`` (how Microsoft Graph is spoken to),
``repository`` (the encrypted store), ``snapshots``, ``backup``, ``catalog``, ``compare``,
``restore``, ``jobs``, ``app``, ``tasks``, ``cli``. Data moves in that direction and imports never
point back; ``.importlinter`` holds the contracts.
"""

__version__ = "0.1.0"
