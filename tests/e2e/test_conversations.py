#!/usr/bin/env python3
"""/v1/conversations: stored conversations and their items, over HTTP and over a restart."""
import os
import sqlite3
import subprocess
import tempfile
import unittest

import client


def user(text):
    return {"role": "user", "content": text}


def texts(reply):
    return [item["content"][0]["text"] for item in reply.json["data"]]


class Conversations(unittest.TestCase):
    def test_a_conversation_lives_from_create_to_delete(self):
        with client.Daemon() as daemon:
            made = daemon.post("/v1/conversations", {"metadata": {"topic": "tea"},
                                                     "items": [user("one"), user("two")]})
            self.assertEqual(made.status, 200)
            path = "/v1/conversations/" + made.json["id"]
            self.assertEqual(daemon.get(path).json, made.json)
            self.assertEqual(made.json["object"], "conversation")
            self.assertEqual(daemon.post(path, {"metadata": {}}).json["metadata"], {})
            added = daemon.post(path + "/items", {"items": [user("three")]})
            self.assertEqual(texts(added), ["three"])
            self.assertEqual(texts(daemon.get(path + "/items")), ["three", "two", "one"])
            item = path + "/items/" + added.json["first_id"]
            self.assertEqual(daemon.get(item).json, added.json["data"][0])
            self.assertEqual(daemon.delete(item).json["id"], made.json["id"])
            self.assertEqual(daemon.get(item).status, 404)
            gone = daemon.delete(path)
            self.assertEqual(gone.json, {"id": made.json["id"], "object": "conversation.deleted",
                                         "deleted": True})
            self.assertEqual(daemon.get(path).status, 404)
            self.assertEqual(daemon.get(path).json["error"]["code"], "not_found")

    def test_pages_lead_from_one_to_the_next(self):
        with client.Daemon() as daemon:
            words = [f"word {i}" for i in range(25)]
            made = daemon.post("/v1/conversations", {"items": [user(word) for word in words]})
            path = f"/v1/conversations/{made.json['id']}/items?order=asc&limit=10"
            seen, after = [], ""
            for _ in range(3):
                page = daemon.get(path + after)
                seen += texts(page)
                after = "&after=" + page.json["last_id"]
            self.assertEqual(seen, words)
            self.assertFalse(page.json["has_more"])

    def test_long_bodies_are_taken_too(self):
        """They are read on another thread."""
        long = "many words " * 20000
        with client.Daemon() as daemon:
            made = daemon.post("/v1/conversations", {"items": [user(long)]})
            path = f"/v1/conversations/{made.json['id']}/items"
            self.assertEqual(daemon.post(path, {"items": [user(long)] * 3}).status, 200)
            kept = daemon.get(path).json["data"]
            self.assertEqual([item["content"][0]["text"] for item in kept], [long] * 4)
            refused = daemon.post(path, {"items": 5, "unknown": long})
            self.assertEqual((refused.status, refused.json["error"]["param"]), (400, "items"))

    def test_what_is_wrong_is_named(self):
        with client.Daemon() as daemon:
            path = "/v1/conversations/" + daemon.post("/v1/conversations", None).json["id"]
            for reply, param in [
                    (daemon.post(path, {}), "metadata"),
                    (daemon.post(path, {"metadata": {"a": 1}}), "metadata.a"),
                    (daemon.post(path, {"metadata": {"a": "x" * 513}}), "metadata.a"),
                    (daemon.post(path + "/items", {}), "items"),
                    (daemon.post(path + "/items", {"items": [{"id": "msg_1"}]}), "items"),
                    (daemon.get(path + "/items?limit=0"), "limit"),
                    (daemon.get(path + "/items?limit=101"), "limit"),
                    (daemon.get(path + "/items?order=up"), "order")]:
                self.assertEqual(reply.status, 400, reply.body)
                self.assertEqual(reply.json["error"]["param"], param)
            self.assertEqual(daemon.get(path + "/items?after=msg_none").status, 404)
            self.assertEqual(daemon.get("/v1/conversations/" + "x" * 200).status, 404)
            self.assertEqual(daemon.request("PUT", path, {}).status, 405)

    def test_another_key_sees_nothing(self):
        with tempfile.NamedTemporaryFile("w") as keys:
            keys.write("alice-0123\nbob-4567\n")
            keys.flush()
            with client.Daemon("--api-key-file", keys.name) as daemon:
                alice, bob = ({"Authorization": "Bearer " + key}
                              for key in ("alice-0123", "bob-4567"))
                made = daemon.post("/v1/conversations", {"items": [user("secret")]}, alice)
                path = "/v1/conversations/" + made.json["id"]
                self.assertEqual(daemon.get(path, alice).status, 200)
                self.assertEqual(daemon.get(path).status, 401)
                self.assertEqual(daemon.get(path, bob).status, 404)
                self.assertEqual(daemon.get(path + "/items", bob).status, 404)
                self.assertEqual(daemon.post(path, {"metadata": {}}, bob).status, 404)
                self.assertEqual(daemon.delete(path, bob).status, 404)
                self.assertEqual(daemon.get("/v1/conversations", bob).json["data"], [])
                self.assertEqual(len(daemon.get("/v1/conversations", alice).json["data"]), 1)


class OnDisk(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def test_it_is_there_after_a_restart_and_after_a_kill(self):
        state = ["--state-dir", os.path.join(self.folder.name, "state")]
        with client.Daemon(*state) as daemon:
            made = daemon.post("/v1/conversations", {"items": [user("one")]})
            path = f"/v1/conversations/{made.json['id']}/items"
        daemon = client.Daemon(*state)
        self.assertEqual(texts(daemon.get(path)), ["one"])
        self.assertEqual(daemon.post(path, {"items": [user("two")]}).status, 200)
        daemon.kill()
        with client.Daemon(*state) as daemon:
            self.assertEqual(texts(daemon.get(path)), ["two", "one"])

    def test_a_backup_of_a_running_daemon_is_whole(self):
        backup = os.path.join(self.folder.name, "backup")
        os.mkdir(backup)
        with client.Daemon("--state-dir", os.path.join(self.folder.name, "state")) as daemon:
            made = daemon.post("/v1/conversations", {"items": [user("one")]})
            source = sqlite3.connect(os.path.join(self.folder.name, "state/sinkd.db"))
            target = sqlite3.connect(os.path.join(backup, "sinkd.db"))
            source.backup(target)
            source.close()
            target.close()
            self.assertEqual(daemon.delete("/v1/conversations/" + made.json["id"]).status, 200)
        with client.Daemon("--state-dir", backup) as daemon:
            self.assertEqual(texts(daemon.get(f"/v1/conversations/{made.json['id']}/items")),
                             ["one"])

    def test_two_daemons_do_not_share_a_state_folder(self):
        with client.Daemon("--state-dir", self.folder.name):
            status, _, stderr = client.run_once("--model", client.TINY_MODEL, "--port", "0",
                                                "--state-dir", self.folder.name)
            self.assertEqual(status, 1)
            self.assertIn("another sinkd uses", stderr)

    def test_a_full_disk_refuses_loses_nothing_and_recovers(self):
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs",
                                  self.folder.name], capture_output=True)
        if mounted.returncode != 0:
            self.skipTest("no right to mount a small tmpfs")
        try:
            self.fill_and_free()
        finally:
            subprocess.run(["umount", "-l", self.folder.name], check=True)

    def fill_and_free(self):
        with client.Daemon("--state-dir", self.folder.name) as daemon:
            made = daemon.post("/v1/conversations", {"items": [user("one")]})
            path = f"/v1/conversations/{made.json['id']}/items"
            ballast = os.path.join(self.folder.name, "ballast")
            ballast_fd = os.open(ballast, os.O_WRONLY | os.O_CREAT)
            with self.assertRaises(OSError):
                while True:
                    os.write(ballast_fd, bytes(4096))
            os.close(ballast_fd)
            large = {"items": [user("x" * 100000)]}
            full = daemon.post(path, large)
            self.assertIn(full.status, (503, 507))
            self.assertEqual(full.json["error"]["type"], "server_error")
            self.assertIn("Retry-After", full.headers)
            self.assertEqual(texts(daemon.get(path)), ["one"])
            self.assertEqual(daemon.get("/health").status, 200)
            os.unlink(ballast)
            self.assertEqual(daemon.post(path, large).status, 200)
            self.assertEqual(len(texts(daemon.get(path))), 2)


if __name__ == "__main__":
    client.main()
