#!/usr/bin/env python3
"""kill -9 under load, again and again: every turn that was acknowledged is there, none twice, none
half, and the next turn works.

    test_crash.py [ROUNDS]     (12; 3 with E2E_SHORT)
"""
import http.client
import json
import os
import random
import sys
import tempfile
import threading
import time
import unittest

import client

ROUNDS = int(sys.argv.pop(1)) if len(sys.argv) > 1 and sys.argv[1].isdigit() else \
    (3 if client.SHORT else 12)
N_CLIENTS = 4
ROUNDS_OF_A_CLIENT = 10  # a long conversation takes long to read again, and so says little


class Talker:
    """One client with a conversation and a chain of responses; remembers what it was told."""

    def __init__(self, daemon, number):
        self.name = f"talker {number}"
        self.n_asked = 0
        self.conversation = daemon.post("/v1/conversations", {}).json["id"]
        self.told = []       # (question, answer) that were acknowledged in the conversation
        self.last = None     # the newest acknowledged response of the chain
        self.chain = []      # (question, answer) of the chain

    def run(self, daemon):
        """Until the daemon is gone."""
        try:
            while True:
                self.ask(daemon, conversation=self.conversation)
                self.ask(daemon, previous_response_id=self.last)
        except (OSError, http.client.HTTPException, json.JSONDecodeError):
            pass

    def ask(self, daemon, **place):
        self.n_asked += 1
        question = f"{self.name} asks {self.n_asked}"
        request = {"input": question, "max_output_tokens": random.randint(1, 12), **place}
        if random.random() < 0.5:
            response = daemon.post("/v1/responses", request).json
        else:
            response = self.stream(daemon, request)
        if response is None or response.get("status") not in ("completed", "incomplete"):
            return
        turn = (question, response["output"][0]["content"][0]["text"])
        if "conversation" in place:
            self.told.append(turn)
        else:
            self.chain.append(turn)
            self.last = response["id"]

    @staticmethod
    def stream(daemon, request):
        last = None
        for data in daemon.open_stream("/v1/responses", request):
            last = json.loads(data)
        return last["response"] if last and last["type"] in ("response.completed",
                                                             "response.incomplete") else None


def all_items(daemon, path):
    items, after = [], ""
    while True:
        page = daemon.get(f"{path}?order=asc&limit=100{after}").json
        items += page["data"]
        if not page["has_more"]:
            return items
        after = "&after=" + page["last_id"]


def turns(items):
    """Pairs of question and answer; a half one is an error."""
    texts = [(item["role"], item["content"][0]["text"]) for item in items]
    if [role for role, _ in texts] != ["user", "assistant"] * (len(texts) // 2):
        raise AssertionError(f"half a turn: {texts[-3:]}")
    return [(texts[i][1], texts[i + 1][1]) for i in range(0, len(texts), 2)]


class Crash(unittest.TestCase):
    def test_acknowledged_turns_survive(self):
        with tempfile.TemporaryDirectory() as folder:
            state = ["--state-dir", os.path.join(folder, "state")]
            talkers, retired = [], []
            for number in range(ROUNDS):
                daemon = client.Daemon(*state)
                for talker in talkers:
                    self.check(daemon, talker)
                if number % ROUNDS_OF_A_CLIENT == 0:
                    retired += talkers
                    talkers = [Talker(daemon, number + i) for i in range(N_CLIENTS)]
                threads = [threading.Thread(target=talker.run, args=[daemon])
                           for talker in talkers]
                for thread in threads:
                    thread.start()
                time.sleep(random.uniform(0.02, 0.4))
                daemon.kill()
                for thread in threads:
                    thread.join()
            with client.Daemon(*state) as daemon:
                for talker in retired + talkers:
                    self.check(daemon, talker)
                for talker in talkers:
                    talker.ask(daemon, conversation=talker.conversation)
                    self.check(daemon, talker)
            n_told = sum(len(talker.told) + len(talker.chain) for talker in retired + talkers)
            print(f"{ROUNDS} rounds, {n_told} turns")
            self.assertGreater(n_told, 0)

    def check(self, daemon, talker):
        found = turns(all_items(daemon, f"/v1/conversations/{talker.conversation}/items"))
        self.assertEqual(len(found), len(set(question for question, _ in found)), "twice")
        # What was stored but not acknowledged may be there too; it is known from now on.
        self.assertEqual([turn for turn in found if turn in talker.told], talker.told)
        self.assertLessEqual(len(found) - len(talker.told), 1)
        talker.told = found
        if talker.last is None:
            return
        response = daemon.get("/v1/responses/" + talker.last).json
        items = all_items(daemon, f"/v1/responses/{talker.last}/input_items")
        self.assertEqual(turns(items + response["output"]), talker.chain)


if __name__ == "__main__":
    client.main()
