#!/usr/bin/env python3
"""A disk that is full, a clock that jumps: a request may fail, the daemon does not.

What fails at the N-th allocation is tests/server/test_out_of_memory.c, at the N-th write
test_store_db.c and test_residence.c.
"""
import glob
import http.client
import os
import resource
import subprocess
import tempfile
import unittest

import client
from client import chat_body, wait_until

CHAT = "/v1/chat/completions"


@unittest.skipUnless(os.geteuid() == 0, "only root can mount a small disk")
class Disk(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", self.folder],
                              capture_output=True)
        if done.returncode != 0:
            self.skipTest("this root cannot mount a small disk")
        self.addCleanup(subprocess.run, ["umount", "-l", self.folder], check=True)

    def test_a_full_disk_refuses_what_is_stored_and_nothing_else(self):
        with client.Daemon("--state-dir", os.path.join(self.folder, "state"), "--kv-memory",
                           "1") as daemon:
            def store():
                return daemon.post("/v1/responses", {"input": "Keep this", "max_output_tokens": 16})

            kept = store().json["id"]
            filler = os.path.join(self.folder, "filler")
            with open(filler, "wb", buffering=0) as file:
                with self.assertRaises(OSError):
                    while file.write(bytes(4096)):
                        pass
            statuses = [store().status for _ in range(20)]
            self.assertIn(507, statuses)
            self.assertLessEqual(set(statuses), {200, 507})
            for number in range(3):  # sessions that have no place to go to
                self.assertEqual(daemon.chat(f"Hello {number}", f"talk-{number}").status, 200)
            self.assertEqual(daemon.get("/v1/responses/" + kept).status, 200)
            self.assertEqual(daemon.get("/readyz").status, 200)
            os.remove(filler)
            wait_until(lambda: store().status == 200, "it goes on when there is room")
            self.assertEqual(daemon.get("/v1/responses/" + kept).status, 200)


@unittest.skipIf(client.SHORT, "sanitizers map terabytes")
class Memory(unittest.TestCase):
    def limit(self, daemon, n_bytes):
        resource.prlimit(daemon.process.pid, resource.RLIMIT_AS, (n_bytes, resource.RLIM_INFINITY))

    def mapped(self, daemon):
        with open(f"/proc/{daemon.process.pid}/statm") as file:
            return int(file.read().split()[0]) * resource.getpagesize()

    def ask(self, daemon, size):
        """True when it was answered; a refusal and a connection that is cut are others' luck."""
        try:
            reply = daemon.post(CHAT, {"messages": [{"role": "user", "content": "x" * size}],
                                       "max_tokens": 1})
            self.assertIn(reply.status, (200, 500, 503))
            return reply.status == 200
        except (OSError, http.client.HTTPException):
            return False

    def test_address_space_that_ends_costs_requests_not_the_daemon(self):
        with client.Daemon() as daemon:
            n_refused = 0
            for room in (0, 1 << 20, 4 << 20, 12 << 20):
                self.limit(daemon, self.mapped(daemon) + room)
                for size in (10, 1000, 1 << 20, 4 << 20):
                    n_refused += not self.ask(daemon, size)
                    self.assertIsNone(daemon.process.poll(), "".join(daemon.log[-5:]))
            self.assertGreater(n_refused, 0)
            self.limit(daemon, resource.RLIM_INFINITY)
            self.assertTrue(self.ask(daemon, 1000))


FAKETIME = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")


@unittest.skipIf(client.SHORT, "sanitizers want to be loaded first")
@unittest.skipUnless(FAKETIME, "no libfaketime")
class Clock(unittest.TestCase):
    def test_the_wall_clock_may_jump(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "time")

            def jump(to):
                with open(path + ".new", "w", encoding="ascii") as file:
                    file.write(to)
                os.rename(path + ".new", path)

            jump("+0")
            env = {"LD_PRELOAD": FAKETIME[0], "FAKETIME_TIMESTAMP_FILE": path,
                   "FAKETIME_NO_CACHE": "1", "DONT_FAKE_MONOTONIC": "1"}
            with client.Daemon("--response-ttl", "0", "--ping-seconds", "1", env=env) as daemon:
                def store():
                    reply = daemon.post("/v1/responses", {"input": "Hi", "max_output_tokens": 16})
                    self.assertEqual(reply.status, 200)
                    return reply.json

                first = store()
                stream = daemon.open_stream(CHAT, chat_body("Hi", max_tokens=1 << 20))
                events = iter(stream)
                for to in ("+1y", "-1y", "+0"):
                    jump(to)
                    for _ in range(20):
                        next(events)  # it is not taken for one that has been silent for a year
                    later = store()
                    self.assertEqual(daemon.chat("Hello").status, 200)
                    self.assertEqual(daemon.get("/v1/responses/" + first["id"]).status, 200)
                    self.assertEqual(daemon.get("/health").status, 200)
                    if to == "+1y":
                        self.assertGreater(later["created_at"], first["created_at"] + 10**7)
                # Parked if its reader, this test, was slow: still open, and it speaks on.
                self.assertEqual(daemon.metrics()["sinkd_generations_open"], 1)
                next(events)
                stream.close()  # or the daemon's drain waits for it


if __name__ == "__main__":
    client.main()
