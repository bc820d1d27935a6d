#!/usr/bin/env python3
"""Anthropic's Messages API as it is on the wire: a client that reads a stream as strictly as its SDK
does, and what such a client sends next."""
import json
import unittest

import client

KEY = "anthropic-key-0123456789"
HELLO = [{"role": "user", "content": "Hello"}]
WEATHER = {"name": "weather", "description": "Tells it.", "input_schema": {
    "type": "object", "properties": {"unit": {"enum": ["C", "F"]}}, "required": ["unit"],
    "additionalProperties": False}}
DELTAS = {"text": ("text_delta", "text"), "thinking": ("thinking_delta", "thinking"),
          "tool_use": ("input_json_delta", "partial_json")}


def events(raw):
    """Pairs of a name and its data."""
    for event in raw.decode("utf-8").split("\n\n")[:-1]:
        lines = [line for line in event.split("\n") if not line.startswith((":", "id: "))]
        if not lines:
            continue
        name, data = lines
        data = json.loads(data.removeprefix("data: "))
        if name != "event: " + data["type"]:
            raise AssertionError(f"{name!r} is not the type of {data!r}")
        yield data


def put_together(raw):
    """The message that a stream says; every event must come when it may."""
    message, block, pieces, is_over = None, None, "", False
    for event in events(raw):
        kind = event["type"]
        assert not is_over, event
        if kind == "message_start":
            assert message is None
            message = event["message"]
            assert message["content"] == [] and message["stop_reason"] is None
        elif kind == "content_block_start":
            assert block is None and event["index"] == len(message["content"]), event
            block, pieces = event["content_block"], ""
        elif kind == "content_block_delta" and event["delta"]["type"] == "signature_delta":
            assert block["type"] == "thinking"
            block["signature"] = event["delta"]["signature"]
        elif kind == "content_block_delta":
            name, field = DELTAS[block["type"]]
            assert event["delta"]["type"] == name and event["index"] == len(message["content"])
            pieces += event["delta"][field]
        elif kind == "content_block_stop":
            if block["type"] == "tool_use":
                block["input"] = json.loads(pieces)
            else:
                block[block["type"]] = pieces
            message["content"].append(block)
            block = None
        elif kind == "message_delta":
            assert block is None
            message |= event["delta"] | {"session": event["session"]}
            message["usage"] |= event["usage"]
        else:
            assert kind in ("ping", "message_stop"), event
            is_over = kind == "message_stop"
    assert is_over
    return message


class Messages(client.DaemonCase):
    def ask(self, messages, path="v1/messages", **fields):
        body = {"model": "default", "max_tokens": 12, "temperature": 0, "messages": messages, **fields}
        reply = self.daemon.post("/" + path, body)
        self.assertEqual(reply.status, 200, reply.body)
        return reply

    def both(self, messages, **fields):
        """The same message, whole and out of a stream."""
        whole = self.ask(messages, **fields).json
        streamed = put_together(self.ask(messages, stream=True, **fields).body)
        for key in ("type", "role", "model", "stop_reason", "stop_sequence"):
            self.assertEqual(streamed[key], whole[key], key)
        for one in whole, streamed:
            for block in one["content"]:
                block.pop("id", None)
        self.assertEqual(streamed["content"], whole["content"])
        self.assertEqual(streamed["usage"]["output_tokens"], whole["usage"]["output_tokens"])
        return whole

    def test_a_message_whole_and_streamed(self):
        message = self.both(HELLO, ignore_eos=True)
        self.assertEqual(message["stop_reason"], "max_tokens")
        self.assertEqual(message["usage"]["output_tokens"], 12)
        (block,) = message["content"]
        self.assertEqual(block["type"], "text")
        chat = self.daemon.chat(HELLO, max_tokens=12, temperature=0, ignore_eos=True).json
        self.assertEqual(block["text"], chat["choices"][0]["message"]["content"])

    def test_a_conversation_goes_on_in_its_session(self):
        first = self.ask([{"role": "user", "content": "Once"}], system="Be brief.").json
        messages = [{"role": "user", "content": [{"type": "text", "text": "Once"}]},
                    {"role": "assistant", "content": first["content"]},
                    {"role": "user", "content": "and then?"}]
        next_one = self.ask(messages, system=[{"type": "text", "text": "Be brief."}]).json
        self.assertEqual(next_one["session"]["match"], "append")
        self.assertGreater(next_one["usage"]["cache_read_input_tokens"], 0)

    def test_a_bill_does_not_make_a_prompt_new(self):
        for i, checksum in enumerate(("a51f0", "00c4e")):
            bill = f"x-anthropic-billing-header: cc_version=2.1; cch={checksum};"
            usage = self.ask([{"role": "user", "content": "A bill"}], system=[
                {"type": "text", "text": bill}, {"type": "text", "text": "You help."}]).json["usage"]
            self.assertEqual(usage["cache_read_input_tokens"] > 0, i == 1, usage)

    def test_a_stop_sequence_is_named(self):
        (block,) = self.ask(HELLO, ignore_eos=True).json["content"]
        stop = block["text"][2:5]
        message = self.both(HELLO, ignore_eos=True, stop_sequences=["x" * 9, stop])
        self.assertEqual((message["stop_reason"], message["stop_sequence"]), ("stop_sequence", stop))
        self.assertEqual("".join(one["text"] for one in message["content"]),
                         block["text"][:block["text"].index(stop)])

    def test_a_tool_is_called_and_its_result_goes_back(self):
        asked = {"tools": [WEATHER], "tool_choice": {"type": "tool", "name": "weather"}, "max_tokens": 200}
        self.both(HELLO, **asked)
        message = self.ask(HELLO, **asked).json
        self.assertEqual(message["stop_reason"], "tool_use")
        (call,) = message["content"]
        self.assertEqual((call["type"], call["name"]), ("tool_use", "weather"))
        self.assertIn(call["input"]["unit"], ["C", "F"])
        result = {"type": "tool_result", "tool_use_id": call["id"],
                  "content": [{"type": "text", "text": "warm"}]}
        messages = [*HELLO, {"role": "assistant", "content": message["content"]},
                    {"role": "user", "content": [result]}]
        next_one = self.ask(messages, tools=[WEATHER]).json
        self.assertEqual(next_one["session"]["match"], "append")

    def test_tokens_are_counted_as_they_are_read(self):
        asked = {"system": "Be brief.", "tools": [WEATHER]}
        counted = self.ask(HELLO, "v1/messages/count_tokens", **asked).json
        usage = self.ask(HELLO, **asked).json["usage"]
        self.assertEqual(counted, {"input_tokens": usage["input_tokens"] +
                                   usage["cache_read_input_tokens"]})
        long = {"unknown": "many words " * 8000}  # read on another thread
        self.assertEqual(self.ask(HELLO, "v1/messages/count_tokens", **asked, **long).json, counted)

    def check_error(self, reply, status, kind):
        self.assertEqual((reply.status, reply.json["type"]), (status, "error"), reply.body)
        self.assertEqual(sorted(reply.json["error"]), ["message", "type"])
        self.assertEqual(reply.json["error"]["type"], kind)

    def test_refusals_have_the_form_of_the_api(self):
        image = [{"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "x"}}]}]
        for path in "/v1/messages", "/v1/messages/count_tokens":
            reply = self.daemon.post(path, {"max_tokens": 5, "messages": image})
            self.check_error(reply, 400, "invalid_request_error")
            self.assertIn("image", reply.json["error"]["message"])
        self.assertEqual(self.daemon.get("/v1/messages").status, 405)
        with client.key_file(KEY) as keys, client.Daemon("--api-key-file", keys.name) as daemon:
            body = {"max_tokens": 5, "messages": HELLO}
            self.check_error(daemon.post("/v1/messages", body), 401, "authentication_error")
            for header in {"x-api-key": KEY}, {"Authorization": "Bearer " + KEY}:
                self.assertEqual(daemon.post("/v1/messages", body, header).status, 200)


class Thoughts(unittest.TestCase):
    def test_thoughts_come_when_they_are_asked_for(self):
        flags = ("--chat-template-file", "tests/e2e/thinking.jinja")
        with client.Daemon(*flags) as daemon:
            body = {"max_tokens": 30, "temperature": 0, "messages": HELLO, "ignore_eos": True}
            kinds = lambda message: [block["type"] for block in message["content"]]  # noqa: E731
            self.assertEqual(kinds(daemon.post("/v1/messages", body).json), ["text"])
            body["thinking"] = {"type": "enabled", "budget_tokens": 1024}
            thought = daemon.post("/v1/messages", body).json
            self.assertEqual(kinds(thought), ["thinking"])
            streamed = put_together(daemon.post("/v1/messages", {**body, "stream": True}).body)
            self.assertEqual(streamed["content"], thought["content"])


class Sdk(unittest.TestCase):
    def test_anthropics_client(self):
        with client.key_file(KEY) as keys, client.Daemon() as daemon, \
                client.Daemon("--api-key-file", keys.name) as keyed:
            client.run_cases(self, "clients/anthropic.mjs", daemon.url, keyed.url, KEY)


if __name__ == "__main__":
    client.main()
