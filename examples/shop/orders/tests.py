import json

from django.conf import settings
from django.test import TestCase

from orders.models import Order
from orders.queue import QUEUE, connect, take
from orders.work import process


class ApiTests(TestCase):
    def test_is_alive(self):
        self.assertEqual(self.client.get("/healthz").content, b"ok\n")

    def test_is_ready_with_its_services(self):
        response = self.client.get("/ready")
        self.assertEqual(response.status_code, 200, response.content)

    def test_counts_primes(self):
        self.assertEqual(self.client.get("/compute/prime?n=100").json(), {"n": 100, "count": 25, "largest": 97})
        self.assertEqual(self.client.get("/compute/prime?n=0").json()["count"], 0)
        self.assertEqual(self.client.get("/compute/prime?n=2").json()["largest"], 2)

    def test_refuses_bad_numbers(self):
        for text in ("", "-1", "x", "100001"):
            self.assertEqual(self.client.get(f"/compute/prime?n={text}").status_code, 400)

    def test_takes_and_lists_orders(self):
        response = self.client.post("/orders", json.dumps({"item": "tea", "quantity": 2}), "application/json")
        self.assertEqual(response.status_code, 201)
        self.assertEqual(self.client.get("/orders").json()["orders"][0]["item"], "tea")

    def test_refuses_bad_orders(self):
        for body in ("", "[]", '{"item": ""}', '{"item": "tea", "quantity": 0}'):
            self.assertEqual(self.client.post("/orders", body, "application/json").status_code, 400, body)

    def test_counts_requests_by_route(self):
        self.client.get("/compute/prime?n=5")
        text = self.client.get("/metrics").content.decode()
        self.assertRegex(text, r'http_requests_total\{method="GET",path="/compute/prime",status="200"\} [1-9]')


class WorkerTests(TestCase):
    def test_packs_an_order_once(self):
        order = Order.objects.create(item="tea", quantity=1)
        self.assertTrue(process(order.id))
        self.assertFalse(process(order.id))
        order.refresh_from_db()
        self.assertEqual(order.state, "packed")

    def test_queue_keeps_the_order(self):
        if not settings.REDIS_HOST:
            self.skipTest("no Redis here")
        client = connect()
        client.delete(QUEUE)
        for body in ({"item": "a"}, {"item": "b"}):
            self.client.post("/orders", json.dumps(body), "application/json")
        taken = [Order.objects.get(id=take(client)).item for _ in range(2)]
        self.assertEqual(taken, ["a", "b"])
