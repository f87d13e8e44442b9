"""A selection of a state as a zip of JSON, streamed; sealed where it waits to be fetched.

The zip holds clear text: whoever writes it decides who may read it. Nothing here talks to Graph or
to the repository; any ``TenantState`` will do.
"""

from reentra.download.archive import DownloadReport, write_zip
from reentra.download.sealed import open_chunks, sealed_chunks

__all__ = ["DownloadReport", "open_chunks", "sealed_chunks", "write_zip"]
