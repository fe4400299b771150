"""A reverse proxy that counts the requests that it forwards, by operation."""

import collections
import http.client
import http.server
import threading
import time
import urllib.parse

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding"}


class CountingProxy:
    """Listens on a free port; `counts` maps operation names to requests."""

    def __init__(self, target):
        self.target = urllib.parse.urlsplit(target).netloc
        self.counts = collections.Counter()
        # how to disturb the next bodies of S3.GET: `cut`, or seconds to pause in the middle
        self.faults = collections.deque()
        self.lock = threading.Lock()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def forward(self):
                outer.forward(self)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = forward

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def forward(self, request):
        with self.lock:
            self.counts[operation(request)] += 1
        connection = http.client.HTTPConnection(self.target, timeout=60)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP}
        body = request.rfile.read(int(request.headers.get("content-length", 0)))
        connection.request(request.command, request.path, body, headers)
        response = connection.getresponse()
        content = response.read()
        request.send_response(response.status)
        for name, value in response.getheaders():
            if name.lower() not in HOP_BY_HOP | {"content-length", "date", "server"}:
                request.send_header(name, value)
        length = response.getheader("content-length") if request.command == "HEAD" else len(content)
        request.send_header("content-length", length or 0)
        request.end_headers()
        fault = self.faults.popleft() if operation(request) == "S3.GET" and self.faults else None
        if fault is None:
            request.wfile.write(content)
        else:
            request.wfile.write(content[: len(content) // 2])
            request.wfile.flush()
            if fault == "cut":
                request.close_connection = True
            else:
                time.sleep(fault)
                request.wfile.write(content[len(content) // 2 :])
        connection.close()

    def calls(self, *operations):
        return sum(self.counts[name] for name in operations)


def operation(request):
    """`PutItem`, `Decrypt`, ... from their header; for S3, the method."""
    target = request.headers.get("x-amz-target")
    return target.rsplit(".", 1)[-1] if target else f"S3.{request.command}"
