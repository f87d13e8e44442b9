"""An independent imitation of Microsoft Graph v1.0, for the demo, rehearsals and tests.

It is written from Graph's documented behaviour and imports nothing else of this project, so that
it can contradict it. It never talks to a network beyond the sockets it listens on.

Invariants: a refused write changes nothing; the same seed gives the same tenant, ids included;
what Graph refuses is refused here, with Graph's envelope and code; an unknown URL is answered
loudly.

Reading order: `clock`, `errors`, `schema` (which types and properties there are); `records`,
`links`, `lookup`, `changelog` and `tenant` that joins them (the state); `writes`, the table of
operations, and the `rules_*` behind it, `rules_shape` first (what may change the state); then the
HTTP side: `routes`, `reads`, `paging`, `delta`, `batch`, `throttle`, `faults`, `tokens`, `app`,
`http`, `serve`; and the seeds.
"""
