"""Resources of a block: processor time and memory as the operating system counts them, and the live line."""

from __future__ import annotations

import mmap
import os
import resource
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from hetorch.errors import InputError
from hetorch.inspect import resources
from hetorch.inspect.resource_display import line
from hetorch.inspect.resource_samples import ResourceSample, memory_now
from tests.terminal import at_terminal

MEGABYTE = 1 << 20


def spin(seconds: float) -> None:
    """Use that much processor time of this thread."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_processor_time_of_all_threads_is_that_of_the_system() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF)
    with resources(interval=0.02) as watched:
        threads = [threading.Thread(target=spin, args=(0.15,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    after = resource.getrusage(resource.RUSAGE_SELF)
    counted = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    # What it counts lies between what the threads used and what the system counted around it (in steps of up to 10 ms).
    assert 0.3 <= watched.cpu_seconds <= counted + 0.02
    assert watched.mean_cpu == pytest.approx(watched.cpu_seconds / watched.seconds)
    # The samples' shares add up to the whole, as there is one at the end.
    times = [0.0, *(sample.seconds for sample in watched.samples)]
    used = sum(
        sample.cpu * (end - begin)
        for sample, begin, end in zip(watched.samples, times[:-1], times[1:], strict=True)
    )
    assert used == pytest.approx(watched.cpu_seconds, abs=0.02)


def test_the_peak_of_memory_is_seen_between_samples() -> None:
    high = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - memory_now()
    size = max(high, 0) + 64 * MEGABYTE
    with resources(interval=60) as watched, mmap.mmap(-1, size) as memory:
        for place in range(0, size, mmap.PAGESIZE):
            memory[place] = 1
    # Linux counts resident pages in batches of each thread, so that it is a little behind.
    assert size - 4 * MEGABYTE <= watched.added_bytes <= size + 48 * MEGABYTE
    assert watched.peak_bytes >= max(sample.memory_bytes for sample in watched.samples)
    again = watched.seconds, watched.cpu_seconds, watched.peak_bytes
    spin(0.02)
    assert again == (watched.seconds, watched.cpu_seconds, watched.peak_bytes)


def test_samples_are_taken_while_the_block_runs_and_none_after_it() -> None:
    with pytest.raises(KeyError), resources(interval=0.01) as watched:
        deadline = time.monotonic() + 30
        while len(watched.samples) < 5 and time.monotonic() < deadline:
            time.sleep(0.01)
        raise KeyError
    count = len(watched.samples)
    assert count >= 6 and not any(t.name == "hetorch-resources" for t in threading.enumerate())
    frame = watched.to_dataframe()
    assert list(frame.columns) == ["seconds", "cpu", "memory_bytes"] and len(frame) == count
    assert frame["seconds"].is_monotonic_increasing


def test_it_is_a_line_of_text() -> None:
    with resources() as watched:
        pass
    assert f"CPU {watched.mean_cpu:.2f} of {len(os.sched_getaffinity(0))} on average" in str(watched)
    assert f">{watched}</pre>" in watched._repr_html_() and repr(watched) == f"Resources({watched})"
    samples = [ResourceSample(float(n), cpu, 5_000_000 - n) for n, cpu in enumerate((0.0, 1.0, 4.0))]
    assert line(samples, 2).startswith("CPU 4.00 of 2 " + " " * 17 + "▁▅█  memory 5 MB (peak 5 MB)  2.0 s")
    assert line([], 2) == ""


@pytest.mark.parametrize("interval", [0, -1, 61, float("nan"), "1", True, None])
def test_wrong_intervals_are_told(interval: object) -> None:
    watch = resources(interval=interval)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"interval must be a time from 0\.005 to 60 seconds"), watch:
        pass


LIVE = """
import time
import hetorch.progress
from hetorch.inspect import resources
from hetorch.progress import reporting
hetorch.progress.QUIET_SECONDS = 0.0
with resources(interval=0.02{options}):
    with reporting(None, "some work") as report:
        report("some work", 0.5)
        time.sleep(0.5)
"""


def test_a_live_line_shares_the_terminal_with_the_progress_of_the_block() -> None:
    shown = at_terminal(LIVE.format(options=""))
    assert "CPU" in shown and "some work" in shown and "\x1b[?25h" in shown.split("some work")[-1]
    assert "CPU" not in at_terminal(LIVE.format(options=", live=False"))


def test_nothing_is_shown_where_nobody_looks() -> None:
    result = subprocess.run(
        [sys.executable, "-c", LIVE.format(options="")],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert result.stdout == result.stderr == ""


def test_a_notebook_renews_one_output() -> None:
    import nbclient
    import nbformat

    source = (
        "import time\nfrom hetorch.inspect import resources\n"
        "with resources(interval=0.05) as watched:\n    time.sleep(1.0)\nwatched"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    live, last = notebook.cells[0].outputs
    assert live.output_type == "display_data" and live.data["text/plain"].startswith("CPU ")
    assert "on average" in last.data["text/html"]


def test_numpy_arrays_are_counted() -> None:
    with resources(interval=0.01, live=False) as watched:
        held = np.ones(8 * MEGABYTE)
        time.sleep(0.1)
    assert watched.samples[-1].memory_bytes >= held.nbytes
