#!/usr/bin/env python3
"""Conversations: the next turn pays for its new tokens only, and has no end."""
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import unittest

import client

RANDOM_MODEL = os.path.join(client.ROOT, "tests/bench/random_model.py")
WINDOW = 64
CHAT = "/v1/chat/completions"


def answer_of(reply):
    return reply.json["choices"][0]["message"]["content"]


def cached_of(reply):
    return reply.json["usage"]["prompt_tokens_details"]["cached_tokens"]


class Sessions(client.DaemonCase):
    def turn(self, messages, conversation, text, **fields):
        """One more user message and its answer, both appended to `messages`."""
        messages.append({"role": "user", "content": text})
        reply = self.daemon.chat(messages, conversation, **fields)
        self.assertEqual(reply.status, 200, reply.body)
        messages.append({"role": "assistant", "content": answer_of(reply)})
        return reply

    def test_a_named_conversation_pays_for_new_tokens_only(self):
        messages = []
        first = self.turn(messages, "named", "The first question")
        self.assertEqual(cached_of(first), 0)
        second = self.turn(messages, "named", "And the second")
        self.assertGreaterEqual(cached_of(second), first.json["usage"]["prompt_tokens"])
        self.assertLess(second.json["usage"]["prompt_tokens"] - cached_of(second),
                        second.json["usage"]["prompt_tokens"])

    def test_a_history_without_a_name_finds_its_session(self):
        messages = []
        first = self.turn(messages, None, "A question that nobody else asks")
        second = self.turn(messages, None, "And its second part")
        self.assertGreaterEqual(cached_of(second), first.json["usage"]["prompt_tokens"])

    def test_old_messages_may_be_dropped(self):
        """A front end without a name for the chat, and with an idea of a limit."""
        messages = []
        for text in "The first of many", "The second", "The third":
            self.turn(messages, None, text, max_tokens=8)
        del messages[:2]
        reply = self.turn(messages, None, "The fourth", max_tokens=8)
        self.assertEqual(reply.json["session"]["match"], "append")
        self.assertGreater(cached_of(reply), 0)
        messages.pop()
        again = self.daemon.chat(messages, None, max_tokens=8)
        self.assertEqual(again.json["session"]["match"], "rewind")

    def test_a_chat_is_named_in_many_ways(self):
        hello = [{"role": "user", "content": "Hello, whoever you are"}]
        for headers, fields, name in (
                ({"X-OpenWebUI-Chat-Id": "w-1"}, {}, "w-1"),
                ({"session-id": "c-1", "X-Session-Id": "first"}, {"session_id": "last"}, "first"),
                ({}, {"session_id": "s-1", "metadata": {"chat_id": "no"}}, "s-1"),
                ({}, {"metadata": {"chat_id": "m-1"}, "prompt_cache_key": "app"}, "m-1")):
            reply = self.daemon.post("/v1/chat/completions",
                                     {"messages": hello, "max_tokens": 4, **fields}, headers)
            self.assertEqual(reply.json["session"]["id"], name)
        with client.Daemon("--conversation-headers", "X-Chat") as other:
            reply = other.post("/v1/chat/completions", {"messages": hello, "max_tokens": 4},
                               {"X-Chat": "mine", "X-Session-Id": "not looked at"})
            self.assertEqual(reply.json["session"]["id"], "mine")

    def test_a_cached_conversation_answers_as_a_fresh_one(self):
        history = [{"role": "user", "content": "Same words"},
                   {"role": "assistant", "content": "Same answer"},
                   {"role": "user", "content": "Same question"}]
        fresh = self.daemon.chat(history, "fresh-one", max_tokens=16)
        again = self.daemon.chat(history, "fresh-one", max_tokens=16)
        self.assertEqual(answer_of(again), answer_of(fresh))

    def test_a_system_prompt_is_pinned_up_to_its_share(self):
        user = {"role": "user", "content": "Hello"}
        plain = self.daemon.chat([user]).json["session"]
        short = self.daemon.chat([{"role": "system", "content": "Be brief."}, user])
        long = self.daemon.chat([{"role": "system", "content": "Be brief. " * 99}, user])
        self.assertEqual(plain["sinks"], 4)
        self.assertGreater(short.json["session"]["sinks"], 9)
        self.assertEqual(long.json["session"]["sinks"], long.json["session"]["window"] // 4)

    def test_a_side_request_under_the_same_name_leaves_the_session_alone(self):
        messages = []
        first = self.turn(messages, "main", "What I really came for")
        side = self.daemon.chat("Give this chat a title", "main")
        self.assertEqual(side.status, 200)
        second = self.turn(messages, "main", "Now go on")
        self.assertGreaterEqual(cached_of(second), first.json["usage"]["prompt_tokens"])

    def test_two_names_do_not_share_a_session(self):
        """They begin with the same words, which are read once; then each has its own."""
        alice, bob = [], []
        first = self.turn(alice, "alice", "My secret is blue")
        other = self.turn(bob, "bob", "My secret is blue")
        self.assertEqual(other.json["session"]["match"], "new")
        self.assertEqual(cached_of(other), first.json["usage"]["prompt_tokens"] - 1)
        self.assertEqual(answer_of(other), answer_of(first))
        for messages, name in (alice, "alice"), (bob, "bob"):
            reply = self.turn(messages, name, f"And {name}'s own")
            self.assertEqual(reply.json["session"]["match"], "append")
            self.assertEqual(reply.json["session"]["id"], name)


class StateDir(unittest.TestCase):
    """Sessions that outlive memory and the daemon."""

    def setUp(self):
        self.dir = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.dir)

    def talk(self, daemon, histories, text, matches):
        """The next turn of each conversation; all must only pay for what is new."""
        for name, messages in histories.items():
            n_before = len(messages)
            messages.append({"role": "user", "content": text})
            reply = daemon.chat(messages, None if name == "unnamed" else name, max_tokens=8)
            self.assertEqual(reply.status, 200, reply.body)
            self.assertIn(reply.json["session"]["match"], matches)
            if n_before:
                self.assertGreaterEqual(cached_of(reply), self.read[name])
            self.read[name] = reply.json["usage"]["prompt_tokens"]
            messages.append({"role": "assistant", "content": answer_of(reply)})

    def check_all_outlive(self, names, kv_memory, *flags, model=client.TINY_MODEL):
        """Returns what was said."""
        self.read = {}
        histories = {name: [] for name in names}
        small = "--state-dir", self.dir, "--kv-memory", kv_memory, *flags
        with client.Daemon(*small, model=model) as daemon:
            self.talk(daemon, histories, "Hello there, how are you?", ["new"])
            self.talk(daemon, histories, "Tell me more", ["append"])
            self.assertGreater(daemon.metrics()["sinkd_sessions_restored_total"], 0)
        with client.Daemon(*small, model=model) as daemon:
            self.talk(daemon, histories, "And after the restart", ["append"])
            self.assertEqual(daemon.metrics()["sinkd_sessions_lost_total"], 0)
        return histories

    def test_more_conversations_than_memory_then_a_restart(self):
        names = ["unnamed"] + [f"c{i}" for i in range(11)]
        histories = self.check_all_outlive(names, "600K")  # two sessions of twelve
        with client.Daemon() as oracle:  # one after the other, all in memory
            for name, messages in histories.items():
                reply = oracle.chat(messages[:5], name, max_tokens=8)
                self.assertEqual(answer_of(reply), messages[5]["content"])

    def test_other_kinds_of_layers_outlive_memory_and_the_daemon(self):
        models = ("tiny-qwen3moe", "f16", "300K"), ("tiny-gpt-oss", "q8", "300K"), \
            ("tiny-deepseek2", "f16", "300K"), ("tiny-lfm2", "q8", "300K"), ("tiny-qwen35", "f16", "1M")
        for shape, kv_type, memory in models[:1] if client.SHORT else models:
            with self.subTest(shape):
                model = os.path.join(self.dir, shape + ".gguf")
                subprocess.run([sys.executable, RANDOM_MODEL, shape, "Q8_0", model], check=True)
                flags = "--window", "48", "--kv-type", kv_type, "--draft", "0"
                names = [f"{shape}-{i}" for i in range(4)]
                histories = self.check_all_outlive(names, memory, *flags, model=model)
                with client.Daemon(*flags, model=model) as oracle:  # the same turns, all in memory
                    in_memory = {name: [] for name in names}
                    self.read = {}
                    for text in [message["content"] for message in histories[names[0]][::2]]:
                        self.talk(oracle, in_memory, text, ["new", "append"])
                self.assertEqual(histories, in_memory)

    def test_convolutions_share_a_prompt_up_to_a_mark(self):
        """Of the first conversation what followed the system prompt is long gone from its window."""
        model = os.path.join(self.dir, "lfm2.gguf")
        subprocess.run([sys.executable, RANDOM_MODEL, "tiny-lfm2", "Q8_0", model], check=True)
        flags = "--window", "1024", "--draft", "0"
        start = {"role": "system", "content": " ".join(f"w{i}" for i in range(70))}
        first = [start, {"role": "user", "content": " ".join(f"w{i}" for i in range(300))}]
        second = [start, {"role": "user", "content": "Something else"}]
        with client.Daemon(*flags, model=model) as daemon:
            reply = daemon.chat(first, max_tokens=4)
            self.assertGreater(reply.json["session"]["evicted_tokens"], 0)
            after = daemon.chat(second, max_tokens=16)
        with client.Daemon(*flags, model=model) as daemon:
            alone = daemon.chat(second, max_tokens=16)
        self.assertGreater(cached_of(after), 0)
        self.assertEqual(cached_of(after) % 64, 0)
        self.assertEqual(cached_of(alone), 0)
        self.assertEqual(answer_of(after), answer_of(alone))

    def test_damaged_and_missing_files_cost_only_time(self):
        messages = [{"role": "user", "content": "Hello there, how are you?"}]
        for harm in (os.unlink, lambda path: os.truncate(path, 3000)):
            with client.Daemon("--state-dir", self.dir) as daemon:
                reply = daemon.chat(messages, "x", max_tokens=8)
                messages.append({"role": "assistant", "content": answer_of(reply)})
                messages.append({"role": "user", "content": "More"})
            folder = os.path.join(self.dir, "kv")
            files = os.listdir(folder)
            self.assertEqual(len(files), 1)
            harm(os.path.join(folder, files[0]))
        with client.Daemon("--state-dir", self.dir) as daemon:
            self.assertEqual(daemon.chat(messages, "x").status, 200)

    def test_an_edit_is_a_branch_and_the_old_one_stays(self):
        with client.Daemon() as daemon:
            start = [{"role": "user", "content": "Hello there, how are you?"}]
            first = daemon.chat(start, "x", max_tokens=8)
            start.append({"role": "assistant", "content": answer_of(first)})
            one = start + [{"role": "user", "content": "One way"}]
            other = start + [{"role": "user", "content": "Another way"}]
            answers = []
            for messages, match in (one, "append"), (other, "fork"):
                reply = daemon.chat(messages, "x", max_tokens=8)
                self.assertEqual(reply.json["session"]["match"], match)
                answers.append(answer_of(reply))
            for messages, answer in zip((one, other), answers):
                messages += [{"role": "assistant", "content": answer},
                             {"role": "user", "content": "And on"}]
                reply = daemon.chat(messages, "x", max_tokens=8)
                self.assertEqual(reply.json["session"]["match"], "append")


class Endless(unittest.TestCase):
    def run_conversation(self, daemon, name, n_windows):
        """One conversation of n_windows times the window: seconds per token, memory and evicted
        tokens after each turn."""
        messages, per_token_s, rss_kb, evicted = [], [], [], []
        n_tokens = 0
        while n_tokens < n_windows * WINDOW:
            messages.append({"role": "user", "content": "Go on."})
            reply = daemon.chat(messages, name, max_tokens=WINDOW // 2)
            self.assertEqual(reply.status, 200, reply.body)
            per_token_s.append(1 / reply.json["timings"]["predicted_per_second"])
            messages.append({"role": "assistant", "content": answer_of(reply)})
            n_tokens = reply.json["usage"]["total_tokens"]
            evicted.append(reply.json["session"]["evicted_tokens"])
            rss_kb.append(daemon.rss_kb())
            if len(messages) > 4:
                self.assertGreater(cached_of(reply), 0)
        return per_token_s, rss_kb, evicted

    def test_twenty_windows_at_flat_cost_and_memory(self):
        """The cost of a token must not grow with the conversation: four times as much text would
        make it four times as dear, flat is 1, and 2 is asserted. Other work on the machine only
        adds time, so the best of each quarter counts, and the best of three conversations."""
        n_windows = 6 if client.SHORT else 20
        ratios = []
        with client.Daemon("--window", str(WINDOW), "--threads", "1") as daemon:
            while len(ratios) < 3 and min(ratios, default=2) >= 2:
                name = f"endless-{len(ratios)}"
                per_token_s, rss_kb, evicted = self.run_conversation(daemon, name, n_windows)
                quarter = len(per_token_s) // 4
                early, late = slice(quarter, 2 * quarter), slice(-quarter, None)
                ratios.append(min(per_token_s[late]) / min(per_token_s[early]))
                self.assertLess(statistics.median(rss_kb[late]),
                                1.1 * statistics.median(rss_kb[early]))
                self.assertEqual(evicted, sorted(evicted))
                self.assertGreaterEqual(evicted[-1], (n_windows - 2) * WINDOW)
        self.assertLess(min(ratios), 2)

    def test_a_lost_session_is_read_again_at_a_bounded_cost(self):
        """Another daemon knows nothing of it; what lies far back no token could see anyway."""
        messages = [{"role": "system", "content": "Be brief."}]
        for turn in range(30):
            messages.append({"role": "user", "content": f"Question {turn}, and what about it?"})
            messages.append({"role": "assistant", "content": f"Answer {turn}, that is all."})
        messages.append({"role": "user", "content": "Go on."})
        replies = []
        for flags, most in ((), 2 * WINDOW + WINDOW // 2), (("--reread-windows", "0"), 1 << 30):
            with client.Daemon("--window", str(WINDOW), "--reread-windows", "2", *flags) as daemon:
                history = list(messages)
                first = daemon.chat(history, "lost", max_tokens=8)
                usage = first.json["usage"]
                self.assertLessEqual(usage["prompt_tokens"] - cached_of(first), most)
                history += [{"role": "assistant", "content": answer_of(first)},
                            {"role": "user", "content": "And then?"}]
                second = daemon.chat(history, "lost", max_tokens=8)
                self.assertEqual(second.json["session"]["match"], "append")
                self.assertGreaterEqual(cached_of(second), usage["prompt_tokens"])
                replies.append((usage["prompt_tokens"], first.json["session"]["evicted_tokens"]))
        self.assertGreater(replies[0][0], 10 * WINDOW)
        self.assertEqual(replies[0], replies[1])  # what is not read counts, as evicted

    def test_a_stream_counts_what_is_not_read_as_its_end_does(self):
        messages = [{"role": "user" if i % 2 == 0 else "assistant", "content": f"Line {i} of many."}
                    for i in range(61)]
        with client.Daemon("--window", str(WINDOW), "--reread-windows", "2") as daemon:
            chunks = daemon.open_stream(CHAT, {
                "messages": messages, "max_tokens": 8, "stream": True, "return_progress": True,
                "timings_per_token": True}).chunks()
            cached = [chunk[key][field] for chunk in chunks
                      for key, field in (("timings", "cache_n"), ("prompt_progress", "cache"))
                      if key in chunk]
        self.assertGreater(cached[-1], WINDOW)
        self.assertEqual(set(cached), {cached[-1]})

    def test_a_prompt_longer_than_the_window_streams_through(self):
        with client.Daemon("--window", str(WINDOW)) as daemon:
            reply = daemon.chat("word " * 10 * WINDOW)
            self.assertEqual(reply.status, 200, reply.body)
            self.assertGreater(reply.json["usage"]["prompt_tokens"], 10 * WINDOW)
            self.assertGreater(reply.json["session"]["evicted_tokens"], 8 * WINDOW)


if __name__ == "__main__":
    client.main()
