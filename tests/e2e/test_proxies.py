#!/usr/bin/env python3
"""The daemon behind haproxy and nginx, with the shipped example configurations."""
import concurrent.futures
import os
import shutil
import socket
import subprocess
import tempfile
import time
import unittest

import client
import hostile
from client import ROOT, chat_body, wait_until

CHAT = "/v1/chat/completions"
SILENCE_S = 1.0  # after so long a proxy that keeps a connection open has no more to say


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


class Proxy:
    """What both have in common; `front` is a Daemon's stand-in for requests through the proxy."""
    program = None

    def setUp(self):
        if not (shutil.which(self.program) or os.path.exists(f"/usr/sbin/{self.program}")):
            self.skipTest(f"no {self.program}")
        self.daemon = client.Daemon("--allowed-host", "*")
        self.addCleanup(self.daemon.__exit__)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.port = free_port()
        self.start()

    def program_path(self):
        return shutil.which(self.program) or f"/usr/sbin/{self.program}"

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def shipped(self, name):
        with open(os.path.join(ROOT, "config/examples", name), encoding="utf-8") as file:
            return (file.read().replace("127.0.0.1:8080", f"127.0.0.1:{self.daemon.port}")
                    .replace("127.0.0.1:8000", f"127.0.0.1:{self.port}"))

    def run_proxy(self, check, run):
        done = subprocess.run(check, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        process = subprocess.Popen(run, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)

        def serves():
            self.assertIsNone(process.poll(), f"{self.program} has ended")
            try:
                return self.front().get("/health").status == 200
            except OSError:
                return False

        wait_until(serves, f"{self.program} serves")

    def front(self):
        """The daemon, as seen through the proxy."""
        front = object.__new__(client.Daemon)
        front.port, front.unix_path = self.port, None
        return front

    def test_a_stream_arrives_as_it_is_made(self):
        stream = self.front().open_stream(CHAT, chat_body("Hi", max_tokens=1000000))
        self.assertEqual(stream.status, 200)
        events = iter(stream)
        for _ in range(5):
            next(events)
        self.assertEqual(self.daemon.metrics()["sinkd_generations_open"], 1)
        stream.close()
        wait_until(lambda: self.daemon.metrics()["sinkd_generations_open"] == 0,
                   "who leaves the proxy leaves the daemon")

    def test_a_conversation_goes_on(self):
        front = self.front()
        first = front.chat("Hello", "through-a-proxy").json["choices"][0]["message"]
        more = front.chat([{"role": "user", "content": "Hello"},
                           {"role": "assistant", "content": first["content"]},
                           {"role": "user", "content": "And?"}], "through-a-proxy")
        self.assertEqual(more.json["session"]["match"], "append")
        self.assertEqual(front.get("/v1/nothing").json["error"]["code"], "unknown_url")

    def test_nothing_is_smuggled(self):
        """What the daemon answers is what the client is told, however the two read a request."""
        def send(number):
            _, text, _ = hostile.REFUSED[number]
            received = b""
            with socket.create_connection(("127.0.0.1", self.port), client.PATIENCE_S) as sock:
                sock.settimeout(SILENCE_S)
                try:
                    sock.sendall(text.replace("{smuggled}", f"/smuggled-{number}-")
                                 .encode("latin-1"))
                    while more := sock.recv(65536):
                        received += more
                except (BrokenPipeError, ConnectionResetError, TimeoutError):
                    pass
            return received

        with concurrent.futures.ThreadPoolExecutor(len(hostile.REFUSED)) as pool:
            replies = list(pool.map(send, range(len(hostile.REFUSED))))
        time.sleep(0.1)
        for number, (name, _, _) in enumerate(hostile.REFUSED):
            with self.subTest(name):
                path = f"/smuggled-{number}-"
                n_said = replies[number].count(path.encode())
                n_answered = sum(path in line for line in self.daemon.log)
                self.assertEqual(n_answered, n_said, replies[number])
        self.assertEqual(self.front().get("/health").status, 200)


class HAProxy(Proxy, unittest.TestCase):
    program = "haproxy"

    def start(self):
        path = self.write("haproxy.cfg", self.shipped("haproxy.cfg"))
        self.run_proxy([self.program_path(), "-c", "-f", path],
                       [self.program_path(), "-db", "-f", path])


class Nginx(Proxy, unittest.TestCase):
    program = "nginx"

    def start(self):
        temp = "".join(f"{kind}_temp_path {self.folder}/{kind};\n"
                       for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        self.write("sinkd.conf", self.shipped("nginx.conf"))
        user = "user root;\n" if os.geteuid() == 0 else ""
        path = self.write("nginx.conf", f"{user}daemon off;\nworker_processes 1;\n"
                          f"pid {self.folder}/pid;\nerror_log {self.folder}/error.log;\n"
                          "events {}\nhttp {\naccess_log off;\n" + temp
                          + f"include {self.folder}/sinkd.conf;\n}}\n")
        command = [self.program_path(), "-p", self.folder, "-e", f"{self.folder}/error.log", "-c",
                   path]
        self.run_proxy([*command, "-t"], command)


if __name__ == "__main__":
    client.main()
