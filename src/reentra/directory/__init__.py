"""What a tenant is: kinds, relationships, objects, and when two objects are the same.

Pure data and functions; no network, no files, no database. Adding a Microsoft Graph resource type
is a row in ``kinds`` (and in ``relationships``), never a class. Properties nobody here knows are
kept as they came.

Invariants: ids and property names keep Graph's spelling; a ``DirectoryObject`` holds what Graph
returned without transport annotations; ``canonical`` alone decides what counts as a change.

Read in this order: ``objects``, ``kinds``, ``relationships``, ``canonical``, ``references``,
``state``, ``selection``.
"""
