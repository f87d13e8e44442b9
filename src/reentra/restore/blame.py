"""Blame: which properties of a refused update Graph's error is about, so that the rest is written.

Pure. An update goes out as one PATCH, and one property that Graph refuses refuses them all.
Source of which need more than a permission when the user is privileged:
learn.microsoft.com/graph/api/resources/users (who can perform sensitive actions).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from reentra import errors

SENSITIVE_PROPERTIES = frozenset(
    {
        "accountEnabled",
        "businessPhones",
        "mobilePhone",
        "onPremisesImmutableId",
        "otherMails",
        "userPrincipalName",
    }
)
# Addresses that nobody writes, but that follow what is written.
_FOLLOW = {"proxyaddresses": "mail"}
_NAMED = re.compile(r"propert(?:y|ies):? ['\"]?([A-Za-z0-9_.@]+)", re.IGNORECASE)


def blamed_properties(
    kind: str, body: Mapping[str, Any], error: errors.GraphError
) -> frozenset[str]:
    """Return the properties of ``body`` that are to blame; never all that it holds.

    Empty when the error blames none, or nothing would be left to write.
    """
    named: set[str] = set()
    if isinstance(error, errors.Forbidden):
        if kind == "user":
            named = set(SENSITIVE_PROPERTIES & body.keys())
    elif isinstance(error, errors.InvalidRequest | errors.Conflict):
        by_name = {name.lower(): name for name in body}
        for text in (error.target, *_NAMED.findall(error.message)):
            first = re.split(r"[./]", text.lower())[0]
            for said in (first, _FOLLOW.get(first, "")):
                if said in by_name:
                    named.add(by_name[said])
    left = body.keys() - named - {"@odata.type"}
    return frozenset(named) if left else frozenset()
