"""The connections to Graph: pooled, kept alive, without repeats of their own."""

from __future__ import annotations

from urllib.parse import urlsplit

import requests
import requests.adapters
from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import HTTPPolicy
from azure.core.rest import HttpRequest, HttpResponse

from reentra.graph.connection import is_loopback

_POOL_CONNECTIONS = 16
BLOCK_BYTES = 256 * 1024


def new_session(endpoint: str, ca_file: str) -> requests.Session:
    """Return a session with its proxies and trust read once.

    requests would look them up for every request, and a .netrc entry would even replace the token.
    """
    session = requests.Session()
    found = session.merge_environment_settings(endpoint, {}, None, ca_file or None, None)
    session.trust_env = False
    if not is_loopback(urlsplit(endpoint).hostname or ""):
        session.proxies.update(found["proxies"])
    session.verify = ca_file or found["verify"]
    # Repeats are the throttle's alone.
    adapter = requests.adapters.HTTPAdapter(
        pool_connections=2, pool_maxsize=_POOL_CONNECTIONS, max_retries=0
    )
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


class ReadWholePolicy(HTTPPolicy[HttpRequest, HttpResponse]):
    """Reads each answer whole, in large blocks; the last policy before the transport.

    Left to itself requests reads ten kilobytes at a time and azure-core cuts the result into four:
    a thousand turns for a page of users.
    """

    def send(
        self, request: PipelineRequest[HttpRequest]
    ) -> PipelineResponse[HttpRequest, HttpResponse]:
        request.context.options["stream"] = True
        response = self.next.send(request)
        response.http_response.read()
        return response
