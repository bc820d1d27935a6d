#!/usr/bin/env python3
"""Harmony, the format of gpt-oss: a tiny one of random weights, with the marks in its vocabulary, is made to say
what such models say. Channels become thoughts, content and calls of tools, and its session goes on behind them."""
import json
import tempfile
import unittest

import client
import marked_model

CHAT = "/v1/chat/completions"
MARKS = ["<|start|>", "<|channel|>", "<|constrain|>", "<|message|>", "<|end|>", "<|call|>", "<|return|>"]
ANALYSIS, FINAL = "<|channel|>analysis<|message|>", "<|channel|>final<|message|>"
NEXT = "<|end|><|start|>assistant"
PARAMETERS = {"type": "object", "properties": {"unit": {"enum": ["C", "F"]}}, "required": ["unit"],
              "additionalProperties": False}
TOOLS = [{"type": "function", "function": {"name": name, "description": "d", "parameters": PARAMETERS}}
         for name in ("weather", "forecast")]
CALL = ANALYSIS + "I should look." + NEXT + \
    '<|channel|>commentary to=functions.weather <|constrain|>json<|message|>{"unit": "C"}'
ROLE_CALL = ' to=functions.weather<|channel|>commentary json<|message|>{"unit": "F"}'


def exactly(text):
    return {"grammar": "root ::= " + json.dumps(text), "max_tokens": 600}


class Harmony(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.model = marked_model.make(cls.folder.name, MARKS, "<|return|>", "harmony.jinja")
        cls.daemon = client.Daemon("--window", "2048", model=cls.model)
        cls.daemon.__enter__()
        cls.addClassCleanup(cls.daemon.__exit__, None, None, None)

    def say(self, messages, text, **fields):
        """The reply of a model that is made to say just that."""
        reply = self.daemon.post(CHAT, {"messages": messages, **(exactly(text) if text else {}), **fields})
        self.assertEqual(reply.status, 200, reply.body)
        return reply.json

    def message(self, *args, **fields):
        (choice,) = self.say(*args, **fields)["choices"]
        return choice["message"], choice["finish_reason"]

    def test_channels_are_taken_apart(self):
        user = [{"role": "user", "content": "One"}]
        for text, content, thought in (
                (ANALYSIS + "Well, <b>" + NEXT + FINAL + "Hello!\n", "Hello!\n", "Well, <b>"),
                (FINAL + "Hello", "Hello", None),
                (ANALYSIS + "a" + NEXT + "<|channel|>commentary<|message|>So:" + NEXT + FINAL + "x", "So:\n\nx", "a")):
            reply = self.say(user, text)
            (choice,) = reply["choices"]
            self.assertEqual(choice["finish_reason"], "stop")
            self.assertEqual(choice["message"]["content"], content)
            self.assertEqual(choice["message"].get("reasoning_content"), thought)
            details = reply["usage"]["completion_tokens_details"]
            self.assertEqual(details["reasoning_tokens"] > 0, thought is not None)

    def test_a_stream_has_no_marks(self):
        body = {"messages": [{"role": "user", "content": "Two"}], "stream": True, "tools": TOOLS,
                **exactly(CALL)}
        stream = self.daemon.open_stream(CHAT, body)
        deltas = [chunk["choices"][0]["delta"] for chunk in stream.chunks() if chunk["choices"]]
        stream.close()
        self.assertEqual("".join(d.get("reasoning_content") or "" for d in deltas), "I should look.")
        self.assertEqual("".join(d.get("content") or "" for d in deltas), "")
        calls = [call["function"] for d in deltas for call in d.get("tool_calls", [])]
        self.assertEqual([call["name"] for call in calls if call.get("name")], ["weather"])
        self.assertEqual("".join(call.get("arguments") or "" for call in calls), '{"unit": "C"}')
        self.assertGreater(len(calls), 3)

    def test_a_conversation_goes_on_behind_thoughts_and_calls(self):
        for call, keep in (CALL, True), (ROLE_CALL, False):
            headers = {"X-Conversation-Id": "calls-%d" % keep}
            history = [{"role": "user", "content": "Warm?"}]

            def turn(text):
                reply = self.daemon.post(CHAT, {"messages": history, "tools": TOOLS, **exactly(text)}, headers)
                self.assertEqual(reply.status, 200, reply.body)
                (choice,) = reply.json["choices"]
                said = choice["message"]
                if not keep:
                    said.pop("reasoning_content", None)
                history.append({key: said[key] for key in said if said[key] is not None})
                return choice, reply.json["session"]["match"]

            choice, _ = turn(call)
            self.assertEqual(choice["finish_reason"], "tool_calls")
            (made,) = choice["message"]["tool_calls"]
            history.append({"role": "tool", "tool_call_id": made["id"], "content": "21"})
            choice, match = turn(ANALYSIS + "Cold." + NEXT + FINAL + "It is cold.")
            self.assertEqual((choice["message"]["content"], match), ("It is cold.", "append"))
            history.append({"role": "user", "content": "Thanks"})
            choice, match = turn(FINAL + "Bye")
            # Thoughts that came back with a call are left out once it has led to an answer.
            self.assertEqual((choice["message"]["content"], match), ("Bye", "rewind" if keep else "append"))

    def test_calls_that_must_be(self):
        for choice in "required", {"type": "function", "function": {"name": "weather"}}:
            said, finish = self.message([{"role": "user", "content": "Three"}], None, tools=TOOLS, tool_choice=choice,
                                        max_tokens=200)
            self.assertEqual((finish, said["content"]), ("tool_calls", None))
            (call,) = said["tool_calls"]
            self.assertIn(call["function"]["name"], ["weather", "forecast"])
            self.assertIn(json.loads(call["function"]["arguments"])["unit"], ["C", "F"])

    def test_an_answer_in_a_schema(self):
        for fields in {"reasoning_effort": "none"}, {"reasoning_effort": "none", "tools": TOOLS}:
            said, finish = self.message([{"role": "user", "content": "Four"}], None, guided_choice=["yes"], **fields)
            self.assertTrue((finish, said["content"]) == ("stop", "yes") or finish == "tool_calls", said)

    def test_an_answer_is_continued(self):
        history = [{"role": "user", "content": "Five"}, {"role": "assistant", "content": "It is"}]
        said, finish = self.message(history, " cold.")
        self.assertEqual((said["content"], finish), (" cold.", "stop"))

    def test_stop_strings_are_of_the_answer(self):
        text = ANALYSIS + "final STOP" + NEXT + FINAL + "a STOP b"
        said, _ = self.message([{"role": "user", "content": "Six"}], text, stop=["STOP"])
        self.assertEqual((said["content"], said["reasoning_content"]), ("a ", "final STOP"))

    def test_the_effort_comes_to_the_template(self):
        lengths = [self.say([{"role": "user", "content": "Hi"}], FINAL + "x", **fields)["usage"]["prompt_tokens"]
                   for fields in ({}, {"reasoning_effort": "medium"}, {"reasoning_effort": "high"})]
        self.assertEqual(lengths[0], lengths[1])
        self.assertEqual(lengths[1] - lengths[2], len("medium") - len("high"))

    def test_responses(self):
        reply = self.daemon.post("/v1/responses", {"input": "Seven", "tools": [{**TOOLS[0]["function"], "type": "function"}],
                                                   "max_output_tokens": 600, "grammar": exactly(CALL)["grammar"]})
        self.assertEqual(reply.status, 200, reply.body)
        kinds = [item["type"] for item in reply.json["output"]]
        self.assertEqual(kinds, ["reasoning", "function_call"], reply.json)
        self.assertEqual(json.loads(reply.json["output"][1]["arguments"]), {"unit": "C"})


if __name__ == "__main__":
    client.main()
