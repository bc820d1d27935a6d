#!/usr/bin/env python3
"""Drafts over HTTP: seen in timings and metrics, and not in what is said."""
import threading
import time
import unittest

import client
import sse
from client import chat_body

CHAT = "/v1/chat/completions"
N_TOKENS = 250

# A grammar makes even the tiny model repeat itself; which of its words come next is the model's.
PHRASES = 'root ::= ("round and " | "over and " | "up and ")+'


def turn(history, question, answer=None):
    """A chat, or one that goes on after its last answer."""
    said = [{"role": "assistant", "content": answer}] if answer is not None else []
    return [*history, *said, {"role": "user", "content": question}]


class Speaker(threading.Thread):
    """Reads one stream and remembers when each chunk came."""

    def __init__(self, daemon, messages, name):
        super().__init__()
        body = chat_body(messages, max_tokens=N_TOKENS, grammar=PHRASES, timings_per_token=True)
        self.stream = daemon.open_stream(CHAT, body, {"X-Conversation-Id": name})
        self.chunks, self.times = [], []
        self.start()

    def run(self):
        for event in self.stream:
            self.chunks.append(event)
            self.times.append(time.monotonic())

    def wait(self):
        self.join()
        raw = "".join(f"data: {event}\n\n" for event in self.chunks).encode()
        self.chunks = sse.check_stream(raw)
        self.text = sse.text_of(self.chunks)
        self.timings = self.chunks[-1]["timings"]

    def accepted_before(self, moment):
        return max([chunk["timings"].get("draft_n_accepted", 0)
                    for chunk, at in zip(self.chunks, self.times)
                    if at < moment and "timings" in chunk], default=0)


class Drafts(client.DaemonCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.plain = client.Daemon("--draft", "0")

    @classmethod
    def tearDownClass(cls):
        cls.plain.__exit__()
        super().tearDownClass()

    def test_one_speaker(self):
        body = chat_body("Hello", max_tokens=160, grammar='root ::= ("round and ")+')
        expected = self.plain.post(CHAT, body).json
        chunks = sse.check_stream(self.daemon.post(CHAT, {**body, "stream": True}).body)
        self.assertEqual(sse.text_of(chunks), expected["choices"][0]["message"]["content"])
        self.assertEqual(chunks[-1]["timings"]["predicted_n"], expected["timings"]["predicted_n"])
        self.assertNotIn("draft_n", expected["timings"])
        drafted, accepted = (chunks[-1]["timings"][key] for key in ("draft_n", "draft_n_accepted"))
        self.assertTrue(0 < accepted <= drafted, (accepted, drafted))

    def expected(self, messages):
        reply = self.plain.chat(messages, max_tokens=N_TOKENS, grammar=PHRASES).json
        return reply["choices"][0]["message"]["content"]

    def speak_at_once(self, histories, expected, name):
        """Of each history a stream; True when drafts were right while all of them spoke."""
        before = self.daemon.metrics()["sinkd_drafted_tokens_total"]
        speakers = [Speaker(self.daemon, messages, f"{name}-{i}")
                    for i, messages in enumerate(histories)]
        for speaker in speakers:
            speaker.wait()
        self.assertEqual([speaker.text for speaker in speakers], expected)
        for speaker in speakers:
            self.assertEqual(speaker.timings["predicted_n"], N_TOKENS)
        drafted = sum(speaker.timings.get("draft_n", 0) for speaker in speakers)
        after = self.daemon.metrics()["sinkd_drafted_tokens_total"]
        self.assertEqual(after - before, drafted)
        first_end = min(speaker.times[-1] for speaker in speakers)
        return any(speaker.accepted_before(first_end) > 0 for speaker in speakers)

    def test_several_speakers_at_once(self):
        """In two turns, the second in sessions that have taken drafts back. Whether a step is worth
        drafts is measured, so it may take more than one try."""
        for n in (3,) if client.SHORT else (2, 3, 4):
            first = [turn([], f"Speaker {i} of {n}") for i in range(n)]
            answers = [self.expected(messages) for messages in first]
            self.assertEqual(len(set(answers)), n)
            second = [turn(messages, "And then?", answer)
                      for messages, answer in zip(first, answers)]
            more = [self.expected(messages) for messages in second]
            n_tries = 0

            def try_it():
                nonlocal n_tries
                n_tries += 1
                name = f"{n}-{n_tries}"
                had_drafts = self.speak_at_once(first, answers, name)
                return self.speak_at_once(second, more, name) or had_drafts

            client.wait_until(try_it, f"drafts of {n} speakers at once are right")


if __name__ == "__main__":
    client.main()
