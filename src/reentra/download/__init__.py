"""A selection of a state as a zip of JSON, streamed.

The zip holds clear text: whoever writes it decides who may read it. Nothing here talks to Graph or
to the repository; any ``TenantState`` will do.
"""

from reentra.download.archive import DownloadReport, write_zip

__all__ = ["DownloadReport", "write_zip"]
