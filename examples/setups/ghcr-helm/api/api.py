"""Takes parcels. The worker asks for them."""
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

waiting = []
lock = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    def reply(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/healthz":
            return self.reply(200, {"status": "ok"})
        if self.path == "/parcels/next":
            with lock:
                return self.reply(200, {"parcel": waiting.pop(0) if waiting else None})
        return self.reply(404, {"error": "unknown"})

    def do_POST(self):
        size = int(self.headers.get("content-length", "0"))
        with lock:
            waiting.append(self.rfile.read(size).decode())
        self.reply(201, {"waiting": len(waiting)})

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    ThreadingHTTPServer(("", 8080), Handler).serve_forever()
