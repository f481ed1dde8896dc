"""The limits of the jobs of a service."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class JobLimits:
    """The limits of jobs.

    at_once     jobs that run at once, beside the followed ones
    per_tenant  jobs of one tenant, or of everyone where there are no tenants, results that wait included
    disk        bytes of all requests and responses
    timeout     seconds that one job may run, its wait for a worker included
    life        seconds that the result of a job, or the reason of its failure, is kept
    request     the same as `timeout`, for a followed job: as long as a request
    """

    at_once: int
    per_tenant: int
    disk: int
    timeout: float
    life: float
    request: float
