#!/usr/bin/env python3
"""Streams byte for byte: none of the mistakes at which real clients fail (sse.py has the rules)."""
import json
import unittest

import client
import sse
import sse_responses
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


def response_events():
    """Of a small answer, whole and right."""
    response = {"id": "resp_1", "status": "in_progress", "output": []}
    item = {"id": "msg_1", "type": "message", "status": "in_progress", "content": []}
    done = {**item, "status": "completed"}
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    return [{"type": "response.created", "response": response},
            {"type": "response.output_item.added", "output_index": 0, "item": item},
            {"type": "response.content_part.added", **place, "part": {}},
            {"type": "response.output_text.delta", **place, "delta": "x"},
            {"type": "response.output_text.done", **place, "text": "x"},
            {"type": "response.output_item.done", "output_index": 0, "item": done},
            {"type": "response.completed",
             "response": {**response, "status": "completed", "output": [done]}}]


def raw_events(events):
    return "".join(f"event: {event['type']}\ndata: {json.dumps({**event, 'sequence_number': i})}\n\n"
                   for i, event in enumerate(events)).encode()


class ResponseChecker(unittest.TestCase):
    """Each mistake that made openai-node 7 fail is found, and one at which it does not even say so."""

    def test_a_good_stream_passes(self):
        sse_responses.check_stream(b": ping\n\n" + raw_events(response_events()))

    def test_each_mistake_is_found(self):
        def changed(place, **fields):
            return raw_events([{**event, **(fields if i == place else {})}
                               for i, event in enumerate(response_events())])

        def without(*places):
            return raw_events([event for i, event in enumerate(response_events())
                               if i not in places])

        open_item = [event for i, event in enumerate(response_events()) if i != 5]
        mistakes = {
            "no content_part.added": without(2),
            "a delta with another item_id": changed(3, item_id="other"),
            "the first event is not created": without(0),
            "an unknown event": changed(4, type="unknown"),
            "completed with an item open": raw_events(open_item[:-1] + [
                {"type": "response.completed", "response": {"id": "resp_1", "output": []}}]),
            "another response": changed(6, response={"id": "resp_2", "output": [{"id": "msg_1"}]}),
            "no end": without(6),
            "an event without data": b"event: x\n\n" + raw_events(response_events()),
            "a delta before its item": without(1),
            "an item that is not the next": changed(1, output_index=1),
            "text that is not the sum": changed(4, text="y"),
        }
        for name, stream in mistakes.items():
            with self.subTest(name):
                with self.assertRaises(AssertionError):
                    sse_responses.check_stream(stream)


class Streams(client.DaemonCase):
    flags = ("--ping-seconds", "1")

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

    def test_responses(self):
        tool = {"type": "function", "name": "f", "parameters": {"enum": [{}]}}
        for fields in ({}, {"text": {"format": {"type": "json_object"}}},
                       {"tools": [tool], "tool_choice": "required", "max_output_tokens": 100},
                       {"store": False, "include": ["message.output_text.logprobs"]}):
            body = {"input": "Hello", "max_output_tokens": 20, **fields}
            events = sse_responses.check_stream(self.stream("/v1/responses", body))
            self.assertIn(events[-1]["type"], ("response.completed", "response.incomplete"))

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

    def test_progress_and_timings_only_for_those_who_ask(self):
        body = chat_body("word " * 600, max_tokens=4)
        chunks = sse.check_stream(self.stream(CHAT, body))
        self.assertFalse(any("prompt_progress" in chunk for chunk in chunks))
        self.assertEqual(["timings" in chunk for chunk in chunks],
                         [False] * (len(chunks) - 1) + [True])
        body = {**chat_body("other " * 600, max_tokens=4), "return_progress": True,
                "timings_per_token": True, "sse_ping_interval": 1}
        chunks = [json.loads(frame) for frame in sse.frames(self.stream(CHAT, body))[:-1]]
        progress = [chunk["prompt_progress"] for chunk in chunks if "prompt_progress" in chunk]
        self.assertGreater(len(progress), 1)
        processed = [one["processed"] for one in progress]
        self.assertEqual(processed, sorted(set(processed)))
        usage = chunks[-1]["timings"]
        self.assertEqual({one["total"] for one in progress}, {processed[-1]})
        self.assertEqual(processed[-1], usage["cache_n"] + usage["prompt_n"])
        said = [chunk["timings"]["predicted_n"] for chunk in chunks
                if chunk["choices"][0]["delta"].get("content")]
        self.assertEqual(said, sorted(said))
        self.assertTrue(said and 0 < said[-1] <= 4)
        for fields in ({"return_progress": 1}, {"timings_per_token": "yes"}, {"sse_ping_interval": "x"}):
            self.assertEqual(self.daemon.post(CHAT, {**body, **fields}).status, 400)

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
