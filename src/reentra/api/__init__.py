"""The REST interface under ``/api/v1``, on Litestar: what the command line can do, for scripts.

It decides nothing: ``guarding`` asks ``access`` before a handler runs, handlers call what the
command line calls, and a changing request is in the audit trail before it is carried out. Handlers
are synchronous and run in threads.

Invariants: a route that does not say what it needs is closed; every error is a problem document
with the product's code and hint; nothing of one tenant is reached under another's address; no
secret is in an answer, but for those that are shown once when they are made.

Read in this order: ``routing`` (what a route says), ``guarding``, ``hardening``, ``problems``,
``serving``, then a resource, then ``application``.
"""

from reentra.api.application import make_api
from reentra.api.serving import Serving

__all__ = ["Serving", "make_api"]
