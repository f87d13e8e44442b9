"""Restore: from a difference to a plan, from a plan to Graph, with proof.

``plan`` compares a snapshot with the live tenant inside a selection and says, step by step, what
would be written; it writes nothing. ``apply`` carries a plan out, and is the only code of the
product that imports ``graph.writer``. ``verify`` reads back what was written.

Invariants: nothing outside the selection is changed; what is equal costs no write; intent is
durable before each write, and an intended write is looked at before it is repeated; a plan holds
no secret; a new id is in the identity map, durably, before anything else is written.

``plan`` and the modules below it talk to ``directory.state`` protocols only: no network, no
repository, no database.

Read in this order: ``steps``, ``identity``, ``bodies``, ``observed``, ``choices``, ``matching``,
``links``, ``unlinking``, ``subscriptions``, ``licences``, ``prerequisites``, ``object_steps``,
``repairs``, ``followups``, ``rollback``, ``plan``, ``order``, ``refusals``, ``administrators``,
``conditional_access``, ``principals``, ``lockout``, ``break_glass``, ``own_application``,
``safety``, ``journal``, ``capture``, ``look``, ``advice``, ``outcomes``, ``apply``, ``verify``,
``report``, ``deeds``, ``wanted``, ``undo``.
"""
