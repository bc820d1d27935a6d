#!/usr/bin/env python3
"""Conversations with a model most of whose layers carry numbers from token to token, which cannot be taken back: what
was read is still read once, and what is said is what a daemon says that reads everything anew."""
import os
import subprocess
import sys
import tempfile
import unittest

import client

RANDOM_MODEL = os.path.join(client.ROOT, "tests/bench/random_model.py")
SYSTEM = {"role": "system", "content": "Always speak of ships, of harbours and of the weather at sea. " * 4}


def user(text):
    return {"role": "user", "content": text}


class Recurrent(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.model = os.path.join(cls.folder.name, "model.gguf")
        subprocess.run([sys.executable, RANDOM_MODEL, "tiny-qwen35", "Q8_0", cls.model], check=True)

    def setUp(self):
        self.daemon = client.Daemon("--window", "1024", model=self.model).__enter__()
        self.addCleanup(self.daemon.__exit__, None, None, None)

    def ask(self, messages, name, **fields):
        """(answer, how it was matched, tokens that were not read again), the same as if it all had been read anew."""
        reply = self.daemon.chat(messages, name, temperature=0, max_tokens=24, **fields)
        self.assertEqual(reply.status, 200, reply.body)
        usage = reply.json["usage"]
        answer = reply.json["choices"][0]["message"]["content"]
        with client.Daemon("--window", "1024", model=self.model) as oracle:
            anew = oracle.chat(messages, name, temperature=0, max_tokens=24, **fields)
        self.assertEqual(anew.json["choices"][0]["message"]["content"], answer)
        return answer, reply.json["session"]["match"], usage["prompt_tokens_details"]["cached_tokens"]

    def test_a_chat_is_gone_on_with_repeated_and_edited(self):
        messages = [SYSTEM, user("Where is the ship?")]
        first, _, cached = self.ask(messages, "a")
        self.assertEqual(cached, 0)
        messages += [{"role": "assistant", "content": first}, user("And the captain?")]
        second, match, n_first = self.ask(messages, "a")
        self.assertEqual(match, "append")
        self.assertGreater(n_first, 24)
        again, match, n_prompt = self.ask(messages, "a")
        self.assertEqual((again, match), (second, "rewind"))
        self.assertGreater(n_prompt, n_first)
        messages[-1] = user("And the cook, if there is one?")
        _, match, cached = self.ask(messages, "a")
        self.assertEqual(cached, n_first)
        self.assertIn(match, ("rewind", "fork"))

    def test_conversations_share_a_system_message(self):
        self.ask([SYSTEM, user("Where is the ship?")], "a")
        _, match, cached = self.ask([SYSTEM, user("What of the weather?")], "b")
        self.assertEqual(match, "new")
        self.assertGreater(cached, 20)

    def test_a_stop_string_is_not_kept(self):
        messages = [user("Where is the ship?")]
        words = self.ask(messages, "a")[0].split()
        answer, _, _ = self.ask(messages, "b", stop=[words[9] + " " + words[10]])
        self.assertEqual(answer.split(), words[:9])
        messages += [{"role": "assistant", "content": answer}, user("Go on")]
        _, match, cached = self.ask(messages, "b")
        self.assertEqual(match, "append")
        self.assertGreater(cached, 10)


if __name__ == "__main__":
    client.main()
