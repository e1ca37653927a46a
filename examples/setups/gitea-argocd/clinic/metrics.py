from prometheus_client import Counter

requests = Counter("clinic_requests", "Requests answered", ["method", "status"])


class CountRequests:
    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        response = self.get_response(request)
        requests.labels(request.method, str(response.status_code)).inc()
        return response
