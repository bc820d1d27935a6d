#!/usr/bin/env python3
"""Tables of speed, beside a peer's on the same weights in the same run; writes them into RESULTS.md.

    compare.py BENCH_FOLDER [--peer LLAMA_BENCH] [--shape NAME] [--types Q4_0,Q8_0,Q4_K_M] [--threads N]
               [--rounds N] [--growth-rounds N] [--out FILE]

BENCH_FOLDER is build/tests/bench. The peer is llama.cpp's llama-bench (CPU), with llama-batched-bench in the same folder;
without it only our own figures are shown. Both programs run in turn, ROUNDS times: each figure is the median of its rounds,
each ratio the median of the rounds' ratios, so that a machine whose speed drifts favours nobody. Models have random
weights and are written to a cache folder. In FILE only what is between the two marks is replaced.
"""
import argparse
import datetime
import json
import os
import platform
import re
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
MARKS = '<!-- written by make bench -->\n', '<!-- end -->\n'
TARGETS = {'pp512': 2.2, 'tg1@0': 1.0, 'tg4@0': 1.5, 'tg16@0': 2.5, 'tg1@4096': 2.0}
OF_EACH_TYPE = ['pp512', 'tg1@0', 'tg4@0', 'tg16@0']
PROMPTS = ['pp%d' % n for n in (32, 128, 512, 2048)]
DEPTHS = ['tg1@%d' % n for n in (0, 1024, 2048, 4096)]
SESSIONS = ['tg%d@0' % n for n in (1, 2, 4, 8, 16, 32)]
KERNEL_TYPES = ['Q4_0', 'Q8_0', 'Q4_K', 'Q6_K', 'F16']


def model_path(shape, kind):
    folder = os.path.join(os.environ.get('XDG_CACHE_HOME', os.path.expanduser('~/.cache')), 'sinkd', 'bench')
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, '%s-%s.gguf' % (shape, kind))
    if not os.path.exists(path):
        part = path + '.part'
        subprocess.run([sys.executable, os.path.join(HERE, 'random_model.py'), shape, kind, part], check=True)
        os.rename(part, path)
    return path


def output(command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout


def ours(args, path, loads, cache='f16'):
    """Tokens per second of each load, and the weights and bytes that a token meets."""
    text = output([args.folder + '/bench_model', '-t', str(args.threads), '-c', cache, path] + loads)
    return {name: float(value) for name, value in re.findall(r'^(\S+) ([\d.]+)$', text, re.M)}


def peers(args, path, loads):
    if not args.peer:
        return {}
    common = ['-m', path, '-t', str(args.threads), '-fa', '1']
    bench = [args.peer, '-r', '1', '-o', 'json'] + common
    batched = [os.path.join(os.path.dirname(args.peer), 'llama-batched-bench'), '--output-format', 'jsonl'] + common
    result = {}
    for load in loads:
        n, depth = (load[2:].split('@') + [None])[:2]
        if depth is None:
            result[load] = json.loads(output(bench + ['-p', n, '-n', '0']))[0]['avg_ts']
        elif n == '1':
            result[load] = json.loads(output(bench + ['-p', '0', '-n', '16', '-d', depth]))[0]['avg_ts']
        else:
            text = output(batched + ['-c', str(int(n) * 64), '-npp', '8', '-ntg', '24', '-npl', n])
            result[load] = json.loads([line for line in text.splitlines() if line.startswith('{')][-1])['speed_tg']
    return result


def rounds(args, kind, loads, n):
    """Of each load: our median, the peer's and the ratio's, the latter None without a peer."""
    path, all_ours, all_peers = model_path(args.shape, kind), [], []
    for _ in range(n):
        all_ours.append(ours(args, path, loads))
        all_peers.append(peers(args, path, loads))
        print(kind, all_ours[-1], all_peers[-1], file=sys.stderr)
    result = {key: (statistics.median(r[key] for r in all_ours), None, None) for key in all_ours[0]}
    for load in all_peers[0]:
        result[load] = (result[load][0], statistics.median(r[load] for r in all_peers),
                        statistics.median(a[load] / b[load] for a, b in zip(all_ours, all_peers)))
    return result


def number(value, form='%.1f'):
    return '' if value is None else form % value


def table(heads, lines):
    return ['| %s |' % ' | '.join(heads), '|' + '---|' * len(heads)] + ['| %s |' % ' | '.join(line) for line in lines] + ['']


def limits(args):
    """GB/s and GOP/s by number of threads."""
    counts = {1 << i for i in range(args.threads.bit_length())} | {args.threads}
    found = {}
    for n in sorted(counts):
        text = output([args.folder + '/bench_limits', str(n)])
        found[n] = tuple(map(float, re.search(r'memory ([\d.]+) GB/s.* ([\d.]+) GOP/s', text).groups()))
    return found


def share(load, rate, measured, limit):
    """Of what bounds the load: reading all weights, in turn with the steps, for one token; products else."""
    if load.startswith('tg1@'):
        return '%.0f %% of reading' % (100 * rate / measured['read'][0])
    return '%.0f %% of products' % (100 * rate * 2 * measured['weights'][0] * 1e-9 / limit[1])


def type_lines(kind, measured, limit):
    for load in OF_EACH_TYPE:
        mine, peer, ratio = measured[load]
        target = TARGETS.get(load)
        verdict = number(ratio, '%.2f')
        if ratio is not None and target is not None and ratio < target:
            verdict = '**%s**' % verdict
        yield [kind, load, number(mine), number(peer), verdict, number(target), share(load, mine, measured, limit)]


def growth_tables(args, kind):
    measured = rounds(args, kind, PROMPTS + DEPTHS + SESSIONS[1:], args.growth_rounds)
    eight_bits = ours(args, model_path(args.shape, kind), DEPTHS, 'q8')
    lines = ['### Prefill against length, %s' % kind, '']
    lines += table(['load', 'sinkd', 'llama.cpp', 'ratio', 'ms per token'],
                   [[load, number(measured[load][0]), number(measured[load][1]), number(measured[load][2], '%.2f'),
                     number(1000 / measured[load][0], '%.2f')] for load in PROMPTS])
    lines += ['### Decode against depth, %s' % kind, '']
    lines += table(['load', 'sinkd', 'of depth 0', 'with 8-bit keys and values', 'of depth 0', 'llama.cpp', 'ratio'],
                   [[load, number(measured[load][0]), number(measured[load][0] / measured[DEPTHS[0]][0], '%.2f'),
                     number(eight_bits[load]), number(eight_bits[load] / eight_bits[DEPTHS[0]], '%.2f'),
                     number(measured[load][1]), number(measured[load][2], '%.2f')] for load in DEPTHS])
    lines += ['### A step against the number of sessions, %s' % kind, '']
    lines += table(['load', 'ms per step', 'sinkd', 'llama.cpp', 'ratio'],
                   [[load, number(1000 * int(load[2:].split('@')[0]) / measured[load][0]), number(measured[load][0]),
                     number(measured[load][1]), number(measured[load][2], '%.2f')] for load in SESSIONS])
    return lines


def kernel_tables(args):
    text = output([args.folder + '/bench_kernels', best_isa()] + KERNEL_TYPES + ['attention'])
    rows, attention, batches = [], [], []
    for line in text.splitlines():
        words = line.split()
        figures = dict(re.findall(r'(\S+): ([\d.]+)', line))
        if words[1] == 'attention':
            attention.append([words[2], figures['us'], figures['GOP/s']])
        else:
            batches = [key for key in figures if key.isdigit()]
            rows.append([words[1], words[2], figures['GB/s']] + [figures[key] for key in batches])
    return (['### Kernels, one thread, %s' % best_isa(), '', 'GB/s of weights for one token; GOP/s for so many.', ''] +
            table(['type', 'rows x columns', 'GB/s'] + batches, rows) +
            ['Attention of one token over 2048 rows, 4 groups of 8 heads of 64:', ''] +
            table(['cache', 'us', 'GOP/s'], attention))


def best_isa():
    flags = next(line for line in open('/proc/cpuinfo') if line.startswith('flags')).split()
    flag_of = {'avx512': 'avx512_vnni', 'avxvnni': 'avx_vnni', 'avx2': 'avx2'}
    best = next((isa for isa, flag in flag_of.items() if flag in flags), 'scalar')
    return os.environ.get('SINKD_KERNELS', best)


def machine():
    names = {line.split(':')[1].strip() for line in open('/proc/cpuinfo') if line.startswith('model name')}
    return '%s, %d CPUs, %s, Linux %s' % (' / '.join(sorted(names)), os.cpu_count(), best_isa(), platform.release())


def write(path, text):
    before, after = '# Results\n\n', ''
    if os.path.exists(path):
        before = open(path).read()
    if MARKS[0] in before:
        before, rest = before.split(MARKS[0], 1)
        after = rest.split(MARKS[1], 1)[1]
    with open(path, 'w') as out:
        out.write(before + MARKS[0] + text + MARKS[1] + after)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('folder')
    parser.add_argument('--peer')
    parser.add_argument('--shape', default='tinyllama-1.1b')
    parser.add_argument('--types', default='Q4_0,Q8_0,Q4_K_M')
    parser.add_argument('--threads', type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--growth-rounds', type=int, default=1)
    parser.add_argument('--out')
    args = parser.parse_args()

    kinds, found = args.types.split(','), limits(args)
    lines = ['## %s, %d threads' % (args.shape, args.threads), '',
             'On %s: %s. Tokens per second; llama.cpp %s.' %
             (datetime.date.today(), machine(), 'runs in turn with sinkd, on the same files' if args.peer else 'not there'), '']
    lines += table(['threads', 'memory, GB/s', '8-bit products, GOP/s'],
                   [[str(n), number(a), number(b, '%.0f')] for n, (a, b) in found.items()])
    rows = []
    for kind in kinds:
        rows += type_lines(kind, rounds(args, kind, OF_EACH_TYPE, args.rounds), found[args.threads])
    lines += ['Medians of %d rounds; ppN: a prompt of N tokens, tgN@D: N sequences at depth D.' % args.rounds, '']
    lines += table(['type', 'load', 'sinkd', 'llama.cpp', 'ratio', 'target', 'share of the limit'], rows)
    lines += growth_tables(args, kinds[0]) + kernel_tables(args)
    text = '\n'.join(lines)
    print(text)
    if args.out:
        write(args.out, text)


if __name__ == '__main__':
    main()
