#!/usr/bin/env python3
"""Every endpoint, asked with every method and with bodies in which something is wrong: each request
is answered, and whatever is refused is refused in the words of OpenAI's errors, or Anthropic's."""
import copy
import json
import random
import unittest

import client

FUNCTION = {"name": "f", "description": "d", "strict": True, "parameters": {
    "type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"],
    "additionalProperties": False}}
TOOLS = [{"type": "function", "function": FUNCTION}]
MESSAGES = [
    {"role": "system", "content": "s"}, {"role": "user", "content": "Hi", "name": "n"},
    {"role": "assistant", "content": "yo", "tool_calls": [
        {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
    {"role": "tool", "tool_call_id": "c", "content": "r"},
    {"role": "user", "content": [{"type": "text", "text": "x"}]}]
SAMPLING = {"temperature": 0.5, "top_p": 0.9, "seed": 1, "frequency_penalty": 0,
            "presence_penalty": 0, "logit_bias": {"5": 1}, "n": 1, "stop": ["x"], "top_k": 3,
            "min_p": 0.1, "repeat_penalty": 1.1, "ignore_eos": False, "user": "u"}
CHAT = {"model": "m", "messages": MESSAGES, "tools": TOOLS, "tool_choice": "auto", "logprobs": True,
        "top_logprobs": 2, "response_format": {"type": "text"}, "stream_options": {},
        "metadata": {"a": "b"}, "modalities": ["text"], "reasoning_effort": "low",
        "chat_template_kwargs": {"a": 1}, "session_id": "s", "prompt_cache_key": "k", **SAMPLING}
COMPLETION = {"prompt": "x", "echo": False, "logprobs": 1, "best_of": 1, "suffix": None, **SAMPLING}
ITEMS = [{"role": "user", "content": [{"type": "input_text", "text": "x"}]},
         {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
         {"type": "function_call_output", "call_id": "c", "output": "z"},
         {"type": "reasoning", "summary": [], "id": "r"}]
RESPONSE = {"input": ITEMS, "instructions": "i", "store": True, "temperature": 1, "top_p": 1,
            "text": {"format": {"type": "text"}}, "tools": [{"type": "function", **FUNCTION}],
            "tool_choice": "auto", "truncation": "auto", "include": [], "metadata": {"a": "b"},
            "reasoning": {"effort": "low"}, "previous_response_id": None, "conversation": None}
ANTHROPIC = {
    "model": "m", "max_tokens": 2, "temperature": 1, "top_p": 1, "top_k": 3, "stop_sequences": ["x"],
    "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
    "thinking": {"type": "enabled", "budget_tokens": 1024}, "metadata": {"user_id": "u"},
    "tools": [{"name": "f", "description": "d", "input_schema": FUNCTION["parameters"]}],
    "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
    "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {"type": "string"}}},
    "messages": [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "t", "signature": "s"}, {"type": "text", "text": "yo"},
            {"type": "tool_use", "id": "c", "name": "f", "input": {"a": "b"}}]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "c", "content": [{"type": "text", "text": "r"}]},
            {"type": "text", "text": "x"}]}]}

# What is asked, and what keeps answers short.
BODIES = [
    ("/v1/chat/completions", CHAT, {"max_tokens": 2}),
    ("/v1/chat/completions", {"messages": "?", "guided_regex": "a+"}, {"max_tokens": 2}),
    ("/v1/chat/completions", {"messages": "?", "guided_json": {"type": "string"}},
     {"max_tokens": 2}),
    ("/v1/completions", COMPLETION, {"max_tokens": 2}),
    ("/v1/responses", RESPONSE, {"max_output_tokens": 2}),
    ("/v1/responses/input_tokens", RESPONSE, {}),
    ("/v1/messages", ANTHROPIC, {"max_tokens": 2}),
    ("/v1/messages/count_tokens", ANTHROPIC, {}),
    ("/v1/conversations", {"metadata": {"a": "b"}, "items": ITEMS[:3]}, {}),
    ("/v1/conversations/{conversation}", {"metadata": {"a": "b"}}, {}),
    ("/v1/conversations/{conversation}/items", {"items": ITEMS[:1]}, {}),
    ("/tokenize", {"content": "abc", "add_special": True, "with_pieces": True}, {}),
    ("/tokenize", {"prompt": "abc", "add_special_tokens": True}, {}),
    ("/detokenize", {"tokens": [1, 2, 3]}, {}),
    ("/apply-template", {"messages": MESSAGES, "tools": TOOLS}, {}),
    ("/v1/chat/completions/input_tokens", {"messages": MESSAGES, "tools": TOOLS}, {}),
    ("/v1/embeddings", {"input": "x"}, {}),
    ("/api/show", {"model": "m", "name": "m"}, {}),
]
PATHS = sorted({path for path, _, _ in BODIES}) + [
    "/", "/v1/chat/completions/x", "/v1/responses/x", "/v1/responses/x/cancel",
    "/v1/responses/x/input_items", "/v1/conversations/x/items/y", "/v1/models", "/v1/models/x/y",
    "/props", "/version", "/api/version", "/api/tags", "/health", "/livez", "/readyz", "/metrics", "/v1/audio/speech", "/v1/",
    "/nothing"]


class Raw:
    """JSON that no writer of JSON would write."""

    def __init__(self, text):
        self.text = text


VALUES = [
    None, True, -1, 0.5, 1e308, 2 ** 53 + 1, "", "x", "\0", "é🙂", "</s>", "a" * 5000, [], {}, [None],
    ["a"] * 300, {"": {}}, {"type": "text"}, MESSAGES[:1], *map(Raw, (
        "1e400", "9223372036854775808", "NaN", "[1,]", "", '"\\ud800"', '"\\u0000"',
        "[" * 500 + "]" * 500, "[" * 5000 + "]" * 5000, '{"a":' * 3000 + "1" + "}" * 3000))]


def write(value):
    if isinstance(value, Raw):
        return value.text
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(k)}:{write(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(write, value)) + "]"
    return json.dumps(value)


def places(value, place=()):
    """Of all that is in a value, itself included."""
    yield place
    inside = value.items() if isinstance(value, dict) else enumerate(value) \
        if isinstance(value, list) else ()
    for key, one in inside:
        yield from places(one, (*place, key))


def put(value, place, new):
    if not place:
        return new
    value = copy.deepcopy(value)
    inside = value
    for key in place[:-1]:
        inside = inside[key]
    inside[place[-1]] = new
    return value


class OddRequests(client.DaemonCase):
    def check(self, reply, what):
        """Good, or an error of the client's with all that an SDK reads of one."""
        self.assertTrue(200 <= reply.status < 500 or reply.status == 501, (what, reply.status))
        if reply.status < 400:
            return
        self.assertTrue(reply.headers["Content-Type"].startswith("application/json"), what)
        error = reply.json["error"]
        if isinstance(error, str):  # ollama's form
            self.assertTrue(error, what)
            return
        is_anthropics = reply.json.get("type") == "error"
        self.assertEqual(set(error), {"message", "type"} if is_anthropics
                         else {"message", "type", "param", "code"}, what)
        for key, value in error.items():
            self.assertTrue(isinstance(value, str) and value or key == "param" and value is None,
                            (what, error))

    def test_any_method(self):
        for path in PATHS:
            for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "FOO"):
                reply = self.daemon.request(method, path)
                self.check(reply, (method, path))
                if reply.status == 405:
                    self.assertTrue(reply.headers["Allow"], (method, path))
                    self.assertNotIn(method, reply.headers["Allow"].split(", "))

    def test_any_value_in_any_place(self):
        """But for chance: there are ten thousand."""
        conversation = self.daemon.post("/v1/conversations", {}).json["id"]
        odd = [(path, put(body, place, value), short)
               for path, body, short in BODIES for place in places(body) for value in VALUES]
        rng = random.Random(1)
        statuses = set()
        for path, body, short in rng.sample(odd, 400 if client.SHORT else 4000):
            if isinstance(body, dict):
                body = {**body, **short, "stream": rng.random() < 0.3}
            text = write(body)
            reply = self.daemon.post(path.format(conversation=conversation), text)
            self.check(reply, (path, text[:2000]))
            statuses.add(reply.status)
        self.assertLessEqual({200, 400}, statuses)

    def test_bodies_that_end_early(self):
        for path, body, _ in BODIES:
            text = write(body)
            for end in range(0, len(text), 1 + len(text) // 10):
                self.check(self.daemon.post(path.format(conversation="x"), text[:end]), path)


if __name__ == "__main__":
    client.main()
