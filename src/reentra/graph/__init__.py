"""How we talk to Microsoft Graph: the only home of HTTP towards it.

It knows requests, pages, tokens and limits; what the objects mean is told by ``directory``. It
never decides what to back up or restore, and never logs a body, a token or a secret.

Invariants: a token is sent only to the configured host; there is one retry loop, in ``throttle``;
a write whose reply was lost raises ``errors.OutcomeUnknown`` and is never repeated from here;
a page that could not be read whole is an error, never an empty page.

Read in this order: ``connection`` and ``auth`` (who we are), ``pace`` (how fast), ``throttle``
(when to repeat), ``usage`` (what it cost), ``odata`` (errors, links, pages), ``batch``,
``transport``, ``client``, ``prefetch``, ``reader`` (a tenant as it is now), ``writer`` (the only
code that changes it; only ``restore.apply`` may import it). Begin with ``client.connect``.
"""
