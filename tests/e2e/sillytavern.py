#!/usr/bin/env python3
"""SillyTavern, a chat front end, talks to the daemon: `make test-sillytavern`.

Outside of `make test`, because it fetches 650 packages (half a gigabyte) and takes minutes.
"""
import os
import re
import subprocess
import tempfile
import unittest

import client

FOLDER = os.path.join(client.E2E, "sillytavern")


class FrontEnd:
    """SillyTavern's server on a free port, with data of its own. A context manager."""

    def __enter__(self):
        self.data = tempfile.TemporaryDirectory()
        port = client.free_port()
        server = os.path.join(FOLDER, "node_modules/sillytavern")
        self.log = open(os.path.join(self.data.name, "log"), "w+")
        self.process = subprocess.Popen(
            ["node", "server.js", "--port", str(port), "--dataRoot", self.data.name + "/data",
             "--configPath", self.data.name + "/config.yaml", "--browserLaunchEnabled", "false",
             "--listen", "false"], cwd=server, stdin=subprocess.DEVNULL, stdout=self.log,
            stderr=subprocess.STDOUT)
        client.wait_until(self.is_listening, "SillyTavern listens")
        return f"http://127.0.0.1:{port}/"

    def is_listening(self):
        with open(self.log.name, errors="replace") as log:
            text = log.read()
        if self.process.poll() is not None:
            raise AssertionError(f"SillyTavern did not start:\n{text}")
        return re.search(r"is listening on", text)

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(client.PATIENCE_S)
        self.log.close()
        self.data.cleanup()


class SillyTavern(unittest.TestCase):
    def test_it_chats(self):
        client.install_packages(FOLDER)
        with client.Daemon() as daemon, FrontEnd() as front:
            client.run_cases(self, "sillytavern.mjs", front, daemon.url)


if __name__ == "__main__":
    client.main()
