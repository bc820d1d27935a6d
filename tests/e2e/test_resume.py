#!/usr/bin/env python3
"""Clients that do not read for a while, and clients that break off and come back."""
import json
import socket
import subprocess
import threading
import unittest

import client
from client import chat_body, wait_until

CHAT = "/v1/chat/completions"


def events_of(text):
    """[(id or None, payload)] of the whole events in a piece of a stream."""
    events = []
    for event in text.split("\n\n")[:-1]:
        lines = dict(line.split(": ", 1) for line in event.split("\n") if not line.startswith(":"))
        if "data" in lines:
            events.append((lines.get("id"), lines["data"]))
    return events


def text_of(payloads):
    chunks = [json.loads(payload) for payload in payloads if payload != "[DONE]"]
    return "".join(choice["delta"].get("content", "") for chunk in chunks
                   for choice in chunk["choices"])


class SlowReader:
    """Asks for a stream and reads nothing of it until it is told to."""

    def __init__(self, daemon, body):
        self.sock = socket.socket()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.sock.settimeout(client.PATIENCE_S)
        self.sock.connect(("127.0.0.1", daemon.port))
        data = json.dumps({**body, "stream": True}).encode()
        self.sock.sendall(b"POST %s HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s"
                          % (CHAT.encode(), len(data), data))

    def read_all(self):
        received = b""
        while more := self.sock.recv(65536):
            received += more
        self.sock.close()
        return [payload for _, payload in
                events_of(received.split(b"\r\n\r\n", 1)[1].decode("utf-8"))]


class SlowReaders(unittest.TestCase):
    def test_they_wait_alone_and_miss_nothing(self):
        # Long events fill the buffers with few tokens.
        body = chat_body("Tell me all of it", max_tokens=400, logprobs=True, top_logprobs=20)
        with client.Daemon("--threads", "1") as daemon:
            fast = list(daemon.open_stream(CHAT, body))
            slow = SlowReader(daemon, body)
            wait_until(lambda: daemon.metrics()["sinkd_requests_parked"] == 1, "it is parked")
            before = daemon.metrics()["sinkd_generated_tokens_total"]
            neighbour = list(daemon.open_stream(CHAT, chat_body("And you?", max_tokens=50)))
            self.assertEqual(neighbour[-1], "[DONE]")
            # While it is parked nothing is said for it.
            self.assertEqual(daemon.metrics()["sinkd_generated_tokens_total"], before + 50)
            got = slow.read_all()
            self.assertEqual(got[-1], "[DONE]")
            self.assertEqual(text_of(got), text_of(fast))
            metrics = daemon.metrics()
            self.assertEqual(metrics["sinkd_requests_parked"], 0)
            self.assertGreater(metrics["sinkd_send_delay_seconds_count"], 0)


class Returning(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.keys = client.key_file("one: first-key", "two: second-key")
        cls.daemon = client.Daemon("--resume-seconds", "600", "--api-key-file", cls.keys.name)

    @classmethod
    def tearDownClass(cls):
        cls.daemon.__exit__()
        cls.keys.close()

    def curl(self, *flags, body=None, key="first-key"):
        data = ["-d", json.dumps({**body, "stream": True})] if body else []
        return subprocess.Popen(["curl", "-sN", "-H", f"Authorization: Bearer {key}", *flags, *data],
                                stdout=subprocess.PIPE, text=True)

    def test_a_curl_that_dies_and_returns_gets_the_rest(self):
        url = f"http://127.0.0.1:{self.daemon.port}{CHAT}"
        body = chat_body("Tell me all of it", max_tokens=400)
        header = "X-Conversation-Id: broken"
        with self.curl(url, body=body) as whole:
            expected = text_of(payload for _, payload in events_of(whole.stdout.read()))
        with self.curl("-H", header, url, body=body) as first:
            lines = "".join(first.stdout.readline() for _ in range(30))
            first.kill()
        seen = events_of(lines)
        last_id = seen[-1][0]
        for again in ([url, "-H", header], [f"{url}/{last_id.split(':')[0]}"]):  # POST, then GET
            with self.curl("-i", "-H", f"Last-Event-ID: {last_id}", *again,
                           body=body if len(again) > 1 else None) as second:
                head, rest = second.stdout.read().split("\n\n", 1)
            self.assertIn("X-Sinkd-Session: attach;", head)
            payloads = [payload for _, payload in seen + events_of(rest)]
            self.assertEqual(text_of(payloads), expected)
            self.assertEqual(payloads[-1], "[DONE]")
        metrics = self.daemon.metrics({"Authorization": "Bearer first-key"})
        self.assertGreaterEqual(metrics['sinkd_session_match_total{kind="attach"}'], 2)
        with self.curl("-i", "-H", f"Last-Event-ID: {last_id}", url, body=body,
                       key="second-key") as other:
            self.assertIn(" 404 ", other.stdout.readline())
            other.stdout.read()

    def test_a_retry_while_the_first_is_speaking_is_the_same_answer(self):
        body = chat_body("Tell me more", max_tokens=300, temperature=1)
        headers = {"Authorization": "Bearer first-key", "X-Conversation-Id": "twice"}
        payloads = [None, None]
        first = self.daemon.open_stream(CHAT, body, headers)
        start = next(iter(first))

        def read_again():
            payloads[1] = list(self.daemon.open_stream(CHAT, body, headers))
        again = threading.Thread(target=read_again)
        again.start()
        payloads[0] = [start, *first]
        again.join()
        self.assertEqual(payloads[0], payloads[1])


if __name__ == "__main__":
    client.main()
