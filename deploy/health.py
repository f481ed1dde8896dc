"""Ask the server of this container whether it is alive; the exit status is 0 if it is.

Its address is in the ready file, which exists while the server accepts connections.
"""

from __future__ import annotations

import os
import ssl
import sys
import urllib.request

ADDRESS = "/v1/health/live"
SECONDS = 4.0
"""Longest wait for the answer, in seconds; below the timeout of the health check in the Dockerfile."""


def main() -> int:
    """Ask once."""
    try:
        with open(os.environ["HETORCH_SERVE_READY_FILE"]) as file:
            url = file.read().strip().replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")
        # The certificate names the host that clients know, not this loopback address; nothing secret is sent.
        context = ssl._create_unverified_context()
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        with opener.open(url + ADDRESS, timeout=SECONDS) as answer:
            return 0 if answer.status == 200 else 1
    except (OSError, KeyError, ValueError) as error:
        print(f"not alive: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
