import threading
import unittest
import urllib.request
from http.server import ThreadingHTTPServer

import api


class ApiTest(unittest.TestCase):
    def setUp(self):
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), api.Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def tearDown(self):
        self.server.shutdown()
        self.server.server_close()

    def test_health(self):
        with urllib.request.urlopen(f"{self.url}/healthz") as answer:
            self.assertEqual(answer.read(), b'{"status": "ok"}')


if __name__ == "__main__":
    unittest.main()
