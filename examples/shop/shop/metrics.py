"""Prometheus metrics of every request, by route and not by URL: a URL per order would be a series per order."""
import os
import time

from django.http import HttpResponse
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client import multiprocess

REQUESTS = Counter("http_requests_total", "Requests answered.", ["method", "path", "status"])
LATENCY = Histogram("http_request_duration_seconds", "Time to answer.", ["method", "path"])


class MetricsMiddleware:
    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        start = time.monotonic()
        response = self.get_response(request)
        match = request.resolver_match
        path = f"/{match.route}" if match else "unknown"
        if path != "/metrics":
            REQUESTS.labels(request.method, path, response.status_code).inc()
            LATENCY.labels(request.method, path).observe(time.monotonic() - start)
        return response


def metrics(_request):
    registry = REGISTRY
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
