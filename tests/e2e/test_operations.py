#!/usr/bin/env python3
"""What the operator sees: metrics and the log."""
import json
import os
import re
import unittest

import client
from client import chat_body, wait_until

CHAT = "/v1/chat/completions"
REQUEST = "sinkd_requests_total{endpoint=\"/chat/completions\",status=\"%d\"}"


class Metrics(unittest.TestCase):
    def test_a_chat_is_counted(self):
        with client.Daemon() as daemon:
            daemon.chat("Hello", "c1", max_tokens=5)
            daemon.post(CHAT, {"messages": []})
            stream = daemon.open_stream(CHAT, chat_body("Never stop", max_tokens=1000000))
            events = iter(stream)
            next(events), next(events)  # the role, and some text
            self.assertEqual(daemon.metrics()["sinkd_generations_open"], 1)
            stream.close()
            gone = REQUEST % 499
            wait_until(lambda: daemon.metrics().get(gone) == 1, "the client that left is counted")
            wait_until(lambda: daemon.metrics()["sinkd_generations_open"] == 0, "it has stopped")
            values = daemon.metrics()
            self.assertEqual(values[REQUEST % 200], 1)
            self.assertEqual(values[REQUEST % 400], 1)
            self.assertEqual(values["sinkd_session_match_total{kind=\"new\"}"], 2)
            self.assertEqual(values["sinkd_generations_total{finish=\"length\"}"], 1)
            self.assertEqual(values["sinkd_generations_total{finish=\"cancelled\"}"], 1)
            self.assertEqual(values["sinkd_time_to_first_token_seconds_count"], 2)
            self.assertGreaterEqual(values["sinkd_inter_token_latency_seconds_count"], 1)
            self.assertEqual(values["sinkd_step_seconds_count"], values["sinkd_steps_total"])
            self.assertGreaterEqual(values["sinkd_step_tokens_count"], 5)
            self.assertGreaterEqual(values["sinkd_connections"], 1)
            self.assertGreater(values["process_resident_memory_bytes"], 0)
            self.assertGreater(values["process_open_fds"], 3)


class Documents(unittest.TestCase):
    def test_what_is_documented_is_there(self):
        with client.Daemon() as daemon:
            daemon.chat("Hello", max_tokens=3)
            text = daemon.get("/metrics").body.decode()
        families = set(re.findall(r"^# TYPE (\S+)", text, re.M))
        for path in ("docs/operations.md", "config/examples/grafana.json"):
            with open(os.path.join(client.ROOT, path), encoding="utf-8") as file:
                names = set(re.findall(r"\b(?:sinkd|process)_[a-z_]+[a-z]", file.read()))
            self.assertGreater(len(names), 10)
            self.assertEqual({name.removesuffix("_bucket") for name in names} - families, set())


class Log(unittest.TestCase):
    SECRET = "the-prompt-is-nobodys-business"

    def lines_of(self, *flags):
        with client.Daemon(*flags) as daemon:
            for stream in (False, True):
                daemon.post(CHAT, chat_body(self.SECRET, max_tokens=4, stream=stream),
                            {"X-Request-Id": "mine"})
            daemon.get("/v1/models?key=" + self.SECRET)
            daemon.get("/health")
        self.assertNotIn(self.SECRET, "".join(daemon.log))
        return daemon.log

    def test_one_line_for_each_request(self):
        lines = [line for line in self.lines_of() if CHAT in line]
        self.assertEqual(len(lines), 2)
        for line in lines:
            self.assertRegex(line, r"^sinkd: info: POST /v1/chat/completions status=200 ms=\d+ "
                             r"request=mine match=(new|append|rewind|ephemeral) cached=\d+ "
                             r"prompt=\d+ generated=4 evicted=0 .*finish=length$")

    def test_probes_are_not_worth_a_line(self):
        lines = self.lines_of()
        self.assertFalse([line for line in lines if "/health" in line])
        self.assertTrue([line for line in lines if "GET /v1/models status=200" in line])

    def test_json_lines(self):
        lines = [json.loads(line) for line in self.lines_of("--log-format", "json")]
        chats = [line for line in lines if CHAT in line["message"]]
        self.assertEqual(len(chats), 2)
        for line in chats:
            self.assertEqual((line["level"], line["status"], line["request"], line["generated"]),
                             ("info", 200, "mine", 4))
            self.assertRegex(line["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")


if __name__ == "__main__":
    client.main()
