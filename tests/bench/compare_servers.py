#!/usr/bin/env python3
"""What a client sees of sinkd and of llama.cpp's server, on the same model, in turn.

    compare_servers.py SINKD LLAMA_SERVER MODEL [--threads N] [--rounds N]

Both are started with room for 16 conversations of 1024 tokens and as many threads, and asked by the same
client over /v1/chat/completions with streams; sinkd also with --draft 0, because models that repeat
themselves make its drafts look better than they are. Prints the median of the rounds for each, and the
median of the rounds' ratios; above 1 sinkd is ahead. For types that no model at hand has, random_model.py
makes one with a real model's vocabulary.
"""
import argparse
import concurrent.futures
import http.client
import json
import os
import re
import socket
import statistics
import subprocess
import time

N_SLOTS, N_ANSWER = 16, 64
TEXT = 'The lighthouse keeper wrote down the weather every evening, and the ships that passed. ' * 20
BY_LESS = {'ready', 'first token', 'first token, second turn', 'memory, peak'}


class Server:
    """A server on a free port, ready when entered."""

    def __init__(self, command):
        with socket.create_server(('127.0.0.1', 0)) as probe:
            self.port = probe.getsockname()[1]
        self.command = command + ['--host', '127.0.0.1', '--port', str(self.port)]

    def __enter__(self):
        begin = time.monotonic()
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not self.is_ready():
            if self.process.poll() is not None:
                raise SystemExit('%s ended with %d' % (self.command[0], self.process.returncode))
            time.sleep(0.02)
        self.ready_s = time.monotonic() - begin
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def is_ready(self):
        try:
            connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=5)
            connection.request('GET', '/health')
            return connection.getresponse().status == 200
        except OSError:
            return False

    def peak_mib(self):
        status = open('/proc/%d/status' % self.process.pid).read()
        return int(re.search(r'VmHWM:\s+(\d+)', status)[1]) / 1024

    def chat(self, messages):
        """The answer, its tokens, and the seconds to its first and last text."""
        connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=600)
        body = {'model': 'any', 'messages': messages, 'max_tokens': N_ANSWER, 'temperature': 0, 'ignore_eos': True, 'stream': True,
                'stream_options': {'include_usage': True}}
        begin, times, text, n_tokens = time.monotonic(), [], '', 0
        connection.request('POST', '/v1/chat/completions', json.dumps(body), {'Content-Type': 'application/json'})
        for line in connection.getresponse():
            if not line.startswith(b'data: {'):
                continue
            chunk = json.loads(line[6:])
            if chunk.get('choices') and chunk['choices'][0]['delta'].get('content'):
                times.append(time.monotonic() - begin)
                text += chunk['choices'][0]['delta']['content']
            if chunk.get('usage'):
                n_tokens = chunk['usage']['completion_tokens']
        connection.close()
        if not times:
            raise SystemExit('%s answered without a word; another model may say some' % self.command[0])
        return text, n_tokens, times[0], times[-1]


def measure(command, salt):
    """Every figure of one server; `salt` keeps prompts apart, so that nothing is remembered."""
    found = {}
    with Server(command) as server:
        found['ready'] = server.ready_s * 1e3
        server.chat([{'role': 'user', 'content': 'Hello.'}])
        talk = [{'role': 'user', 'content': '%d. %s' % (salt, TEXT)}]
        text, n, first, last = server.chat(talk)
        found['first token'] = first * 1e3
        found['one speaks'] = (n - 1) / (last - first)
        talk += [{'role': 'assistant', 'content': text}, {'role': 'user', 'content': 'And then?'}]
        found['first token, second turn'] = server.chat(talk)[2] * 1e3
        for n_at_once in (4, 16):
            with concurrent.futures.ThreadPoolExecutor(n_at_once) as pool:
                begin = time.monotonic()
                asked = [[{'role': 'user', 'content': 'Tell story %d-%d-%d.' % (salt, n_at_once, i)}] for i in range(n_at_once)]
                done = list(pool.map(server.chat, asked))
                found['%d speak' % n_at_once] = sum(d[1] for d in done) / (time.monotonic() - begin)
        found['memory, peak'] = server.peak_mib()
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('sinkd')
    parser.add_argument('peer')
    parser.add_argument('model')
    parser.add_argument('--threads', type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument('--rounds', type=int, default=3)
    args = parser.parse_args()
    ours = [args.sinkd, '--model', args.model, '--threads', str(args.threads), '--window', '1024']
    peers = [args.peer, '-m', args.model, '-t', str(args.threads), '-np', str(N_SLOTS), '-c', str(N_SLOTS * 1024),
             '-fa', 'on']
    rounds = [(measure(ours, 3 * i), measure(ours + ['--draft', '0'], 3 * i + 1), measure(peers, 3 * i + 2))
              for i in range(args.rounds)]
    print('| | sinkd | without drafts | llama.cpp | ratio, with drafts | without |\n|---|---|---|---|---|---|')
    for name in rounds[0][0]:
        unit = 'MiB' if name.startswith('memory') else 'ms' if name in BY_LESS else 'tokens/s'
        all_mine, all_plain, all_theirs = zip(*([figures[name] for figures in one] for one in rounds))
        ratios = [statistics.median(theirs / mine if name in BY_LESS else mine / theirs
                                    for mine, theirs in zip(some, all_theirs)) for some in (all_mine, all_plain)]
        medians = [statistics.median(some) for some in (all_mine, all_plain, all_theirs)]
        print('| %s, %s | %.1f | %.1f | %.1f | %.2f | %.2f |' % (name, unit, *medians, *ratios))


if __name__ == '__main__':
    main()
