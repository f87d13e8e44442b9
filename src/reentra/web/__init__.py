"""The pages: what an administrator sees, on the same code as the API.

For: addresses under ``/`` that show and do what the API does, as HTML from the server.
Never: asks the catalog, the jobs or the tenant itself. A page gets what it shows through
``Visit.ask``, which calls a handler of the API with the person's own permissions, so that no page
can show or do what the API would refuse.

Invariants: every page works by its address alone; what it changes is a form that is sent once and
carries the session's CSRF token; no script, style or picture comes from elsewhere or stands in the
page itself.

Read: ``visiting``, ``routing``, ``rendering``, ``application``, then one page, ``overview``.
"""

from reentra.web.application import make_app

__all__ = ["make_app"]
