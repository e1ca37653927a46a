from django.test import TestCase


class Endpoints(TestCase):
    def test_ready_asks_the_database(self):
        self.assertEqual(self.client.get("/readyz").json(), {"ready": True})

    def test_metrics_count_requests(self):
        self.client.get("/healthz")
        self.assertIn("clinic_requests_total", self.client.get("/metrics").content.decode())
