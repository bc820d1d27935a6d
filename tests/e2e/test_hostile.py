#!/usr/bin/env python3
"""Requests that nobody should send, and clients that take too much."""
import os
import re
import shutil
import socket
import threading
import unittest

import client
import hostile
from client import chat_body, wait_until

CHAT = "/v1/chat/completions"


def statuses(received):
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", received)]


def send_all(daemon, data):
    """Sends what the server wants to hear of it, and returns all that it says."""
    received = b""
    with daemon.dial() as sock:
        try:
            sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it had heard enough
        try:
            while more := sock.recv(65536):
                received += more
        except ConnectionResetError:
            pass
    return received


class Framing(client.DaemonCase):
    def test_each_is_refused_and_nothing_behind_it_is_read(self):
        for name, text, allowed in hostile.REFUSED:
            with self.subTest(name):
                received = send_all(self.daemon,
                                    text.replace("{smuggled}", "/smuggled").encode("latin-1"))
                found = [status for status in statuses(received) if status != 100]
                # libmicrohttpd sends the head of its own refusals twice, and closes.
                self.assertLessEqual(len(set(found)), 1, received)
                self.assertIn(found[0] if found else (), allowed)
                if found and found[0] != 505:
                    self.assertNotIn(b"smuggled", received)
        self.assertEqual(self.daemon.get("/health").status, 200)
        self.assertNotIn("smuggled", "".join(self.daemon.log))

    def test_what_is_only_wrong_keeps_the_connection_sound(self):
        for name, text, status in hostile.WRONG:
            with self.subTest(name):
                last = "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
                received = send_all(self.daemon, (text + last).encode())
                found = statuses(received)
                self.assertEqual(len(found), 2, received)
                self.assertIn(found[0], (status,) if status else (200, 400, 404))
                self.assertEqual(found[1], 200)
                self.assertNotIn(b"root:", received)

    def test_pipelined_requests_are_answered_in_order(self):
        request = "GET /v1/models/m{} HTTP/1.1\r\nHost: localhost\r\n\r\n"
        last = "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        received = send_all(self.daemon, ("".join(request.format(i) for i in range(100))
                                          + last).encode())
        names = [int(name) for name in re.findall(rb"model 'm(\d+)'", received)]
        self.assertEqual(names, list(range(100)))
        self.assertEqual(statuses(received)[-1], 200)

    def test_chunks_with_extensions_and_trailers_are_a_body(self):
        body = ("5;a=b\r\n{\"mes\r\n" "9;c=\"d\"\r\nsages\":[]\r\n" "1\r\n}\r\n"
                "0\r\nX-Trailer: a\r\nContent-Length: 5\r\n\r\n")
        received = send_all(self.daemon, (
            f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            f"Transfer-Encoding: chunked\r\n\r\n{body}").encode())
        self.assertEqual(statuses(received), [400])
        self.assertIn(b"empty_array", received)

    def test_a_body_is_asked_for_only_when_it_is_wanted(self):
        with self.daemon.dial() as sock:
            body = client.json.dumps(chat_body("Hi", max_tokens=2)).encode()
            sock.sendall(f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
                         f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode())
            self.assertIn(b"100 Continue", sock.recv(4096))
            sock.sendall(body)
            self.assertIn(b"200 OK", sock.recv(4096))
        received = send_all(self.daemon, b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\n"
                            b"Expect: 100-continue\r\nContent-Length: 10\r\n\r\n")
        self.assertEqual(statuses(received), [404])

    def test_http_1_0_closes_unless_asked(self):
        received = send_all(self.daemon, b"GET /health HTTP/1.0\r\n\r\n")
        self.assertEqual(statuses(received), [200])


class Greed(unittest.TestCase):
    def test_a_reader_that_stalls_is_cut_and_harms_nobody(self):
        with client.Daemon("--stall-seconds", "1") as daemon:
            with daemon.dial() as sock:
                body = client.json.dumps({**chat_body("Hi", max_tokens=1 << 29),
                                          "stream": True}).encode()
                sock.sendall(f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\n"
                             f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
                self.assertTrue(sock.recv(100))  # and no more
                other = daemon.chat("Hello")
                self.assertEqual(other.status, 200)
                wait_until(lambda: daemon.metrics()["sinkd_generations_open"] == 0,
                           "the stream that nobody reads has ended")
            if not client.SHORT:  # a sanitizer has memory of its own
                self.assertLess(daemon.rss_kb(), 200_000)

    @unittest.skipUnless(shutil.which("prlimit"), "no prlimit")
    def test_descriptors_run_out_and_come_back(self):
        with client.Daemon(wrapper=["prlimit", "--nofile=64:64"]) as daemon:
            socks = []
            for _ in range(100):
                sock = socket.socket()
                sock.settimeout(client.PATIENCE_S)
                sock.connect(("127.0.0.1", daemon.port))
                socks.append(sock)
            socks[0].sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.assertIn(b"200 OK", socks[0].recv(4096))
            for sock in socks:
                sock.close()
            wait_until(lambda: daemon.get("/health").status == 200, "it serves again")
            wait_until(lambda: daemon.metrics()["sinkd_connections"] == 1, "all are gone")

    @unittest.skipIf(client.SHORT, "sanitizers need memory of their own")
    def test_who_waits_costs_little(self):
        # One session, and one that never stops speaking in it.
        with client.Daemon("--kv-memory", "1") as daemon:
            talker = daemon.open_stream(CHAT, chat_body("Hi", max_tokens=1 << 29))
            threading.Thread(target=lambda: list(talker), daemon=True).start()
            waiting = [daemon.open_stream(CHAT, chat_body("Hi")) for _ in range(50)]
            before = daemon.rss_kb()
            waiting += [daemon.open_stream(CHAT, chat_body("Hi")) for _ in range(200)]
            self.assertLess((daemon.rss_kb() - before) / 200, 40)
            wait_until(lambda: daemon.metrics()["sinkd_queue_depth"] == 250, "all wait")
            self.assertEqual(daemon.get("/health").status, 200)
            for stream in waiting:
                stream.close()
            wait_until(lambda: daemon.metrics()["sinkd_queue_depth"] == 0, "all have left")
            talker.close()

    def test_many_connections_leave_nothing_behind(self):
        with client.Daemon() as daemon:
            def open_files():
                return len(os.listdir(f"/proc/{daemon.process.pid}/fd"))

            def knock(n):
                for i in range(n):
                    with daemon.dial() as sock:
                        if i % 3 == 0:
                            sock.sendall(b"POST /v1/chat/comp")
                        elif i % 3 == 1:
                            sock.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")

            knock(50)
            wait_until(lambda: daemon.metrics()["sinkd_connections"] == 1, "all are gone")
            files, rss = open_files(), daemon.rss_kb()
            knock(200 if client.SHORT else 1000)
            wait_until(lambda: daemon.metrics()["sinkd_connections"] == 1, "all are gone")
            self.assertLessEqual(open_files(), files + 1)  # perhaps one more in between
            if not client.SHORT:
                self.assertLess(daemon.rss_kb(), rss + 4096)


if __name__ == "__main__":
    client.main()
