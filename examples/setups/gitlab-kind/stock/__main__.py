from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from . import answer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        status, body = answer(self.path)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body.encode())


ThreadingHTTPServer(("", 8080), Handler).serve_forever()
