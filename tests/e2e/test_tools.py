#!/usr/bin/env python3
"""Tools, by the official openai client for Node and by hand: a call that must be made is made, and its
result goes on in the same session."""
import json
import subprocess
import tempfile
import unittest

import client

PARAMETERS = {"type": "object", "properties": {"unit": {"enum": ["C", "F"]}, "today": {"type": "boolean"}},
              "required": ["unit", "today"], "additionalProperties": False}
TOOLS = [{"type": "function", "function": {"name": name, "parameters": PARAMETERS}}
         for name in ("weather", "forecast")]


class OpenAiClient(unittest.TestCase):
    def test_the_client_calls_tools(self):
        client.install_packages()
        with client.Daemon() as daemon:
            done = subprocess.run(["node", "tools_client.mjs", f"http://127.0.0.1:{daemon.port}/v1"],
                                  cwd=client.E2E, capture_output=True, text=True, timeout=client.PATIENCE_S)
            self.assertEqual(done.returncode, 0, done.stderr)
        seen = json.loads(done.stdout)
        for choice, names in (seen["whole"], ["forecast"]), (seen["streamed"], ["weather", "forecast"]):
            self.assertEqual(choice["finish_reason"], "tool_calls")
            (call,) = choice["message"]["tool_calls"]
            self.assertTrue(call["id"].startswith("call_"))
            self.assertIn(call["function"]["name"], names)
            self.check_arguments(json.loads(call["function"]["arguments"]))
        self.assertEqual([delta["index"] for delta in seen["deltas"]], [0] * len(seen["deltas"]))
        self.assertEqual("".join(delta["function"]["arguments"] for delta in seen["deltas"]),
                         seen["streamed"]["message"]["tool_calls"][0]["function"]["arguments"])
        self.assertGreater(len(seen["deltas"]), 2)
        self.assertEqual(seen["match"], "append")
        self.assertEqual(seen["result"]["message"]["role"], "assistant")
        self.assertEqual(len(seen["ran"]), 1)
        self.check_arguments(seen["ran"][0])
        self.assertEqual([choice["index"] for choice in seen["many"]], [0, 1, 2])
        for choice in seen["many"]:
            self.assertNotIn("\n", choice["message"]["content"])
            for token in choice["logprobs"]["content"]:
                self.assertEqual(len(token["top_logprobs"]), 2)

    def check_arguments(self, arguments):
        self.assertEqual(sorted(arguments), ["today", "unit"])
        self.assertIn(arguments["unit"], ["C", "F"])
        self.assertIn(arguments["today"], [True, False])


class Formats(unittest.TestCase):
    def test_each_format_forces_its_own_form(self):
        for name in ("hermes", "llama3", "mistral", "granite", "phi4", "kimi", "command-r", "functionary-v3.1",
                     "pythonic", "lfm2", "qwen3-coder", "minimax", "glm"):
            with self.subTest(name), client.Daemon("--tool-format", name) as daemon:
                for choice in "required", {"type": "function", "function": {"name": "weather"}}:
                    reply = daemon.chat("Warm?", tools=TOOLS, tool_choice=choice, max_tokens=200,
                                        ignore_eos=False).json
                    (said,) = reply["choices"]
                    self.assertEqual(said["finish_reason"], "tool_calls", said)
                    (call,) = said["message"]["tool_calls"]
                    self.assertIsNone(said["message"]["content"])
                    self.assertIn(call["function"]["name"], ["weather", "forecast"])
                    arguments = json.loads(call["function"]["arguments"])
                    self.assertEqual(sorted(arguments), ["today", "unit"])
                    self.assertIn(arguments["unit"], ["C", "F"])
                    self.assertIn(arguments["today"], [True, False])

    def test_a_stop_string_cuts_no_call(self):
        with client.Daemon() as daemon:
            for stop in '"', "e", "{":
                reply = daemon.chat("Warm?", tools=TOOLS, tool_choice="required", max_tokens=200, stop=stop,
                                    ignore_eos=False).json
                (said,) = reply["choices"]
                self.assertEqual(said["finish_reason"], "tool_calls", said)
                (call,) = said["message"]["tool_calls"]
                self.assertEqual(sorted(json.loads(call["function"]["arguments"])), ["today", "unit"])

    def test_earlier_calls_are_written_in_the_models_form(self):
        template = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}" \
                   "{# tools: <|tool_call|> and a JSON list #}"
        call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
        messages = [{"role": "user", "content": "Warm?"}, {"role": "assistant", "tool_calls": [call]},
                    {"role": "tool", "tool_call_id": "call_1", "content": "21"}]
        with tempfile.NamedTemporaryFile("w", suffix=".jinja") as file:
            file.write(template)
            file.flush()
            with client.Daemon("--chat-template-file", file.name) as daemon:
                prompt = daemon.post("/apply-template", {"messages": messages}).json["prompt"]
        self.assertEqual(prompt, '<user>Warm?<assistant><|tool_call|>[{"name": "weather", "arguments": {}}]'
                                 '<tool>21')

    def test_an_unknown_format_is_refused_at_the_start(self):
        status, _, errors = client.run_once("--model", client.TINY_MODEL, "--tool-format", "smoke")
        self.assertNotEqual(status, 0)
        self.assertIn("smoke", errors)


if __name__ == "__main__":
    client.main()
