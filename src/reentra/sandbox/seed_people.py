"""Names, people, groups and devices in any number: plain rows, the same for the same index."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from sys import intern
from typing import Any, Final

from reentra.sandbox.rules_shape import security_identifier

FIRST_NAMES: Final = (
    "Ada", "Adele", "Alex", "Alina", "Amara", "Amir", "Ana", "Andre", "Anna", "Anton",
    "Aria", "Arjun", "Astrid", "Aylin", "Beatriz", "Ben", "Bianca", "Bruno", "Camila",
    "Carla", "Carlos", "Cem", "Chen", "Chiara", "Clara", "Daan", "Dana", "Daniel", "Daria",
    "David", "Diego", "Dina", "Elena", "Elias", "Elif", "Emil", "Emma", "Enzo", "Erik",
    "Esra", "Eva", "Fatima", "Felix", "Finn", "Fiona", "Freja", "Gabriel", "Giulia",
    "Grace", "Hana", "Hans", "Hassan", "Helena", "Hugo", "Ida", "Ines", "Ingrid", "Iris",
    "Isaac", "Ivan", "Jakub", "Jana", "Jens", "Joana", "Johan", "Jonas", "Julia", "Kai",
    "Karim", "Kasper", "Katja", "Kenji", "Lara", "Lars", "Laura", "Lea", "Leila", "Leon",
    "Lina", "Linh", "Luca", "Lucia", "Luis", "Maja", "Malik", "Mara", "Marco", "Maria",
    "Marta", "Mateo", "Maya", "Mei", "Mia", "Milan", "Mina", "Mohammed", "Nadia", "Naomi",
    "Nils", "Nina", "Noah", "Nora", "Olga", "Oliver", "Omar", "Oscar", "Paula", "Pedro",
    "Petra", "Priya", "Rafael", "Ravi", "Rosa", "Ruben", "Sana", "Sara", "Selma", "Simon",
    "Sofia", "Stefan", "Sven", "Tara", "Theo", "Tomas", "Uma", "Vera", "Victor", "Wei",
    "Yara", "Yusuf", "Zoe",
)  # fmt: skip
LAST_NAMES: Final = (
    "Abbas", "Adams", "Aydin", "Bakker", "Barros", "Becker", "Bell", "Berg", "Bianchi",
    "Brandt", "Castro", "Chen", "Costa", "Cruz", "Dahl", "Dang", "Davies", "Demir", "Diaz",
    "Dietrich", "Dubois", "Duarte", "Eriksen", "Evans", "Farias", "Ferrari", "Fischer",
    "Fontaine", "Foster", "Garcia", "Gomez", "Greco", "Gruber", "Haas", "Hansen", "Hassan",
    "Hayes", "Hoffmann", "Holm", "Horvat", "Hughes", "Ito", "Ivanov", "Jansen", "Jensen",
    "Johnson", "Jones", "Kaya", "Keller", "Khan", "Kim", "Klein", "Koch", "Kovac",
    "Kowalski", "Krause", "Kumar", "Lange", "Larsen", "Lee", "Lehmann", "Lima", "Lind",
    "Lopez", "Lund", "Maier", "Marino", "Martin", "Mendes", "Meyer", "Moreau", "Moreno",
    "Morris", "Mueller", "Murphy", "Nagy", "Nakamura", "Nguyen", "Nielsen", "Novak",
    "Nowak", "Okafor", "Olsen", "Ortega", "Osman", "Park", "Patel", "Pereira", "Peters",
    "Petrov", "Popescu", "Quinn", "Ramos", "Reyes", "Ribeiro", "Ricci", "Richter", "Rojas",
    "Romano", "Rossi", "Roth", "Sato", "Schmidt", "Schneider", "Schulz", "Silva", "Singh",
    "Smith", "Sousa", "Suzuki", "Svensson", "Tanaka", "Thomas", "Torres", "Tran", "Vargas",
    "Varga", "Vogel", "Wagner", "Walker", "Wang", "Weber", "Weiss", "Wilson", "Winkler",
    "Wolf", "Wong", "Wood", "Yilmaz", "Young", "Zhang", "Zimmermann",
)  # fmt: skip
DEPARTMENTS: Final = (
    "Sales", "Marketing", "Finance", "Engineering", "Operations", "Human Resources", "Legal",
    "Research", "Customer Care", "Purchasing", "Logistics", "Quality", "IT", "Facilities",
    "Communications", "Security",
)  # fmt: skip
TITLES: Final = (
    "Analyst", "Account Manager", "Engineer", "Senior Engineer", "Team Lead", "Director",
    "Specialist", "Consultant", "Coordinator", "Assistant", "Architect", "Controller", "Buyer",
    "Planner", "Recruiter", "Technician", "Product Manager", "Scientist", "Designer", "Counsel",
)  # fmt: skip
PLACES: Final = (
    ("Hamburg", "Hamburg", "Germany", "DE", "20095", "Am Sandtorkai", "de-DE", "+49 40"),
    ("Munich", "Bavaria", "Germany", "DE", "80331", "Sendlinger Strasse", "de-DE", "+49 89"),
    ("Amsterdam", "Noord-Holland", "Netherlands", "NL", "1012", "Damrak", "nl-NL", "+31 20"),
    ("Lisbon", "Lisboa", "Portugal", "PT", "1100-148", "Rua Augusta", "pt-PT", "+351 21"),
    ("Milan", "Lombardy", "Italy", "IT", "20121", "Via Dante", "it-IT", "+39 02"),
    ("Copenhagen", "Hovedstaden", "Denmark", "DK", "1550", "Vesterbrogade", "da-DK", "+45 33"),
    ("Boston", "MA", "United States", "US", "02110", "State Street", "en-US", "+1 617"),
    ("Austin", "TX", "United States", "US", "78701", "Congress Avenue", "en-US", "+1 512"),
    ("Toronto", "ON", "Canada", "CA", "M5H 2N2", "Bay Street", "en-CA", "+1 416"),
    ("Tokyo", "Tokyo", "Japan", "JP", "100-0005", "Marunouchi", "ja-JP", "+81 3"),
    ("Singapore", "Singapore", "Singapore", "SG", "049318", "Raffles Place", "en-SG", "+65 6"),
    ("Sydney", "NSW", "Australia", "AU", "2000", "Pitt Street", "en-AU", "+61 2"),
)
COMPANIES: Final = ("Contoso", "Contoso Europe", "Contoso Services", "Fabrikam", "Adatum")
_TOPICS: Final = (
    "Project", "Region", "Site", "Team", "App Access", "Distribution", "Shared Files", "Training",
    "Approvers", "Readers", "Editors", "On Call", "Field", "Pilot", "Board", "Works Council",
)  # fmt: skip
_COLOURS: Final = (
    "Amber", "Azure", "Cobalt", "Coral", "Crimson", "Emerald", "Indigo", "Ivory", "Jade", "Lilac",
    "Ochre", "Olive", "Onyx", "Pearl", "Ruby", "Saffron", "Scarlet", "Silver", "Teal", "Violet",
)  # fmt: skip
_NO_DATES: Final = "2024-11-04T08:00:00Z"


def bulk_guid(kind: str, index: int) -> str:
    """Return the object id of the index-th bulk object of a kind."""
    text = hashlib.blake2b(f"{kind}/{index}".encode(), digest_size=16).hexdigest()
    return intern(f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}")


def moment(number: int, first_year: int = 2019, years: int = 6) -> str:
    """Return some moment that depends on a number only."""
    spread = (number * 2654435761) & 0xFFFFFFFF
    year = first_year + spread % years
    return (
        f"{year}-{1 + spread // 7 % 12:02d}-{1 + spread // 89 % 28:02d}"
        f"T{7 + spread // 2503 % 11:02d}:{spread // 31 % 60:02d}:{spread // 1861 % 60:02d}Z"
    )


def user_rows(
    count: int, domain: str, licences: Sequence[dict[str, Any]], plans: Sequence[dict[str, Any]]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield users with about forty-five properties set, one in five synced from on premises."""
    policies = intern("None")
    for index in range(count):
        id_ = bulk_guid("user", index)
        first = FIRST_NAMES[index * 7 % len(FIRST_NAMES)]
        last = LAST_NAMES[(index * 13 + index // len(FIRST_NAMES)) % len(LAST_NAMES)]
        alias = intern(f"{first}.{last}.{index}".lower())
        city, state, country, code, post, street, language, phone = PLACES[index % len(PLACES)]
        department = DEPARTMENTS[index * 5 % len(DEPARTMENTS)]
        title = TITLES[index * 3 % len(TITLES)]
        company = COMPANIES[index % len(COMPANIES)]
        mail = intern(f"{alias}@{domain}")
        created = moment(index)
        synced = index % 5 == 4
        licensed = index % 4 != 3
        props: dict[str, Any] = {
            "accountEnabled": index % 40 != 39,
            "ageGroup": None,
            "assignedLicenses": list(licences) if licensed else [],
            "assignedPlans": list(plans) if licensed else [],
            "businessPhones": [f"{phone} {5550000 + index % 9999}"],
            "city": city,
            "companyName": company,
            "country": country,
            "createdDateTime": created,
            "department": department,
            "displayName": f"{first} {last}",
            "employeeHireDate": created,
            "employeeId": f"E{100000 + index}",
            "employeeOrgData": {"division": department, "costCenter": f"CC{index % 97:03d}"},
            "employeeType": "Employee" if index % 12 else "Contractor",
            "givenName": first,
            "identities": [
                {
                    "signInType": "userPrincipalName",
                    "issuer": domain,
                    "issuerAssignedId": mail,
                }
            ],
            "imAddresses": [mail],
            "jobTitle": title,
            "lastPasswordChangeDateTime": moment(index + 17, 2025, 1),
            "mail": mail,
            "mailNickname": alias,
            "mobilePhone": f"{phone} {7770000 + index % 9999}",
            "officeLocation": f"{city} {index % 9 + 1}/{index % 400 + 100}",
            "onPremisesExtensionAttributes": {
                f"extensionAttribute{n}": (f"{code}-{index % 50}" if n == 1 else None)
                for n in range(1, 16)
            },
            "otherMails": [f"{alias}@example.net"],
            "passwordPolicies": policies,
            "postalCode": post,
            "preferredLanguage": language,
            "proxyAddresses": [
                f"SMTP:{mail}",
                f"smtp:{first[0].lower()}{last.lower()}{index}@{domain}",
            ],
            "securityIdentifier": security_identifier(id_),
            "showInAddressList": True,
            "signInSessionsValidFromDateTime": created,
            "state": state,
            "streetAddress": f"{street} {index % 200 + 1}",
            "surname": last,
            "usageLocation": code,
            "userPrincipalName": mail,
            "userType": "Member",
        }  # fmt: skip
        if synced:
            props.update(
                {
                    "onPremisesDistinguishedName": f"CN={first} {last},OU={department},DC=corp,"
                    "DC=contoso,DC=com",
                    "onPremisesDomainName": "corp.contoso.com",
                    "onPremisesImmutableId": hashlib.blake2b(
                        alias.encode(), digest_size=12
                    ).hexdigest(),
                    "onPremisesLastSyncDateTime": "2026-01-05T07:30:00Z",
                    "onPremisesSamAccountName": alias[:20],
                    "onPremisesSecurityIdentifier": "S-1-5-21-1004336348-1177238915-682003330-"
                    f"{1000 + index}",
                    "onPremisesSyncEnabled": True,
                    "onPremisesUserPrincipalName": mail,
                }
            )
        yield id_, props


def group_rows(count: int, domain: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield groups: two thirds security, one third Microsoft 365."""
    for index in range(count):
        id_ = bulk_guid("group", index)
        colour, topic = _COLOURS[index % len(_COLOURS)], _TOPICS[index // 3 % len(_TOPICS)]
        name = f"{topic} {colour} {index:05d}"
        nickname = name.lower().replace(" ", "-")
        unified = index % 3 == 2
        created = moment(index + 5000)
        props: dict[str, Any] = {
            "createdDateTime": created,
            "description": f"{topic} of {DEPARTMENTS[index % len(DEPARTMENTS)]}",
            "displayName": name,
            "groupTypes": ["Unified"] if unified else [],
            "mailEnabled": unified,
            "mailNickname": nickname,
            "proxyAddresses": [f"SMTP:{nickname}@{domain}"] if unified else [],
            "renewedDateTime": created,
            "resourceBehaviorOptions": [],
            "resourceProvisioningOptions": [],
            "securityEnabled": not unified,
            "securityIdentifier": security_identifier(id_),
            "visibility": "Private" if unified else None,
        }
        if unified:
            props["mail"] = f"{nickname}@{domain}"
        yield id_, props


def device_rows(count: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield joined Windows machines."""
    for index in range(count):
        device_id = bulk_guid("deviceId", index)
        yield (
            bulk_guid("device", index),
            {
                "accountEnabled": True,
                "alternativeSecurityIds": [],
                "approximateLastSignInDateTime": "2026-01-04T16:20:00Z",
                "deviceId": device_id,
                "deviceOwnership": "Company",
                "deviceVersion": 2,
                "displayName": f"LAPTOP-{index:06d}",
                "isCompliant": index % 9 != 0,
                "isManaged": True,
                "manufacturer": "Contoso Hardware",
                "model": f"Book {index % 5 + 1}",
                "operatingSystem": "Windows",
                "operatingSystemVersion": "10.0.26100.4652",
                "physicalIds": [f"[USER-GID]:{device_id}:0000000000000000"],
                "profileType": "RegisteredDevice",
                "registrationDateTime": moment(index, 2023, 2),
                "systemLabels": [],
                "trustType": "AzureAd",
            },
        )


def memberships(groups: int, users: int, links_per_user: int) -> Iterator[tuple[int, range]]:
    """Yield each group's index with the indexes of its members, ``links_per_user`` a user in all.

    Members of a group are a stride through the users, so that a user's groups differ and no two
    are alike; one group in fifty is twenty times as large as the others.
    """
    wanted = users * links_per_user
    weights = [20 if index % 50 == 49 else 1 for index in range(groups)]
    unit = wanted / sum(weights)
    carried = 0.0
    for index, weight in enumerate(weights):
        carried += unit * weight
        size = min(int(carried), users)
        carried -= size
        stride = 1 + index % 7
        if size * stride > users:
            stride = max(1, users // max(size, 1))
        start = index * 7919 % max(1, users - (size - 1) * stride) if size else 0
        yield index, range(start, start + size * stride, stride)
