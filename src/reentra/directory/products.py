"""What Microsoft's products are called, by the part number of their SKU. A table.

Source: learn.microsoft.com/entra/identity/users/licensing-service-plan-reference. What is not in it
goes by its part number, which Graph always gives.
"""

from __future__ import annotations

from collections.abc import Mapping

PRODUCTS: Mapping[str, str] = {
    "AAD_BASIC": "Microsoft Entra Basic",
    "AAD_PREMIUM": "Microsoft Entra ID P1",
    "AAD_PREMIUM_P2": "Microsoft Entra ID P2",
    "ADALLOM_STANDALONE": "Microsoft Defender for Cloud Apps",
    "ATA": "Microsoft Defender for Identity",
    "ATP_ENTERPRISE": "Microsoft Defender for Office 365 (Plan 1)",
    "DESKLESSPACK": "Office 365 F3",
    "DEVELOPERPACK": "Office 365 E3 Developer",
    "DEVELOPERPACK_E5": "Microsoft 365 E5 Developer",
    "EMS": "Enterprise Mobility + Security E3",
    "EMSPREMIUM": "Enterprise Mobility + Security E5",
    "ENTERPRISEPACK": "Office 365 E3",
    "ENTERPRISEPREMIUM": "Office 365 E5",
    "ENTERPRISEPREMIUM_NOPSTNCONF": "Office 365 E5 without Audio Conferencing",
    "ENTERPRISEWITHSCAL": "Office 365 E4",
    "EXCHANGEARCHIVE_ADDON": "Exchange Online Archiving for Exchange Online",
    "EXCHANGEDESKLESS": "Exchange Online Kiosk",
    "EXCHANGEENTERPRISE": "Exchange Online (Plan 2)",
    "EXCHANGESTANDARD": "Exchange Online (Plan 1)",
    "FLOW_FREE": "Microsoft Power Automate Free",
    "IDENTITY_THREAT_PROTECTION": "Microsoft 365 E5 Security",
    "INFORMATION_PROTECTION_COMPLIANCE": "Microsoft 365 E5 Compliance",
    "INTUNE_A": "Microsoft Intune Plan 1",
    "M365EDU_A1": "Microsoft 365 A1",
    "M365EDU_A3_FACULTY": "Microsoft 365 A3 for faculty",
    "M365EDU_A3_STUDENT": "Microsoft 365 A3 for students",
    "M365EDU_A5_FACULTY": "Microsoft 365 A5 for faculty",
    "M365EDU_A5_STUDENT": "Microsoft 365 A5 for students",
    "M365_F1": "Microsoft 365 F1",
    "MCOEV": "Microsoft Teams Phone Standard",
    "MCOMEETADV": "Microsoft 365 Audio Conferencing",
    "MCOPSTN1": "Microsoft 365 Domestic Calling Plan",
    "MCOPSTN2": "Microsoft 365 Domestic and International Calling Plan",
    "MCOSTANDARD": "Skype for Business Online (Plan 2)",
    "MEETING_ROOM": "Microsoft Teams Rooms Standard",
    "Microsoft_365_Copilot": "Microsoft 365 Copilot",
    "Microsoft_Teams_Premium": "Microsoft Teams Premium",
    "O365_BUSINESS": "Microsoft 365 Apps for business",
    "O365_BUSINESS_ESSENTIALS": "Microsoft 365 Business Basic",
    "O365_BUSINESS_PREMIUM": "Microsoft 365 Business Standard",
    "OFFICESUBSCRIPTION": "Microsoft 365 Apps for enterprise",
    "PBI_PREMIUM_PER_USER": "Power BI Premium Per User",
    "PHONESYSTEM_VIRTUALUSER": "Microsoft Teams Phone Resource Account",
    "POWERAPPS_DEV": "Microsoft Power Apps for Developer",
    "POWERAPPS_VIRAL": "Microsoft Power Apps Plan 2 Trial",
    "POWER_BI_PRO": "Power BI Pro",
    "POWER_BI_STANDARD": "Microsoft Fabric (Free)",
    "PROJECTPREMIUM": "Project Plan 5",
    "PROJECTPROFESSIONAL": "Project Plan 3",
    "PROJECT_P1": "Project Plan 1",
    "RIGHTSMANAGEMENT": "Azure Information Protection Plan 1",
    "RIGHTSMANAGEMENT_ADHOC": "Rights Management Adhoc",
    "SHAREPOINTENTERPRISE": "SharePoint Online (Plan 2)",
    "SHAREPOINTSTANDARD": "SharePoint Online (Plan 1)",
    "SPB": "Microsoft 365 Business Premium",
    "SPE_E3": "Microsoft 365 E3",
    "SPE_E5": "Microsoft 365 E5",
    "SPE_F1": "Microsoft 365 F3",
    "STANDARDPACK": "Office 365 E1",
    "STANDARDWOFFPACK": "Office 365 E2",
    "STANDARDWOFFPACK_FACULTY": "Office 365 A1 for faculty",
    "STANDARDWOFFPACK_STUDENT": "Office 365 A1 for students",
    "STREAM": "Microsoft Stream",
    "TEAMS_EXPLORATORY": "Microsoft Teams Exploratory",
    "THREAT_INTELLIGENCE": "Microsoft Defender for Office 365 (Plan 2)",
    "VISIOCLIENT": "Visio Plan 2",
    "VISIOONLINE_PLAN1": "Visio Plan 1",
    "WINDOWS_STORE": "Windows Store for Business",
    "WIN_DEF_ATP": "Microsoft Defender for Endpoint",
}


def product_name(part_number: str) -> str:
    """Return what a product is called; its part number when the table does not know it."""
    return PRODUCTS.get(part_number, part_number)
