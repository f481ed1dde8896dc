"""The status page: for operators only, without scripts, escaped, and fit for browsers, phones and screen readers."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest

from hetorch.server.settings import Settings
from hetorch.server.status_page import POLICY, status_page
from hetorch.server.tokens import issue, save_tokens
from hetorch.serving.models import ServedModel
from hetorch.wire.status import LogLine, ModelStatus, Status, WorkerStatus
from tests.server.live import live
from tests.wire.test_status import STATUS

EVIL = "<script>alert(1)</script>\"'&"


class Tags(HTMLParser):
    """The tags and texts of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_has_all_of_the_status_and_no_script() -> None:
    line = LogLine("2026-11-29T09:00:00+00:00", "warning", EVIL, EVIL)
    status = replace(STATUS, not_ready=(EVIL,), errors=(line,), answers={EVIL: 3})
    page = Tags(status_page(status))
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "img", "link", "iframe", "form", "object"})
    assert not any(
        name.startswith("on") or name == "src" for _, attributes in page.tags for name in attributes
    )
    assert page.text.count(EVIL) == 4
    for text in ("small", "abababababab", "17", "waits", "1.5 GB", "new thing", "Not ready"):
        assert text in page.text
    assert "Ready" in Tags(status_page(replace(STATUS, not_ready=()))).text


def test_the_policy_lets_the_style_sheet_pass_and_nothing_else() -> None:
    match = re.search("<style>(.*)</style>", status_page(STATUS), re.DOTALL)
    assert match is not None
    digest = base64.b64encode(hashlib.sha256(match[1].encode()).digest()).decode()
    policy = POLICY["Content-Security-Policy"]
    assert f"style-src 'sha256-{digest}'" in policy and policy.startswith("default-src 'none'")


@pytest.fixture(scope="module")
def guarded(served: ServedModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str, str]]:
    """Give the address of a server with tokens, the token of an operator, and one of a client."""
    path = tmp_path_factory.mktemp("tokens") / "tokens.json"
    operator, first = issue("operator", "us", operator=True)
    client, second = issue("client", "them")
    save_tokens(path, [first, second])
    with live({"small": served}, Settings(tokens=path)) as url:
        yield url, operator, client


def test_the_page_is_for_operators(guarded: tuple[str, str, str]) -> None:
    url, operator, client = guarded
    html = {"Accept": "text/html,application/xhtml+xml"}
    with httpx.Client(base_url=url, trust_env=False, headers=html) as http:
        anonymous = http.get("/v1/status")
        assert anonymous.status_code == 401
        assert anonymous.headers["www-authenticate"].startswith("Basic ")
        assert (
            http.get("/v1/models", auth=("x", operator)).status_code == 401
        )  # only here, where a browser asks
        assert http.get("/v1/status", auth=("x", client)).status_code == 403
        assert http.get("/v1/status", auth=("x", operator + "x")).status_code == 401
        assert http.get("/v1/status", headers={"Authorization": "Basic ?"}).status_code == 401
        page = http.get("/v1/status", auth=("anyone", operator))
        assert page.status_code == 200 and page.headers["content-type"] == "text/html; charset=utf-8"
        assert page.headers["content-security-policy"] == POLICY["Content-Security-Policy"]
        assert page.headers["cache-control"] == "no-store"
        assert "small" in page.text and operator not in page.text
        bearer = http.get("/v1/status", headers={"Authorization": f"Bearer {operator}", "Accept": "*/*"})
        assert bearer.json()["models"][0]["name"] == "small"


@pytest.mark.browser
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_in_a_browser(guarded: tuple[str, str, str], width: int, dark: bool, tmp_path: Path) -> None:
    """No scrolling sideways, all links reachable by keyboard, and no violation that axe-core knows."""
    playwright = pytest.importorskip("playwright.sync_api")
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    url, operator, _ = guarded
    messages: list[Any] = []
    with playwright.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
            http_credentials={"username": "operator", "password": operator},
            bypass_csp=False,
        )
        page = context.new_page()
        page.on("console", lambda message: messages.append(message.text))
        page.goto(f"{url}/v1/status")
        page.screenshot(path=str(tmp_path / "status.png"), full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("getComputedStyle(document.querySelector('dl')).borderRadius") != "0px"  # styled
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Load again"
        with page.expect_navigation():
            page.keyboard.press("Enter")
        assert page.title() == "Ready - hetorch server"
        assert messages == []
        check_axe(axe, page)
        page.set_content(status_page(full_status()))
        page.screenshot(path=str(tmp_path / "full.png"), full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        check_axe(axe, page)
        browser.close()


def check_axe(axe: Any, page: Any) -> None:
    """Fail if axe-core knows a violation on a page."""
    found = axe.Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def full_status() -> Status:
    """Return a status with long names and many lines."""
    line = LogLine("2026-11-29T09:00:00+00:00", "error", "the path " + "/very/long" * 30, "a" * 64)
    model = ModelStatus("m" * 128, "ab" * 32, 10**9, 1234.5)
    worker = WorkerStatus(4194304, "m" * 128, 99999.0)
    return replace(STATUS, models=(model,) * 3, workers=(worker,) * 3, errors=(line,) * 5)


def chromium() -> str | None:
    """Return the system's browser; None for that of playwright."""
    return next(
        (path for path in ("/usr/bin/chromium", "/usr/bin/chromium-browser") if Path(path).exists()), None
    )
