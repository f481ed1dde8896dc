"""Answers that do not come from a hetorch server but from something in front of it, or in its place: a proxy, a sign-in
page, another service. Each is told in one sentence: what it is, and what to do.
"""

from __future__ import annotations

import re

import httpx

from hetorch.quantities import size_text
from hetorch.user_information import without_user_information

MAX_TITLE_LENGTH = 80
"""Characters of a web page's title that a message repeats."""
MAX_LOCATION_LENGTH = 200
"""Characters of a redirect's target that a message repeats."""
_TITLE = re.compile(rb"<title[^>]*>([^<]{1,1000})</title", re.IGNORECASE)


def is_web_page(response: httpx.Response, body: bytes = b"") -> bool:
    """True if an answer is a web page: by its header, or by the beginning of its body. No message of ours begins so."""
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind in ("text/html", "application/xhtml+xml") or body.lstrip()[:1] == b"<"


def tell_web_page(url: str, body: bytes) -> str:
    """Return the sentence on a web page that came with success in place of an answer."""
    return (
        f"{url} answered with a web page{_title(body)}, as a sign-in page or another service does; open the address in "
        "a browser to see, and give the address of the service itself; is it a hetorch server?"
    )


def tell_refusal(url: str, response: httpx.Response, body: bytes, sent: int, *, signed: bool) -> str:
    """Return the sentence on a refusal without a sentence of ours.

    Args:
        url: the base address, without user information.
        response: the refusal.
        body: the beginning of its body.
        sent: bytes of the request's body.
        signed: True if the address has a name and a password.
    """
    status = response.status_code
    location = response.headers.get("location")
    if 300 <= status < 400 and location is not None:
        return _tell_redirect(url, response, location)
    match status:
        case 401 if signed:
            what = "refuses the name and password of the address; ask whoever runs it"
        case 401:
            what = (
                "asks for a name and a password, which its proxy demands; write them into the address: "
                "https://name:password@host"
            )
        case 403:
            what = "forbids the access, as a proxy or firewall does; ask whoever runs it to let you in"
        case 407:
            what = (
                "is behind a proxy that asks for a name and a password; write them into HTTPS_PROXY or HTTP_PROXY: "
                "http://name:password@proxy:port"
            )
        case 413:
            what = (
                f"is behind a proxy that takes no body of {size_text(sent)}, and the plan needs one; whoever runs it "
                "must raise the proxy's limit (nginx: client_max_body_size)"
            )
        case 429:
            what = "is behind a proxy that allows fewer requests; wait, or ask whoever runs it"
        case 502:
            what = (
                "is behind a proxy that does not reach the hetorch server; is `hetorch serve` running there?"
            )
        case 503:
            what = "is behind a proxy that has no hetorch server ready; is `hetorch serve` running there?"
        case 504:
            what = (
                "is behind a proxy that did not wait for the hetorch server's answer; whoever runs it must raise the "
                "proxy's limit above --request-timeout (nginx: proxy_read_timeout)"
            )
        case _:
            return f"{url} answered {status} without an explanation{_title(body)}; is it a hetorch server?"
    return f"{url} {what} (status {status}{_title(body)})"


def _tell_redirect(url: str, response: httpx.Response, location: str) -> str:
    """Return the sentence on a redirect: it is not followed, since whoever sends it would choose who gets the data."""
    try:
        target = response.request.url.join(location)
        shown = str(target.copy_with(username="", password="", query=None, fragment=None))
    except (httpx.InvalidURL, ValueError, TypeError):
        shown = without_user_information(location).partition("?")[0]
    shown = "".join(c if c.isprintable() else " " for c in shown)[:MAX_LOCATION_LENGTH]
    path = response.request.url.path.removeprefix(httpx.URL(url).path.rstrip("/"))
    if path and shown.endswith(path):
        remedy = f"if you trust that address, give it to the client: {shown.removesuffix(path)}"
    else:
        remedy = "is it a sign-in page? Give the address of the service itself"
    return (
        f"{url} redirects to {shown} (status {response.status_code}), which is not followed, so that nobody sends your "
        f"data elsewhere; {remedy}"
    )


def _title(body: bytes) -> str:
    """Return the title of a web page as an insertion into a sentence, fit for a terminal; empty if there is none."""
    match = _TITLE.search(body)
    if match is None:
        return ""
    text = "".join(c if c.isprintable() else " " for c in match[1].decode("utf-8", "replace"))
    return f" with the title {' '.join(text.split())[:MAX_TITLE_LENGTH]!r}"
