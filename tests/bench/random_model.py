#!/usr/bin/env python3
"""Writes a GGUF of the llama family with random weights: for speed, shapes and types are what counts.

    random_model.py SHAPE TYPE OUT.gguf        SHAPE: tinyllama-1.1b, smollm2-135m, llama2-7b
                                               TYPE:  F32, F16, Q4_0, Q8_0, Q4_K_M

Blocks are random bits with small scales, so the numbers stay finite. The vocabulary is made up.
Needs python3-numpy.
"""
import struct
import sys

import numpy as np

SHAPES = {  # layers, embedding, heads, kv heads, feed-forward, vocabulary, context
    'tinyllama-1.1b': (22, 2048, 32, 4, 5632, 32000, 2048),
    'smollm2-135m': (30, 576, 9, 3, 1536, 49152, 8192),
    'llama2-7b': (32, 4096, 32, 32, 11008, 32000, 4096),
}
# GGUF number, elements and bytes of a block, (offset, value) of each f16 scale in it
TYPES = {
    'F32': (0, 1, 4, []),
    'F16': (1, 1, 2, []),
    'Q4_0': (2, 32, 18, [(0, 0.004)]),
    'Q8_0': (8, 32, 34, [(0, 0.0003)]),
    'Q4_K': (12, 256, 144, [(0, 0.0001), (2, 0.0007)]),
    'Q6_K': (14, 256, 210, [(208, 0.00002)]),
}
STRING, U32, F32_VALUE, ARRAY, I32 = 8, 4, 6, 9, 5
ALIGNMENT = 32


def text(s):
    raw = s.encode()
    return struct.pack('<Q', len(raw)) + raw


def entry(key, kind, value):
    head = text(key) + struct.pack('<I', kind)
    if kind == STRING:
        return head + text(value)
    if kind == ARRAY:
        element, items = value
        body = b''.join(text(i) for i in items) if element == STRING else \
            np.array(items, '<f4' if element == F32_VALUE else '<i4').tobytes()
        return head + struct.pack('<IQ', element, len(items)) + body
    return head + struct.pack('<f' if kind == F32_VALUE else '<I', value)


def vocabulary(n):
    names = ['<unk>', '<s>', '</s>'] + ['<0x%02X>' % i for i in range(256)]
    kinds = [2, 3, 3] + [6] * 256
    names += ['\u2581w%d' % i for i in range(n - len(names))]
    return names, kinds + [1] * (n - len(kinds)), [0.0] * 259 + [-float(i) for i in range(n - 259)]


def metadata(shape, name):
    layers, embd, heads, kv_heads, ff, n_vocab, context = shape
    names, kinds, scores = vocabulary(n_vocab)
    return [
        entry('general.architecture', STRING, 'llama'), entry('general.name', STRING, name),
        entry('llama.block_count', U32, layers), entry('llama.context_length', U32, context),
        entry('llama.embedding_length', U32, embd), entry('llama.feed_forward_length', U32, ff),
        entry('llama.attention.head_count', U32, heads),
        entry('llama.attention.head_count_kv', U32, kv_heads),
        entry('llama.rope.dimension_count', U32, embd // heads),
        entry('llama.attention.layer_norm_rms_epsilon', F32_VALUE, 1e-5),
        entry('llama.vocab_size', U32, n_vocab),
        entry('tokenizer.ggml.model', STRING, 'llama'),
        entry('tokenizer.ggml.tokens', ARRAY, (STRING, names)),
        entry('tokenizer.ggml.scores', ARRAY, (F32_VALUE, scores)),
        entry('tokenizer.ggml.token_type', ARRAY, (I32, kinds)),
        entry('tokenizer.ggml.bos_token_id', U32, 1), entry('tokenizer.ggml.eos_token_id', U32, 2),
    ]


def tensors(shape, kind):
    """(name, dims, type): a Q4_K_M file keeps half of its value and down matrices in Q6_K."""
    layers, embd, heads, kv_heads, ff, n_vocab, _ = shape
    kv = embd // heads * kv_heads
    base = 'Q4_K' if kind == 'Q4_K_M' else kind

    def finer(i):
        return 'Q6_K' if kind == 'Q4_K_M' and i % 2 == 0 else base
    yield 'token_embd.weight', (embd, n_vocab), base
    for i in range(layers):
        b = 'blk.%d.' % i
        yield b + 'attn_norm.weight', (embd,), 'F32'
        yield b + 'attn_q.weight', (embd, embd), base
        yield b + 'attn_k.weight', (embd, kv), base
        yield b + 'attn_v.weight', (embd, kv), finer(i)
        yield b + 'attn_output.weight', (embd, embd), base
        yield b + 'ffn_norm.weight', (embd,), 'F32'
        yield b + 'ffn_gate.weight', (embd, ff), base
        yield b + 'ffn_up.weight', (embd, ff), base
        yield b + 'ffn_down.weight', (ff, embd), finer(i)
    yield 'output_norm.weight', (embd,), 'F32'
    yield 'output.weight', (embd, n_vocab), 'Q6_K' if kind == 'Q4_K_M' else base


def n_bytes(dims, kind):
    _, block_len, block_bytes, _ = TYPES[kind]
    assert dims[0] % block_len == 0, 'rows of %d do not fit %s' % (dims[0], kind)
    return int(np.prod(dims)) // block_len * block_bytes


def data(rng, dims, kind):
    _, block_len, block_bytes, scales = TYPES[kind]
    n = int(np.prod(dims))
    if len(dims) == 1:
        return np.ones(n, '<f4').tobytes()
    if not scales:
        return rng.normal(0, 0.02, n).astype('<f4' if kind == 'F32' else '<f2').tobytes()
    blocks = rng.integers(0, 256, (n // block_len, block_bytes), np.uint8)
    for offset, value in scales:
        blocks[:, offset:offset + 2] = np.frombuffer(np.array(value, '<f2').tobytes(), np.uint8)
    return blocks.tobytes()


def main():
    if len(sys.argv) != 4 or sys.argv[1] not in SHAPES:
        sys.exit(__doc__)
    shape, kind, path = SHAPES[sys.argv[1]], sys.argv[2], sys.argv[3]
    rng = np.random.default_rng(7)
    kv = metadata(shape, sys.argv[1] + '-' + kind)
    plan, offset, infos = [], 0, b''
    for name, dims, tensor_kind in tensors(shape, kind):
        infos += text(name) + struct.pack('<I%dQIQ' % len(dims), len(dims), *dims,
                                          TYPES[tensor_kind][0], offset)
        plan.append((dims, tensor_kind))
        offset += (n_bytes(dims, tensor_kind) + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT
    with open(path, 'wb') as out:
        out.write(struct.pack('<4sIQQ', b'GGUF', 3, len(plan), len(kv)) + b''.join(kv) + infos)
        for dims, tensor_kind in plan:
            out.write(b'\0' * (-out.tell() % ALIGNMENT))
            out.write(data(rng, dims, tensor_kind))


if __name__ == '__main__':
    main()
