"""The memory that a step of a program takes beyond what the process had before it. Linux only; elsewhere it is 0."""

from __future__ import annotations

import gc
from types import TracebackType

CLEAR_PEAK = "5"
"""What /proc/self/clear_refs takes to set the peak of resident memory to what is resident now."""


class StepMemory:
    """Measure `growth`, the peak of resident memory in the block in bytes above what was resident at its beginning."""

    growth = 0

    def __enter__(self) -> StepMemory:
        gc.collect()
        try:
            with open("/proc/self/clear_refs", "w") as file:
                file.write(CLEAR_PEAK)
        except OSError:
            self._before = -1
        else:
            self._before = _resident("VmRSS")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before >= 0:
            self.growth = max(0, _resident("VmHWM") - self._before)


def _resident(name: str) -> int:
    """Return a line of /proc/self/status in bytes."""
    with open("/proc/self/status") as status:
        return next(1024 * int(line.split()[1]) for line in status if line.startswith(name + ":"))
