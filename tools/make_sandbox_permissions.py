"""Make the sandbox's permission table from a table of Graph's documented permissions.

Usage: python tools/make_sandbox_permissions.py PERMISSIONS.tsv

The input has the columns path, method, least app-only, other app-only, delegated only, also
required; the output is src/reentra/sandbox/data/permissions.json, for the paths that the sandbox
serves.
"""

from __future__ import annotations

import csv
import json
import re
import sys
from pathlib import Path

_SERVED = re.compile(
    r"^/(users|groups|applications|serviceprincipals|devices)(/delta|/\{id\}"
    r"(/(manager|sponsors|owners|members|memberof|transitivememberof|transitivemembers|directreports"
    r"|ownedobjects|owneddevices|registereddevices|registeredowners|registeredusers|licensedetails"
    r"|approleassignments|approleassignedto|assignlicense|settings|federatedidentitycredentials"
    r"|extensionproperties|addpassword|removepassword|oauth2permissiongrants|getmembergroups"
    r"|getmemberobjects)(/\{id\})?)?)?$"
    r"|^/(domains|organization|groupsettings|directoryroles|directoryroletemplates|subscribedskus"
    r"|oauth2permissiongrants|invitations|directoryobjects)(/\{id\}|/delta|/getbyids|/getavailableextensionproperties"
    r"|/\{id\}/(members|domainnamereferences|verify|promote|forcedelete|getmembergroups"
    r"|getmemberobjects))?$"
    r"|^/policies/(authorizationpolicy|identitysecuritydefaultsenforcementpolicy"
    r"|adminconsentrequestpolicy|deviceregistrationpolicy|authenticationmethodspolicy"
    r"|crosstenantaccesspolicy|crosstenantaccesspolicy/default)$"
    r"|^/policies/crosstenantaccesspolicy/partners(/\{id\})?$"
    r"|^/policies/authenticationmethodspolicy/authenticationmethodconfigurations/\{id\}$"
    r"|^/policies/(claimsmapping|tokenlifetime|tokenissuance|homerealmdiscovery"
    r"|activitybasedtimeout)policies(/\{id\}(/appliesto)?)?$"
    r"|^/(applications|serviceprincipals)/\{id\}/(claimsmapping|tokenlifetime|tokenissuance"
    r"|homerealmdiscovery)policies(/\{id\})?$"
    r"|^/policies/authenticationstrengthpolicies(/\{id\}(/updateallowedcombinations)?)?$"
    r"|^/grouplifecyclepolicies(/\{id\})?$"
    r"|^/identity/conditionalaccess/authenticationcontextclassreferences(/\{id\})?$"
    r"|^/identity/conditionalaccess/(policies|namedlocations)(/\{id\})?$"
    r"|^/identity/conditionalaccess/deleteditems/(policies|namedlocations)(/\{id\}(/restore)?)?$"
    r"|^/rolemanagement/directory/(roledefinitions|roleassignments|roleeligibilityschedules"
    r"|roleeligibilityschedulerequests)(/\{id\})?$"
    r"|^/rolemanagement/directory/deleteditems/roledefinitions(/\{id\}(/restore)?)?$"
    r"|^/directory/administrativeunits(/delta|/\{id\}(/(members|scopedrolemembers)(/\{id\})?)?)?$"
)
_TARGET = Path(__file__).resolve().parents[1] / "src/reentra/sandbox/data/permissions.json"


def main(source: str) -> None:
    """Write the table."""
    table: dict[str, dict[str, list[str]]] = {}
    with Path(source).open(encoding="utf-8", newline="") as handle:
        for row in csv.reader(handle, delimiter="\t"):
            path, method, least, others, delegated = row[:5]
            if not _SERVED.match(path):
                continue
            names = {n for part in (least, others) if part != "-" for n in part.split(",") if n}
            if names or delegated:
                table.setdefault(path, {})[method] = sorted(names)
    text = ",\n".join(
        f"{json.dumps(path)}: {json.dumps(methods, sort_keys=True)}"
        for path, methods in sorted(table.items())
    )
    _TARGET.write_text("{\n" + text + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
