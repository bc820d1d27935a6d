#!/usr/bin/env python3
"""screenshots.py FOLDER - pictures of the chat page for the README, from a chat with the default
model."""
import os
import subprocess
import sys

import client


def main(folder):
    os.makedirs(folder, exist_ok=True)
    fetched = subprocess.run([os.path.join(client.ROOT, "scripts/fetch-model.sh")],
                             stdout=subprocess.PIPE, text=True, check=True)
    client.install_packages()
    with client.Daemon("--window", "256", model=fetched.stdout.split("\n")[-2]) as daemon:
        subprocess.run(["node", "screenshots.mjs", client.find_browser(), daemon.url,
                        os.path.abspath(folder)], cwd=client.E2E, check=True)


main(sys.argv[1])
