#!/usr/bin/env python3
"""curl, as people type it: streams, old HTTP, large bodies, and leaving at every stage."""
import json
import shutil
import signal
import subprocess
import tempfile
import unittest

import client
import sse
from client import chat_body, wait_until

CHAT = "v1/chat/completions"


def curl(*args, **options):
    return subprocess.run(["curl", "-sS", "--max-time", str(client.PATIENCE_S), *args],
                          capture_output=True, timeout=2 * client.PATIENCE_S, **options)


@unittest.skipUnless(shutil.which("curl"), "curl is not installed, so it was not tried")
class Curl(client.DaemonCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.chat = cls.daemon.url + CHAT

    def test_the_line_of_the_readme(self):
        """No Content-Type of its own: curl sends application/x-www-form-urlencoded."""
        done = curl("-N", self.chat, "-H", "X-Conversation-Id: hello",
                    "-d", json.dumps(chat_body("Why?", stream=True)))
        self.assertEqual(done.returncode, 0, done.stderr)
        sse.check_stream(done.stdout)

    def test_http_1_0_ends_a_stream_by_closing(self):
        done = curl("-N", "-i", "--http1.0", self.chat, "-d", json.dumps(chat_body("Hi", stream=True)))
        self.assertEqual(done.returncode, 0, done.stderr)
        head, body = done.stdout.split(b"\r\n\r\n", 1)
        self.assertNotIn(b"transfer-encoding", head.lower())
        sse.check_stream(body)

    def test_a_body_that_asks_first(self):
        """Above 1 MiB curl sends Expect: 100-continue and waits a second for the answer."""
        with tempfile.NamedTemporaryFile("w") as file:
            json.dump(chat_body([{"role": "user", "content": "Hi", "name": "x" * (3 << 19)}]), file)
            file.flush()
            done = curl("-v", self.chat, "-H", "Expect: 100-continue", "-d", "@" + file.name)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(b"100 Continue", done.stderr)
        self.assertEqual(json.loads(done.stdout)["object"], "chat.completion")

    def test_a_body_that_is_too_large_is_refused_unsent(self):
        with client.Daemon("--max-body", "64K") as daemon, tempfile.NamedTemporaryFile("w") as file:
            json.dump(chat_body("x" * (2 << 20)), file)
            file.flush()
            done = curl("-v", "-w", "%{http_code} %{size_upload}", "-o", "/dev/null",
                        daemon.url + CHAT, "-H", "Expect: 100-continue", "-d", "@" + file.name)
        status, sent = done.stdout.split()
        self.assertEqual((status, sent), (b"413", b"0"), done.stderr)

    def test_head_and_options(self):
        for path in ("v1/models", "health", "metrics", ""):
            head = curl("-I", self.daemon.url + path)
            whole = curl("-i", self.daemon.url + path)
            self.assertTrue(head.stdout.startswith(b"HTTP/1.1 200"), head.stdout)
            names = [{line.split(b":")[0].lower() for line in out.split(b"\r\n\r\n")[0].split(b"\r\n")[1:]
                      if line} for out in (head.stdout, whole.stdout)]
            self.assertEqual(names[0], names[1])
        asked = curl("-i", "-X", "OPTIONS", self.chat, "-H", "Origin: http://localhost:3000",
                     "-H", "Access-Control-Request-Method: POST",
                     "-H", "Access-Control-Request-Headers: authorization,x-conversation-id")
        head = asked.stdout.decode().lower()
        self.assertIn("http/1.1 204", head)
        self.assertIn("access-control-allow-origin: http://localhost:3000", head)
        self.assertIn("access-control-allow-headers: authorization,x-conversation-id", head)

    # Leaving ---------------------------------------------------------------------------------------

    def leave(self, daemon, body, when, phase, n_others=0):
        """Starts curl, waits for a stage, interrupts it as Ctrl-C does; then all must be free."""
        gone = 'sinkd_client_disconnects_total{phase="%s"}' % phase
        before = daemon.metrics()[gone]
        with tempfile.NamedTemporaryFile("w") as file:
            json.dump(body, file)
            file.flush()
            process = subprocess.Popen(["curl", "-sSN", daemon.url + CHAT, "-d", "@" + file.name],
                                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            try:
                wait_until(lambda: when(process), f"it is in the phase {phase}")
            finally:
                process.send_signal(signal.SIGINT)
                process.stdout.close()
                process.wait(client.PATIENCE_S)
        wait_until(lambda: daemon.metrics()["sinkd_generations_open"] == n_others, "it is gone")
        wait_until(lambda: daemon.metrics()[gone] > before, f"it is counted as gone in {phase}")
        self.assertEqual(daemon.metrics()[gone], before + 1)

    def test_in_the_middle_of_a_stream(self):
        self.leave(self.daemon, chat_body("Hi", max_tokens=10_000_000, stream=True),
                   lambda process: b'"delta":{"content":"' in process.stdout.readline(), "answer")

    def test_in_the_middle_of_an_answer_that_is_not_streamed(self):
        before = self.daemon.metrics()["sinkd_generated_tokens_total"]
        self.leave(self.daemon, chat_body("Hi", max_tokens=10_000_000),
                   lambda _: self.daemon.metrics()["sinkd_generated_tokens_total"] > before, "answer")

    def test_while_the_prompt_is_read(self):
        before = self.daemon.metrics()["sinkd_prompt_tokens_total"]
        self.leave(self.daemon, chat_body("word " * 400_000, max_tokens=8, stream=True),
                   lambda _: self.daemon.metrics()["sinkd_prompt_tokens_total"] > before, "prompt")

    def test_in_the_queue(self):
        with client.Daemon("--kv-memory", "1") as daemon:  # room for one session
            # Not a stream: one that nobody reads would be cut, and make room.
            other = daemon.connect()
            other.request("POST", "/" + CHAT, json.dumps(chat_body("First", max_tokens=10_000_000)))
            wait_until(lambda: daemon.metrics()["sinkd_requests_active"] == 1, "the first speaks")
            self.leave(daemon, chat_body("Second", max_tokens=8, stream=True),
                       lambda _: daemon.metrics()["sinkd_queue_depth"] == 1, "waiting", n_others=1)
            other.close()


if __name__ == "__main__":
    client.main()
