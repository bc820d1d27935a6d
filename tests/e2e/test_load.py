#!/usr/bin/env python3
"""Many clients at once, and clients that leave."""
import concurrent.futures
import subprocess
import unittest

import client
from client import chat_body, wait_until

CHAT = "/v1/chat/completions"
ENDLESS = chat_body("Never stop", max_tokens=1000000)


class Load(unittest.TestCase):
    def setUp(self):
        self.daemon = client.Daemon()
        self.addCleanup(self.daemon.__exit__)

    def n_open(self):
        return self.daemon.metrics()["sinkd_generations_open"]

    def test_64_conversations_at_once_all_complete(self):
        n_conversations = 16 if client.SHORT else 64

        def talk(number):
            messages = []
            for turn in range(3):
                messages.append({"role": "user", "content": f"I am {number}, turn {turn}"})
                stream = self.daemon.open_stream(CHAT, chat_body(messages, max_tokens=16),
                                                 {"X-Conversation-Id": f"talk-{number}"})
                chunks = stream.chunks()
                text = "".join(chunk["choices"][0]["delta"].get("content") or ""
                               for chunk in chunks if chunk["choices"])
                self.assertEqual(chunks[-1]["choices"][0]["finish_reason"], "length")
                messages.append({"role": "assistant", "content": text})
            return messages

        with concurrent.futures.ThreadPoolExecutor(n_conversations) as pool:
            together = list(pool.map(talk, range(n_conversations)))
        self.assertEqual(len(together), n_conversations)

        # Company does not change what anyone is told.
        alone = client.Daemon()
        self.addCleanup(alone.__exit__)
        for number in (0, n_conversations - 1):
            first = alone.chat(together[number][:1], max_tokens=16)
            self.assertEqual(first.json["choices"][0]["message"]["content"],
                             together[number][1]["content"])

    def test_a_short_request_is_served_beside_a_long_one(self):
        long = self.daemon.open_stream(CHAT, ENDLESS)
        self.assertEqual(self.daemon.chat("Quickly").status, 200)
        self.assertEqual(self.n_open(), 1)
        long.close()

    def test_a_killed_client_frees_its_slot(self):
        url = f"http://127.0.0.1:{self.daemon.port}{CHAT}"
        body = client.json.dumps({**ENDLESS, "stream": True})
        curl = subprocess.Popen(["curl", "-sN", url, "-d", body], stdout=subprocess.PIPE)
        self.assertTrue(curl.stdout.readline())  # the stream has begun
        wait_until(lambda: self.n_open() == 1, "the request is active")
        curl.kill()
        curl.wait()
        curl.stdout.close()
        wait_until(lambda: self.n_open() == 0, "the slot is free")

    def test_a_client_that_leaves_before_the_whole_reply_frees_its_slot(self):
        connection = self.daemon.connect()
        connection.request("POST", CHAT, client.json.dumps(ENDLESS))
        wait_until(lambda: self.n_open() == 1, "the request is active")
        connection.close()
        wait_until(lambda: self.n_open() == 0, "the slot is free")

    def test_a_conversation_survives_a_client_that_left(self):
        headers = {"X-Conversation-Id": "left"}
        stream = self.daemon.open_stream(CHAT, ENDLESS, headers)
        next(iter(stream))
        stream.close()
        wait_until(lambda: self.daemon.chat("Are you there?", "left").status == 200, "it goes on")
        wait_until(lambda: self.n_open() == 0, "the slot is free")

    def test_health_answers_while_the_engine_is_busy(self):
        streams = [self.daemon.open_stream(CHAT, ENDLESS) for _ in range(4)]
        for _ in range(20):
            self.assertEqual(self.daemon.get("/health").status, 200)
        for stream in streams:
            stream.close()


if __name__ == "__main__":
    client.main()
