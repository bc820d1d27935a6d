#!/usr/bin/env python3
"""System calls below libuv and libmicrohttpd fail: a request may fail, the daemon does not.

failing_calls.c is preloaded and makes every n-th call of a kind fail, while the daemon runs.
"""
import contextlib
import errno
import http.client
import json
import mmap
import os
import struct
import tempfile
import unittest

import client
from client import chat_body, wait_until

SHIM = os.path.join(os.path.dirname(client.SINKD), "tests/e2e/failing_calls.so")
CHAT = "/v1/chat/completions"
# The same order as in failing_calls.c.
CALLS = ("accept", "recv", "send", "epoll_wait", "http_epoll_add", "loop_epoll_add", "epoll_create",
         "eventfd", "pipe")
GIVE_UP_S = 2
ROW = struct.Struct("=IiII")
NO_EVENTS = 0  # of epoll_wait: instead of an error
FAULTS = {
    "accept": (errno.ECONNABORTED, errno.ENOBUFS, errno.ENOMEM, errno.ENFILE, errno.EPROTO,
               errno.EINTR, errno.EAGAIN),
    "recv": (errno.ECONNRESET, errno.ENOBUFS, errno.ENOMEM, errno.ETIMEDOUT),
    "send": (errno.ECONNRESET, errno.EPIPE, errno.ENOBUFS, errno.ENOMEM, errno.EHOSTUNREACH),
    "epoll_wait": (errno.EINTR, NO_EVENTS),
    "http_epoll_add": (errno.ENOSPC, errno.ENOMEM),
}
STRIDES = (3, 7)
# A body of 3 KB with a text that is read anew each time, for the window is shorter; the rest of the
# body costs nothing to read.
LONG = chat_body("Hello " * 220, metadata={str(i): "x" * 320 for i in range(5)})


class Faults:
    """The table that the test and the daemon share."""

    def __init__(self, path):
        with open(path, "w+b") as file:
            file.truncate(ROW.size * len(CALLS))
            self.map = mmap.mmap(file.fileno(), 0)

    def set(self, call, error, every):
        """Every n-th call fails from now on; none with every=0."""
        struct.pack_into("=Ii", self.map, CALLS.index(call) * ROW.size, every, error)

    def n_calls(self, call):
        return ROW.unpack_from(self.map, CALLS.index(call) * ROW.size)[2]

    def n_failed(self, call):
        return ROW.unpack_from(self.map, CALLS.index(call) * ROW.size)[3]


@contextlib.contextmanager
def faulty_daemon(*first_faults):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "faults")
        faults = Faults(path)
        for fault in first_faults:
            faults.set(*fault)
        with client.Daemon(env={"LD_PRELOAD": SHIM, "FAILING_CALLS": path}) as daemon:
            yield daemon, faults


@unittest.skipIf(client.SHORT, "sanitizers want to be loaded first")
class FailingCalls(unittest.TestCase):
    def ask(self, daemon, method, path, body=None):
        """True when it was answered as it should be. A failing call may cut or stall a connection;
        then this client gives up."""
        with contextlib.closing(daemon.connect()) as connection:
            connection.sock.settimeout(GIVE_UP_S)
            try:
                connection.request(method, path, body and json.dumps(body))
                response = connection.getresponse()
                text = response.read()
            except (OSError, http.client.HTTPException):
                return False
            is_stream = body is not None and body.get("stream")
            return response.status == 200 and (not is_stream or text.endswith(b"[DONE]\n\n"))

    def ask_all(self, daemon):
        return [self.ask(daemon, "GET", "/health"),
                self.ask(daemon, "POST", CHAT, chat_body("Hello")),
                self.ask(daemon, "POST", CHAT, LONG),
                self.ask(daemon, "POST", CHAT, chat_body("Hello", stream=True))]

    def count(self, daemon, faults):
        """How often the daemon's loop turns for a few requests; they may fail."""
        before = faults.n_calls("epoll_wait")
        for _ in range(3):
            self.ask_all(daemon)
        self.assertIsNone(daemon.process.poll(), "".join(daemon.log[-5:]))
        return faults.n_calls("epoll_wait") - before

    def check(self, daemon, faults, call, error, every, n_calm):
        n_failed = faults.n_failed(call)
        faults.set(call, error, every)
        n_turns = self.count(daemon, faults)
        faults.set(call, 0, 0)
        self.assertGreater(faults.n_failed(call), n_failed)
        self.assertLess(n_turns, 20 * n_calm, "it turns in vain")
        wait_until(lambda: all(self.ask_all(daemon)), "it serves when calls no longer fail")

    def test_the_daemon_outlives_calls_that_fail(self):
        with faulty_daemon() as (daemon, faults):
            n_calm = self.count(daemon, faults)
            n_files = daemon.metrics()["process_open_fds"]
            for call, error, every in ((call, error, every) for call, errors in FAULTS.items()
                                       for error in errors for every in STRIDES):
                with self.subTest(call=call, error=errno.errorcode.get(error), every=every):
                    self.check(daemon, faults, call, error, every, n_calm)
            wait_until(lambda: daemon.metrics()["process_open_fds"] <= n_files, "files are closed")
            self.assertEqual(daemon.metrics()["sinkd_generations_open"], 0)

    def test_clients_that_cannot_be_watched_are_refused(self):
        """What is left of fs.epoll.max_user_watches is nothing."""
        with faulty_daemon() as (daemon, faults):
            self.assertEqual(daemon.get("/health").status, 200)  # its loop runs
            faults.set("loop_epoll_add", errno.ENOSPC, 1)
            self.assertEqual(daemon.get("/health").status, 200)
            self.assertEqual(daemon.chat("Hello").status, 503)
            faults.set("loop_epoll_add", 0, 0)
            self.assertEqual(daemon.chat("Hello").status, 200)

    def test_a_start_without_a_descriptor_ends_with_a_sentence(self):
        for call, nth, sentence in (("epoll_create", 1, "cannot start the event loop"),
                                    ("epoll_create", 2, "cannot start the HTTP server"),
                                    ("pipe", 1, "cannot start the event loop"),
                                    ("pipe", 3, "cannot start the event loop"),
                                    ("pipe", 5, "cannot start the event loop"),
                                    ("eventfd", 1, "cannot start the event loop"),
                                    ("eventfd", 2, "cannot make a wake-up")):
            with self.subTest(call=call, nth=nth), self.assertRaisesRegex(AssertionError, sentence):
                with faulty_daemon((call, errno.EMFILE, nth)):
                    pass


if __name__ == "__main__":
    client.main()
