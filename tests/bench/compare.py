#!/usr/bin/env python3
"""Speed of whole steps, beside a peer's on the same weights in the same run; writes RESULTS.md.

    compare.py BENCH_MODEL [--peer LLAMA_BENCH] [--batched LLAMA_BATCHED_BENCH] [--shape NAME]
               [--types Q4_0,Q8_0,Q4_K_M] [--threads N] [--rounds N] [--out FILE]

BENCH_MODEL is build/tests/bench/bench_model. The peer is llama.cpp's llama-bench (native build, CPU), the
batched one its llama-batched-bench; without them only our own figures are shown. Both run in turn, ROUNDS times; each figure
is the median of its rounds, each ratio the median of the rounds' ratios, so that a machine whose speed drifts
does not favour anyone. Models have random weights and are written to a cache folder.
"""
import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
OURS = {'pp512': r'pp512\s+([\d.]+)', 'tg': r'tg,\s+1 sequences @\s+0\s+([\d.]+)',
        'tg @ 1024': r'tg,\s+1 sequences @ 1024\s+([\d.]+)',
        'tg @ 4096': r'tg,\s+1 sequences @ 4096\s+([\d.]+)',
        '4 sequences': r'tg,\s+4 sequences @\s+0\s+([\d.]+)',
        '16 sequences': r'tg,\s+16 sequences @\s+0\s+([\d.]+)'}


def model_path(shape, kind):
    folder = os.path.join(os.environ.get('XDG_CACHE_HOME', os.path.expanduser('~/.cache')), 'sinkd', 'bench')
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, '%s-%s.gguf' % (shape, kind))
    if not os.path.exists(path):
        part = path + '.part'
        subprocess.run(['/usr/bin/python3', os.path.join(HERE, 'random_model.py'), shape, kind, part], check=True)
        os.rename(part, path)
    return path


def output(command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout


def measure_ours(args, path):
    text = output([args.bench_model, path, str(args.threads)])
    return {name: float(re.search(pattern, text).group(1)) for name, pattern in OURS.items()}


def measure_peer(args, path):
    """llama-bench: prompt, and generation at each depth, flash attention on."""
    result = {}
    common = [args.peer, '-m', path, '-t', str(args.threads), '-fa', '1', '-r', '1', '-o', 'json']
    for row in json.loads(output(common + ['-p', '512', '-n', '24', '-d', '0'])):
        result['pp512' if row['n_prompt'] else 'tg'] = row['avg_ts']
    for depth in (1024, 4096):
        row = json.loads(output(common + ['-p', '0', '-n', '16', '-d', str(depth)]))[0]
        result['tg @ %d' % depth] = row['avg_ts']
    return result


def measure_batched(args, path):
    """llama-batched-bench: sequences that decode together, after a prompt of 8 tokens each."""
    result = {}
    for n in (4, 16):
        text = output([args.batched, '-m', path, '-t', str(args.threads), '-c', str(n * 64), '-fa', '1', '-npp', '8',
                       '-ntg', '24', '-npl', str(n), '--output-format', 'jsonl'])
        row = json.loads([line for line in text.splitlines() if line.startswith('{')][-1])
        result['%d sequences' % n] = row['speed_tg']
    return result


def one_model(args, kind):
    path = model_path(args.shape, kind)
    rounds = []
    for _ in range(args.rounds):
        ours, peer = measure_ours(args, path), {}
        if args.peer:
            peer.update(measure_peer(args, path))
        if args.batched:
            peer.update(measure_batched(args, path))
        rounds.append((ours, peer))
        print('%s: %s' % (kind, {k: (round(v, 1), round(peer.get(k, 0), 1)) for k, v in ours.items()}), file=sys.stderr)
    return rounds


def rows(kind, rounds):
    for name in OURS:
        ours = statistics.median(r[0][name] for r in rounds)
        line = '| %s | %s | %.1f |' % (kind, name, ours)
        if name in rounds[0][1]:
            peer = statistics.median(r[1][name] for r in rounds)
            ratio = statistics.median(r[0][name] / r[1][name] for r in rounds)
            line += ' %.1f | %.2f |' % (peer, ratio)
        else:
            line += ' | |'
        yield line


def machine():
    names = {line.split(':')[1].strip() for line in open('/proc/cpuinfo') if line.startswith('model name')}
    flags = next(line for line in open('/proc/cpuinfo') if line.startswith('flags'))
    isa = 'AVX-512 VNNI' if 'avx512_vnni' in flags else 'AVX2' if 'avx2' in flags else 'no AVX2'
    return '%s, %d CPUs, %s, Linux %s' % (' / '.join(sorted(names)), os.cpu_count(), isa, platform.release())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('bench_model')
    parser.add_argument('--peer')
    parser.add_argument('--batched')
    parser.add_argument('--shape', default='tinyllama-1.1b')
    parser.add_argument('--types', default='Q4_0,Q8_0,Q4_K_M')
    parser.add_argument('--threads', type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--out')
    args = parser.parse_args()

    lines = ['## %s, %d threads' % (args.shape, args.threads), '', 'Machine: %s.' % machine(), '',
             '| type | what | sinkd, tokens/s | llama.cpp, tokens/s | ratio |', '|---|---|---|---|---|']
    for kind in args.types.split(','):
        lines += rows(kind, one_model(args, kind))
    text = '\n'.join(lines) + '\n'
    print(text)
    if args.out:
        with open(args.out, 'w') as out:
            out.write('# Results\n\nWritten by `make bench`: medians of %d rounds, both programs in turn on the same files '
                      '(random weights), ratios round by round.\n\n' % args.rounds + text)


if __name__ == '__main__':
    main()
