#!/usr/bin/env python3
"""The chat page in headless Chromium, and what the daemon says around it."""
import os
import re
import tempfile
import unittest

import client

KEY = "page-key-0123456789"


def browser():
    """Chromium's path; skips the test where there is none."""
    if client.SHORT:
        raise unittest.SkipTest("the page is the same under a sanitizer, so it was not tried")
    found = client.find_browser()
    if not found:
        raise unittest.SkipTest("chromium is not installed, so the chat page was not tried")
    return found


class Page(unittest.TestCase):
    def test_a_person_uses_it(self):
        chromium = browser()
        with client.Daemon("--window", "96") as daemon:
            client.run_cases(self, "page.mjs", chromium, daemon.url)

    def test_it_is_safe(self):
        chromium = browser()
        with tempfile.TemporaryDirectory() as folder:
            for name, text in ("keys", KEY + "\n"), ("sinkd.ini", f"api-key-file = {folder}/keys\n"):
                with open(os.path.join(folder, name), "w") as file:
                    file.write(text)
            with client.Daemon() as daemon, client.Daemon("--config", folder + "/sinkd.ini") as keyed:
                client.run_cases(self, "page_safety.mjs", chromium, daemon.url, keyed.url, KEY, folder,
                                 str(keyed.process.pid))


class Delivery(unittest.TestCase):
    def test_it_needs_no_key_and_is_sent_once(self):
        with client.key_file(KEY) as keys, client.Daemon("--api-key-file", keys.name) as daemon:
            reply = daemon.get("/")
            self.assertEqual(reply.status, 200)
            self.assertEqual(reply.headers["Content-Type"], "text/html; charset=utf-8")
            self.assertTrue(reply.body.startswith(b"<!doctype html>"))
            self.assertTrue(reply.body.endswith(b"</html>\n") or reply.body.endswith(b"</html>"))
            tag = reply.headers["ETag"]
            for known in (tag, f'"other", W/{tag}', "*"):
                again = daemon.get("/", {"If-None-Match": known})
                self.assertEqual((again.status, again.body), (304, b""))
            self.assertEqual(daemon.get("/", {"If-None-Match": '"other"'}).status, 200)
            head = daemon.request("HEAD", "/")
            self.assertEqual((head.status, head.body, head.headers["ETag"]), (200, b"", tag))
            self.assertEqual(daemon.post("/", {}).status, 405)

    def test_it_calls_no_other_server(self):
        with client.Daemon() as daemon:
            page = daemon.get("/").body.decode()
            addresses = set(re.findall(r"https?://[\w.-]+", page))
            self.assertEqual(addresses, {"http://www.w3.org"})  # a name space, not an address

    def test_the_operator_can_do_without(self):
        with client.Daemon("--no-page") as daemon:
            self.assertEqual(daemon.get("/").status, 404)
            self.assertEqual(daemon.get("/health").status, 200)


if __name__ == "__main__":
    client.main()
