"""Counts requests; methods and routes are closed lists, whatever a client sends."""

from __future__ import annotations

from collections.abc import Iterable

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from prometheus_client import CollectorRegistry, Counter

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def counting(registry: CollectorRegistry, tables: Iterable[web.RouteTableDef]) -> Middleware:
    """A middleware that counts by method, route and code, outside of all others."""
    total = Counter(
        "pmwatchd_api_requests_total",
        "Requests that were answered; a stream counts when it ends.",
        ["method", "route", "code"],
        registry=registry,
    )
    for table in tables:
        for route in table:
            if isinstance(route, web.RouteDef):
                total.labels(route.method, route.path, "200")

    @web.middleware
    async def count(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        method = request.method if request.method in METHODS else "other"
        resource = request.match_info.route.resource
        route = resource.canonical if resource else "unmatched"
        total.labels(method, route, str(response.status)).inc()
        return response

    return count
