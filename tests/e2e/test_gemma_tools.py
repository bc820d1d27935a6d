#!/usr/bin/env python3
"""Gemma 4's calls of tools, which are no JSON: a tiny model is made to say them, and must say some."""
import json
import os
import tempfile
import unittest

import client
import marked_model

CHAT = "/v1/chat/completions"
QUOTE = '<|"|>'
PARAMETERS = {"type": "object", "required": ["unit", "places"], "additionalProperties": False, "properties": {
    "unit": {"enum": ["C", "F"]},
    "places": {"type": "array", "minItems": 1, "maxItems": 2, "items": {
        "type": "object", "required": ["name"], "properties": {"name": {"enum": ["Rome", "Oslo"]}}}}}}
TOOLS = [{"type": "function", "function": {"name": name, "description": "d", "parameters": PARAMETERS}}
         for name in ("weather", "forecast")]
ARGUMENTS = {"unit": "C", "places": [{"name": 'R"o}m,e'}], "n": -1.5, "yes": True}
CALL = "<|tool_call>call:weather{unit:%sC%s,places:[{name:%sR\"o}m,e%s}],n:-1.5,yes:true}<tool_call|>".replace("%s", QUOTE)


def exactly(text):
    return {"grammar": "root ::= " + json.dumps(text), "max_tokens": 600, "ignore_eos": False}


class Calls(client.DaemonCase):
    @classmethod
    def tearDownClass(cls):
        pass  # each daemon is a cleanup

    @classmethod
    def setUpClass(cls):
        cls.daemon = client.Daemon("--chat-template-file", os.path.join(client.E2E, "gemma.jinja"),
                                   "--window", "512").__enter__()
        cls.addClassCleanup(cls.daemon.__exit__, None, None, None)

    def ask(self, messages, headers=None, **fields):
        reply = self.daemon.post(CHAT, {"messages": messages, "tools": TOOLS, "max_tokens": 300, **fields}, headers)
        self.assertEqual(reply.status, 200, reply.body)
        return reply.json

    def test_a_call_is_taken_out_of_the_text(self):
        user = [{"role": "user", "content": "Warm?"}]
        (choice,) = self.ask(user, **exactly("I look. " + CALL + CALL))["choices"]
        self.assertEqual((choice["finish_reason"], choice["message"]["content"]), ("tool_calls", "I look."))
        for call in choice["message"]["tool_calls"]:
            self.assertEqual(call["function"]["name"], "weather")
            self.assertEqual(json.loads(call["function"]["arguments"]), ARGUMENTS)
        self.assertEqual(len(choice["message"]["tool_calls"]), 2)

    def test_a_call_comes_in_pieces(self):
        body = {"messages": [{"role": "user", "content": "Cold?"}], "stream": True, "tools": TOOLS, **exactly(CALL)}
        stream = self.daemon.open_stream(CHAT, body)
        deltas = [chunk["choices"][0]["delta"] for chunk in stream.chunks() if chunk["choices"]]
        stream.close()
        self.assertEqual("".join(d.get("content") or "" for d in deltas), "")
        calls = [call["function"] for d in deltas for call in d.get("tool_calls", [])]
        self.assertEqual([call["name"] for call in calls if call.get("name")], ["weather"])
        self.assertEqual(json.loads("".join(call.get("arguments") or "" for call in calls)), ARGUMENTS)
        self.assertGreater(len(calls), 5)

    def test_a_call_must_be(self):
        for choice in "required", {"type": "function", "function": {"name": "forecast"}}:
            (said,) = self.ask([{"role": "user", "content": "Wet?"}], tool_choice=choice)["choices"]
            self.assertEqual((said["finish_reason"], said["message"]["content"]), ("tool_calls", None), said)
            (call,) = said["message"]["tool_calls"]
            self.assertIn(call["function"]["name"], ["weather", "forecast"] if choice == "required" else ["forecast"])
            arguments = json.loads(call["function"]["arguments"])
            self.assertIn(arguments["unit"], ["C", "F"])
            self.assertIn(len(arguments["places"]), [1, 2])
            self.assertIn(arguments["places"][0]["name"], ["Rome", "Oslo"])

    def test_a_response_has_calls(self):
        tools = [{"type": "function", **tool["function"]} for tool in TOOLS]
        body = {"input": "Dry?", "tools": tools, **exactly(CALL), "max_output_tokens": 600}
        del body["max_tokens"]
        reply = self.daemon.post("/v1/responses", body)
        self.assertEqual(reply.status, 200, reply.body)
        (item,) = reply.json["output"]
        self.assertEqual((item["type"], item["name"]), ("function_call", "weather"))
        self.assertEqual(json.loads(item["arguments"]), ARGUMENTS)

    def test_its_session_goes_on_with_the_results(self):
        headers = {"X-Conversation-Id": "results"}
        history = [{"role": "user", "content": "Warm or cold?"}]
        said = self.ask(history, headers, **exactly(CALL + CALL))["choices"][0]["message"]
        history.append({key: said[key] for key in said if said[key] is not None})
        history += [{"role": "tool", "tool_call_id": call["id"], "content": "21"} for call in said["tool_calls"]]
        for text in "It is warm.", "You are welcome.":
            reply = self.ask(history, headers, **exactly(text))
            self.assertEqual(reply["choices"][0]["message"]["content"], text)
            self.assertEqual(reply["session"]["match"], "append")
            history += [{"role": "assistant", "content": text}, {"role": "user", "content": "Thanks"}]


class Marks(Calls):
    """The same where the marks are tokens, one of which ends a turn that has called."""
    kind = marked_model.CONTROL

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        marks = ["<|turn>", "<turn|>", "<|tool_call>", "<tool_call|>", "<|tool_response>", "<tool_response|>", QUOTE]
        model = marked_model.make(cls.folder.name, marks, "<turn|>", "gemma.jinja", cls.kind)
        cls.daemon = client.Daemon("--window", "2048", model=model).__enter__()
        cls.addClassCleanup(cls.daemon.__exit__, None, None, None)


class Words(Marks):
    """As newer model files have them: tokens that read as what they are."""
    kind = marked_model.USER_DEFINED


if __name__ == "__main__":
    client.main()
