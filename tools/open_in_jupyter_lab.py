"""Opens a notebook in JupyterLab in a headless Chromium, runs all cells there and takes pictures of the pages.

`open_in_jupyter_lab.py --kernel PYTHON --chromium CHROMIUM --out FOLDER NOTEBOOK.ipynb` runs under an interpreter that
has jupyterlab and playwright; the cells run under PYTHON, which has hetorch. Writes FOLDER/page-01.png and so on, and
FOLDER/NOTEBOOK.ipynb as JupyterLab saved it, and prints a line of JSON:

    cells        number of code cells
    errors       texts of the outputs that are errors
    warnings     texts on stderr
    overflowing  texts of the outputs that are wider than the page, so that they scroll sideways
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from playwright.sync_api import Page, sync_playwright

START_SECONDS = 60.0
"""Longest time for JupyterLab, or its page, to start, in seconds."""
RUN_SECONDS = 300.0
"""Longest time for all cells to run, in seconds."""
WIDTH, HEIGHT = 1280, 1000
"""Size of the window, in pixels."""
KERNEL = "hetorch-notebook"
"""The name of the kernel in the temporary folder."""
SETTINGS = {
    # All cells are in the page, and not only those that are seen.
    "notebook-extension/tracker": {"windowingMode": "none"},
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}

RUN_ALL = """async (seconds) => {
    const app = window.jupyterapp;
    await app.restored;
    const panel = app.shell.currentWidget;
    await panel.context.ready;
    await panel.sessionContext.ready;
    await panel.sessionContext.session.kernel.info;
    const late = new Promise((_, fail) => setTimeout(() => fail(new Error('the cells run too long')), 1000 * seconds));
    await Promise.race([app.commands.execute('notebook:run-all-cells'), late]);
    await app.commands.execute('docmanager:save');
}"""
OVERFLOWING = """() => [...document.querySelectorAll('.jp-OutputArea-output')]
    .filter(one => one.scrollWidth > one.clientWidth + 1)
    .map(one => one.textContent.slice(0, 200))"""


@contextmanager
def jupyter_lab(folder: Path, kernel: Path) -> Iterator[str]:
    """Give the address of a JupyterLab that shows `folder / "files"`, with its settings in `folder`, until the end."""
    spec = folder / "share" / "kernels" / KERNEL
    spec.mkdir(parents=True)
    command = [str(kernel), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec.joinpath("kernel.json").write_text(
        json.dumps({"argv": command, "display_name": "hetorch", "language": "python"})
    )
    for name, values in SETTINGS.items():
        path = folder / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
    runtime = folder / "runtime"
    environment = os.environ | {
        "JUPYTER_PATH": str(folder / "share"),
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTER_RUNTIME_DIR": str(runtime),
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
    }
    options = [
        *("--no-browser", "--ip=127.0.0.1", "--port=0", "--allow-root", "--expose-app-in-browser"),
        "--KernelManager.transport=ipc",  # by default, any user of this machine can send code to the kernel
        f"--ServerApp.root_dir={folder / 'files'}",
    ]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options], env=environment, stdout=log, stderr=log
        )
    try:
        yield _address(process, runtime, folder / "log")
    finally:
        process.terminate()
        process.wait(30)


def _address(process: subprocess.Popen[bytes], runtime: Path, log: Path) -> str:
    """Return the address of the notebook's page up to its name, with `%s` for the name."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        for path in runtime.glob("jpserver-*.json"):
            try:
                server = json.loads(path.read_text())
            except ValueError:  # it is being written
                continue
            return f"{server['url']}lab/tree/%s?token={server['token']}"
        time.sleep(0.2)
    raise RuntimeError(f"JupyterLab did not start: {log.read_text()[-2000:]}")


def run_cells(page: Page) -> None:
    """Run all cells of the notebook that the page shows, as the menu does, and save it when the last one has run."""
    page.wait_for_selector(".jp-CodeCell", timeout=1e3 * START_SECONDS)
    page.evaluate(RUN_ALL, RUN_SECONDS)
    page.wait_for_timeout(1000)  # pictures are drawn


def take_pictures(page: Page, out: Path) -> None:
    """Write a picture of each page of the notebook, from the top."""
    scroll = """(step) => {
        const boxes = [...document.querySelectorAll('.jp-NotebookPanel *, .jp-NotebookPanel')];
        const box = boxes.find(one => one.scrollHeight > one.clientHeight + 50
            && /auto|scroll/.test(getComputedStyle(one).overflowY));
        if (!box) return false;
        const before = box.scrollTop;
        box.scrollTop = step === 0 ? 0 : before + box.clientHeight - 40;
        return step === 0 || box.scrollTop > before;
    }"""
    number = 0
    while page.evaluate(scroll, number):
        number += 1
        time.sleep(0.3)
        page.screenshot(path=out / f"page-{number:02d}.png")


def main(arguments: list[str]) -> int:
    """Return the exit status: 0 if no cell had an error."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kernel", type=Path, required=True, metavar="PYTHON")
    parser.add_argument("--chromium", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("notebook", type=Path)
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        files = folder / "files"
        # Beside it are the Python files that it imports.
        shutil.copytree(options.notebook.parent, files)
        notebook = files / options.notebook.name
        content = json.loads(notebook.read_text())
        content["metadata"]["kernelspec"] = {"name": KERNEL, "display_name": "hetorch", "language": "python"}
        notebook.write_text(json.dumps(content))
        with jupyter_lab(folder, options.kernel.absolute()) as address:
            overflowing = _in_browser(address % notebook.name, options.chromium, options.out)
        result = _outputs(notebook) | {"overflowing": overflowing}
        shutil.copy(notebook, options.out / notebook.name)
    print(json.dumps(result))
    return 1 if result["errors"] else 0


def _in_browser(address: str, chromium: Path, out: Path) -> list[str]:
    """Run the notebook at that address, take pictures, and return the texts that are wider than the page."""
    with sync_playwright() as playwright:
        # Without its sandbox, because Chromium's does not start for root and in containers.
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto(address)
        try:
            run_cells(page)
        finally:
            take_pictures(page, out)
        overflowing = list(page.evaluate(OVERFLOWING))
        browser.close()
    return overflowing


def _outputs(notebook: Path) -> dict[str, Any]:
    """Return the number of code cells, the errors and the texts on stderr of a notebook that was run."""
    cells = [cell for cell in json.loads(notebook.read_text())["cells"] if cell["cell_type"] == "code"]
    outputs = [output for cell in cells for output in cell["outputs"]]
    return {
        "cells": len(cells),
        "errors": ["\n".join(one["traceback"]) for one in outputs if one["output_type"] == "error"],
        "warnings": ["".join(one["text"]) for one in outputs if one.get("name") == "stderr"],
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
