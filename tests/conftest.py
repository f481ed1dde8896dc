"""Settings that every test shares."""

from __future__ import annotations

import os
import signal
import tempfile

from hypothesis import HealthCheck, settings

# The same examples on every run in CI; new ones each time on a developer's machine. A slow machine is no failure.
settings.register_profile(
    "developer", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("ci", settings.get_profile("developer"), derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "developer")

# Plans depend on constants that a developer may have tuned: tests use the defaults.
os.environ["HETORCH_TUNING"] = os.path.join(tempfile.gettempdir(), "hetorch-tests", "no-tuning.json")

# A job in the background is started with SIGINT ignored, and so are its children; tests send that signal.
signal.signal(signal.SIGINT, signal.default_int_handler)
