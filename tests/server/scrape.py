"""The numbers of a running server, as Prometheus reads them."""

from __future__ import annotations

import httpx
from prometheus_client.parser import text_string_to_metric_families

from hetorch.wire.addresses import METRICS


class Numbers:
    """The samples of one scrape."""

    def __init__(self, text: str) -> None:
        self._samples = [s for family in text_string_to_metric_families(text) for s in family.samples]

    def __call__(self, name: str, **labels: str) -> float:
        """Return the sum of the samples of `hetorch_NAME` that have these labels; 0 if there are none."""
        found = [
            s for s in self._samples if s.name == f"hetorch_{name}" and labels.items() <= s.labels.items()
        ]
        return sum(s.value for s in found)

    def has(self, name: str) -> bool:
        """True if there is a sample of `hetorch_NAME`."""
        return any(s.name == f"hetorch_{name}" for s in self._samples)

    @property
    def series(self) -> int:
        """The number of time series."""
        return len(self._samples)

    @property
    def failed(self) -> float:
        """Answers of status 5xx other than 503."""
        return sum(
            s.value
            for s in self._samples
            if s.name == "hetorch_requests_total"
            and s.labels["status"].startswith("5")
            and s.labels["status"] != "503"
        )


def scrape(http: httpx.Client) -> Numbers:
    """Read the metrics of a server."""
    answer = http.get(METRICS)
    assert answer.status_code == 200, answer.text
    return Numbers(answer.text)


def scrape_url(url: str) -> Numbers:
    """Read the metrics of the server at an address."""
    with httpx.Client(base_url=url, trust_env=False) as http:
        return scrape(http)
