"""Limits that client and server share, or that one side sets for what the other sends.

Lengths of keys, weights, requests and responses are not here: they follow from the plan.
"""

from __future__ import annotations

MAX_ANSWER_BYTES = 1 << 16
"""Longest JSON answer that a client reads, in bytes, except for public plans. It must hold MAX_MODELS models."""

MAX_UPLOAD_REQUEST_BYTES = 4096
"""Longest request that begins an upload, in bytes; it has three short members."""

MAX_STATUS_BYTES = 1 << 20
"""Longest status of a server that a client reads, in bytes: some hundred models, and the last lines of its log."""

MAX_KEY_BYTES = 4 << 30
"""Most evaluation keys that a client makes for a plan unless its owner allows more, in bytes on the wire. In memory,
while they are made, keys take up to 6.4 times as much: 16 bytes for each 20-bit residue."""

MAX_SENTENCE_LENGTH = 600
"""Characters of a server's error sentence that a client repeats; the rest is cut off."""

MAX_MODELS = 256
"""Most models in a server's list that a client accepts."""

MAX_SERVER_TIMING_LENGTH = 512
"""Characters of the `Server-Timing` header that a client reads."""

SLOWEST_BYTES_PER_SECOND = 64 << 10
"""Lowest average speed of a body in either direction, in bytes per second. Either side breaks the connection off below
it, because a body that is held takes memory; a higher value shuts out clients on slower networks."""

REQUEST_SECONDS = 300.0
"""Longest time for one request unless a server's owner chooses another, its wait for a worker included, in seconds. A
client assumes it of a server that does not tell its limit (`hetorch.wire.time_limit`)."""

MAX_REQUEST_SECONDS = 7 * 24 * 3600.0
"""Longest time for one request of which a server can convince a client, in seconds."""

RETRY_AFTER_SECONDS = range(1, 5)
"""Pauses that a busy server asks for (`Retry-After`), in seconds, each time one of them at random."""

MIN_RETRY_AFTER_SECONDS = 0.1
"""Shortest pause of a client before it asks a busy server again, whatever the server says: it sends the whole body
each time."""
