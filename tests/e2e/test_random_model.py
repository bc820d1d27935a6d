#!/usr/bin/env python3
"""The model of random weights that benches talk to: whatever its type and vocabulary, it says words and never ends."""
import os
import subprocess
import sys
import tempfile
import unittest

import client

RANDOM_MODEL = os.path.join(client.ROOT, "tests/bench/random_model.py")
N_TOKENS = 40


class RandomModel(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def make(self, kind, *vocabulary, shape="tiny"):
        path = os.path.join(self.folder.name, kind + ".gguf")
        subprocess.run([sys.executable, RANDOM_MODEL, shape, kind, path, *vocabulary], check=True)
        return path

    def words_of(self, path, *options, n_tokens=N_TOKENS):
        """What it says to a message, without being told to ignore its end."""
        with client.Daemon("--window", "128", *options, model=path) as daemon:
            reply = daemon.chat("Hello", max_tokens=n_tokens, ignore_eos=False)
        self.assertEqual(reply.status, 200, reply.body)
        self.assertEqual(reply.json["usage"]["completion_tokens"], n_tokens)
        return reply.json["choices"][0]["message"]["content"].split()

    def test_a_mixture_of_experts_speaks_past_its_window(self):
        path = self.make("Q4_K_M", shape="tiny-qwen3moe")
        for kv_type in ("f16",) if client.SHORT else ("f16", "bf16", "q8"):
            with self.subTest(kv_type):
                words = self.words_of(path, "--kv-type", kv_type, n_tokens=300)
                self.assertEqual(len(words), 300)
                self.assertGreater(len(set(words)), 300 // 4)

    def test_learned_sinks_and_a_sliding_window_speak_past_it(self):
        words = self.words_of(self.make("MXFP4", shape="tiny-gpt-oss"), "--kv-type", "q8", n_tokens=300)
        self.assertGreater(len(set(words)), 300 // 4)

    def test_heads_that_share_a_latent_vector_speak_past_the_window(self):
        words = self.words_of(self.make("Q8_0", shape="tiny-deepseek2"), n_tokens=300)
        self.assertGreater(len(set(words)), 300 // 4)

    def test_recurrent_layers_speak_past_the_window(self):
        for kind in ("Q8_0",) if client.SHORT else ("F16", "Q8_0"):
            words = self.words_of(self.make(kind, shape="tiny-qwen35"), n_tokens=300)
            self.assertGreater(len(set(words)), 300 // 4)

    def test_each_type_says_different_words_without_end(self):
        for kind in ("Q4_0",) if client.SHORT else ("F32", "F16", "Q4_0", "Q8_0", "Q4_K_M"):
            with self.subTest(kind):
                words = self.words_of(self.make(kind))
                self.assertEqual(len(words), N_TOKENS)
                self.assertTrue(all(word.isalnum() for word in words), words)
                self.assertGreater(len(set(words)), N_TOKENS // 4)

    def test_the_vocabulary_may_be_another_file_s(self):
        words = self.words_of(self.make("Q4_0", client.TINY_MODEL))
        self.assertEqual(len(words), N_TOKENS)
        self.assertTrue(all(word.isalpha() for word in words), words)

    def test_a_vocabulary_is_taken_whole_and_in_order(self):
        first = self.make("Q4_0")
        again = self.make("Q8_0", first)
        parts = []
        for path in (first, again):
            with open(path, "rb") as file:
                raw = file.read(4 << 20)
            begin = raw.index(b"tokenizer.ggml.model")
            parts.append(raw[begin:raw.index(b"token_embd.weight")])
        self.assertEqual(*parts)


if __name__ == "__main__":
    client.main()
