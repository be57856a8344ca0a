"""Prints the median seconds from `start()` to the first answer, and those of another server: `start.py NODE SCRIPT`."""

import socket
import statistics
import subprocess
import sys
import time
from http.client import HTTPConnection

import coze_auth_mock


def ours():
    began = time.perf_counter()
    with coze_auth_mock.start() as mock:
        mock.control("GET", "/health")
        return time.perf_counter() - began


def theirs(node, script):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    began = time.perf_counter()
    server = subprocess.Popen([node, script, str(port)])
    try:
        while time.perf_counter() - began < 30:
            try:
                connection = HTTPConnection("127.0.0.1", port, timeout=10)
                connection.request("GET", "/.well-known/openid-configuration")
                connection.getresponse().read()
                return time.perf_counter() - began
            except OSError:
                time.sleep(0.0005)
        sys.exit("it does not answer")
    finally:
        server.kill()
        server.wait()


ours()
pairs = [(statistics.median(ours() for _ in range(5)), theirs(*sys.argv[1:])) for _ in range(7)]
print([statistics.median(one) for one in zip(*pairs)])
