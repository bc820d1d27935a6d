#!/usr/bin/env python3
"""Streams byte for byte: none of the mistakes at which real clients fail (sse.py has the rules)."""
import json
import unittest

import client
import sse
from client import chat_body

CHAT, COMPLETION = "/v1/chat/completions", "/v1/completions"


def chunk(choices, **fields):
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "system_fingerprint": "f", "choices": choices, **fields}


def choice(delta, finish=None, index=0):
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}


def call(index, **fields):
    return choice({"tool_calls": [{"index": index, **fields}]})


NAMED = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}}
MORE = {"function": {"arguments": "{}"}}
ROLE, TEXT, END = (choice({"role": "assistant", "content": ""}), choice({"content": "x"}),
                   choice({}, "stop"))


def raw(*payloads, end="data: [DONE]\n\n"):
    return ("".join(f"data: {json.dumps(payload)}\n\n" for payload in payloads) + end).encode()


class Checker(unittest.TestCase):
    """The checker itself finds each mistake."""

    def test_a_good_stream_passes(self):
        chunks = sse.check_stream(b": ping\n\n" + raw(chunk([ROLE]), chunk([TEXT]), chunk([END])))
        self.assertEqual(sse.text_of(chunks), "x")

    def test_good_calls_pass(self):
        chunks = sse.check_stream(raw(chunk([ROLE]), chunk([call(0, **NAMED)]),
                                      chunk([call(0, **MORE)]), chunk([call(1, **NAMED)]),
                                      chunk([choice({}, "tool_calls")])))
        self.assertEqual(sse.calls_of(chunks), {0: "{}", 1: ""})

    def test_each_mistake_is_found(self):
        good = [chunk([ROLE]), chunk([TEXT]), chunk([END])]
        mistakes = {
            "no finish_reason": raw(*good[:2]),
            "two of them": raw(*good, chunk([END])),
            "no role": raw(*good[1:]),
            "no choices": raw(*good[:2], {"id": "chatcmpl-1"}, good[2]),
            "an event line": b"event: x\n\n" + raw(*good),
            "no [DONE]": raw(*good, end=""),
            "something after [DONE]": raw(*good) + raw(good[1]),
            "another id": raw(*good[:2], {**good[2], "id": "chatcmpl-2"}),
            "usage unasked": raw(*good[:2], {**good[2], "usage": {"total_tokens": 1}}),
            "half a character": raw(*good)[:-2] + b"\xe2\x82\n\n",
            "carriage returns": raw(*good).replace(b"\n", b"\r\n"),
            "a call without a name": raw(good[0], chunk([call(0, **MORE)]), good[2]),
            "a call named twice": raw(good[0], chunk([call(0, **NAMED)]), chunk([call(0, **NAMED)]),
                                      good[2]),
            "a call without an index": raw(good[0], chunk([choice({"tool_calls": [NAMED]})]),
                                           good[2]),
            "an error": raw(*good[:2], {"error": {"message": "no"}}),
        }
        for name, stream in mistakes.items():
            with self.subTest(name):
                with self.assertRaises((AssertionError, UnicodeDecodeError)):
                    sse.check_stream(stream)


class Streams(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = client.Daemon("--ping-seconds", "1")

    @classmethod
    def tearDownClass(cls):
        cls.daemon.__exit__()

    def stream(self, path, body):
        reply = self.daemon.post(path, {**body, "stream": True})
        self.assertEqual(reply.status, 200, reply.body)
        self.assertTrue(reply.headers["Content-Type"].startswith("text/event-stream"))
        self.assertIsNone(reply.headers["Content-Length"])
        self.assertIn("no-cache", reply.headers["Cache-Control"])
        self.assertEqual(reply.headers["X-Accel-Buffering"], "no")
        return reply.body

    def test_chat(self):
        for usage in (False, True):
            body = chat_body("Hello", max_tokens=40, temperature=1, seed=3,
                             stream_options={"include_usage": usage})
            chunks = sse.check_stream(self.stream(CHAT, body), has_usage=usage)
            self.assertEqual(sse.text_of(chunks),
                             self.daemon.post(CHAT, body).json["choices"][0]["message"]["content"])

    def test_completion(self):
        for usage in (False, True):
            body = {"prompt": "Once", "max_tokens": 40, "seed": 3, "ignore_eos": True,
                    "stream_options": {"include_usage": usage}}
            chunks = sse.check_stream(self.stream(COMPLETION, body), is_chat=False, has_usage=usage)
            self.assertEqual(sse.text_of(chunks),
                             self.daemon.post(COMPLETION, body).json["choices"][0]["text"])

    def test_several_answers(self):
        body = chat_body("Hello", max_tokens=20, temperature=1, seed=3, n=3,
                         stream_options={"include_usage": True})
        chunks = sse.check_stream(self.stream(CHAT, body), has_usage=True, n=3)
        whole = self.daemon.post(CHAT, body).json["choices"]
        self.assertEqual([sse.text_of(chunks, i) for i in range(3)],
                         [choice["message"]["content"] for choice in whole])

    def test_a_forced_tool(self):
        function = {"name": "get_weather", "parameters": {
            "type": "object", "properties": {"city": {"enum": ["Paris", "Rome"]}},
            "required": ["city"], "additionalProperties": False}}
        body = chat_body("How is the weather?", max_tokens=120, tool_choice="required",
                         tools=[{"type": "function", "function": function}], ignore_eos=False)
        chunks = sse.check_stream(self.stream(CHAT, body))
        message = self.daemon.post(CHAT, body).json["choices"][0]["message"]
        self.assertEqual(list(sse.calls_of(chunks).values()),
                         [call["function"]["arguments"] for call in message["tool_calls"]])
        self.assertEqual({call["function"]["name"] for call in message["tool_calls"]},
                         {"get_weather"})

    def test_one_token(self):
        sse.check_stream(self.stream(CHAT, chat_body("Hello", max_tokens=1)))

    def test_a_stop_string_across_tokens(self):
        body = chat_body("Hello", max_tokens=60)
        text = self.daemon.post(CHAT, body).json["choices"][0]["message"]["content"]
        for length in (1, 2, 5, 9):
            stop = text[len(text) // 2:][:length]
            chunks = sse.check_stream(self.stream(CHAT, {**body, "stop": [stop, "never said"]}))
            self.assertEqual(sse.text_of(chunks), text[:text.index(stop)])
            self.assertEqual(chunks[-1]["choices"][0]["finish_reason"], "stop")

    def test_every_sampling_of_bytes_is_whole_characters(self):
        """The tiny model speaks in bytes: most of what it says is broken UTF-8, never on the wire."""
        for seed in range(4):
            sse.check_stream(self.stream(CHAT, chat_body("é漢🙂", max_tokens=80, temperature=2,
                                                         top_k=0, top_p=1, min_p=0, seed=seed)))

    def test_an_error_after_the_headers_is_an_event(self):
        with client.Daemon("--drain-seconds", "0") as daemon:
            stream = daemon.open_stream(CHAT, chat_body("Hello", max_tokens=10_000_000))
            events = iter(stream)
            next(events)
            daemon.stop()
            payloads = list(events)
        self.assertEqual(payloads[-1], "[DONE]")
        error = json.loads(payloads[-2])["error"]
        self.assertEqual(set(error), {"message", "type", "param", "code"})
        self.assertEqual((error["type"], error["code"]), ("server_error", "server_shutting_down"))


if __name__ == "__main__":
    client.main()
