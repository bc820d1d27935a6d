#!/usr/bin/env python3
"""Writes a GGUF with random weights: for speed, shapes and types are what counts.

    random_model.py SHAPE TYPE OUT.gguf [VOCABULARY.gguf]
                                               SHAPE: tinyllama-1.1b, smollm2-135m, llama2-7b, tiny; with
                                                  experts qwen3-30b-a3b, olmoe-1b-7b, gpt-oss-20b, tiny-qwen3moe,
                                                  tiny-gpt-oss, deepseek-v2-lite (of which each layer has them),
                                                  tiny-deepseek2; with convolutions lfm2-350m, lfm2-1.2b,
                                                  lfm2-8b-a1b (of which each layer has experts), tiny-lfm2;
                                                  with recurrent layers
                                                  qwen3.5-0.8b, qwen3.5-4b, tiny-qwen35; "SHAPE/N": N layers
                                               TYPE:  F32, F16, Q4_0, Q8_0, Q4_K_M, MXFP4 (experts; the rest Q8_0)

Blocks are random bits with small scales, so the numbers stay finite. The vocabulary and its chat template come from
another GGUF, or are made up. Only whole words have weights in the output matrix: an answer never
ends by itself, and its text becomes the same tokens again.
"""
import collections
import math
import mmap
import random
import struct
import sys

Shape = collections.namedtuple(  # a feed-forward is an expert's, where there are some
    'Shape',
    'layers embd heads kv_heads ff context arch head_dim experts used latent rotated value attends state period',
    defaults=('llama', 0, 0, 0, 0, 0, 0, (), None, 1))  # value: of heads that share a latent vector; layers that are not
#                                                         in attends have a convolution, where some are
State = collections.namedtuple('State', 'heads groups dim')  # of recurrent layers: all but each period-th one
SHAPES = {
    'tinyllama-1.1b': Shape(22, 2048, 32, 4, 5632, 2048),
    'smollm2-135m': Shape(30, 576, 9, 3, 1536, 8192),
    'llama2-7b': Shape(32, 4096, 32, 32, 11008, 4096),
    'tiny': Shape(2, 256, 4, 2, 512, 512),
    'qwen3-30b-a3b': Shape(48, 2048, 32, 4, 768, 32768, 'qwen3moe', 128, 128, 8),
    'olmoe-1b-7b': Shape(16, 2048, 16, 16, 1024, 4096, 'olmoe', 128, 64, 8),
    'gpt-oss-20b': Shape(24, 2880, 64, 8, 2880, 131072, 'gpt-oss', 64, 32, 4),
    'deepseek-v2-lite': Shape(27, 2048, 16, 1, 1408, 32768, 'deepseek2', 192, 64, 6, 512, 64, 128),
    'tiny-deepseek2': Shape(2, 256, 4, 1, 256, 4096, 'deepseek2', 48, 8, 2, 64, 16, 32),
    'lfm2-350m': Shape(16, 1024, 16, 8, 4608, 128000, 'lfm2', attends=(2, 5, 8, 10, 12, 14)),
    'lfm2-1.2b': Shape(16, 2048, 32, 8, 8192, 128000, 'lfm2', attends=(2, 5, 8, 10, 12, 14)),
    'lfm2-8b-a1b': Shape(24, 2048, 32, 8, 1792, 128000, 'lfm2moe', 0, 32, 4, attends=(2, 6, 10, 14, 18, 21)),
    'tiny-lfm2': Shape(4, 256, 4, 2, 512, 4096, 'lfm2', attends=(1, 3)),
    'qwen3.5-0.8b': Shape(24, 1024, 8, 2, 3584, 262144, 'qwen35', 256, rotated=64, state=State(16, 16, 128), period=4),
    'qwen3.5-4b': Shape(32, 2560, 16, 4, 9216, 262144, 'qwen35', 256, rotated=64, state=State(32, 16, 128), period=4),
    'tiny-qwen35': Shape(4, 256, 4, 2, 512, 4096, 'qwen35', 64, rotated=16, state=State(4, 2, 32), period=2),
    'tiny-gpt-oss': Shape(2, 256, 4, 2, 256, 4096, 'gpt-oss', 64, 8, 2),
    'tiny-qwen3moe': Shape(2, 256, 4, 2, 256, 512, 'qwen3moe', 64, 8, 2),
}
MADE_UP_WORDS = 32000 - 259


def bits(keep, put):
    """What becomes of a random byte."""
    return bytes(byte & keep | put for byte in range(256))


def scale(offset, value):
    """A half float of any sign: weights with a mean would drown what the tokens say."""
    low, high = struct.pack('<e', value)
    return {offset: bits(0, low), offset + 1: bits(0x80, high)}


# GGUF number, elements and bytes of a block, those of its bytes that are not just random
TYPES = {
    'F32': (0, 1, 4, {2: bits(0x7f, 0x80), 3: bits(0x80, 0x3c)}),
    'F16': (1, 1, 2, {1: bits(0x83, 0x24)}),
    'Q4_0': (2, 32, 18, scale(0, 0.004)),
    'Q8_0': (8, 32, 34, scale(0, 0.0003)),
    'Q4_K': (12, 256, 144, scale(0, 0.0001) | scale(2, 0.0007)),
    'Q6_K': (14, 256, 210, scale(208, 0.00002)),
    'MXFP4': (39, 32, 17, {0: bits(0, 119)}),
}
U32, F32_VALUE, STRING, ARRAY, I32 = 4, 6, 8, 9, 5
VALUE_BYTES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
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
        body = b''.join(map(text, items)) if element == STRING else \
            struct.pack('<%d%s' % (len(items), 'f' if element == F32_VALUE else 'i'), *items)
        return head + struct.pack('<IQ', element, len(items)) + body
    return head + struct.pack('<f' if kind == F32_VALUE else '<I', value)


def made_up_vocabulary():
    """(names of tokens, metadata)"""
    names = ['<unk>', '<s>', '</s>'] + ['<0x%02X>' % i for i in range(256)]
    kinds = [2, 3, 3] + [6] * 256 + [1] * MADE_UP_WORDS
    scores = [0.0] * len(names) + [-float(i) for i in range(MADE_UP_WORDS)]
    names += ['\u2581w%d' % i for i in range(MADE_UP_WORDS)]
    return names, [
        entry('tokenizer.ggml.model', STRING, 'llama'),
        entry('tokenizer.ggml.tokens', ARRAY, (STRING, names)),
        entry('tokenizer.ggml.scores', ARRAY, (F32_VALUE, scores)),
        entry('tokenizer.ggml.token_type', ARRAY, (I32, kinds)),
        entry('tokenizer.ggml.bos_token_id', U32, 1), entry('tokenizer.ggml.eos_token_id', U32, 2),
    ]


class Metadata:
    """A GGUF's keys and values, in order."""

    def __init__(self, raw):
        self.raw = raw
        magic, version, _, self.n = struct.unpack_from('<4sIQQ', raw)
        assert magic == b'GGUF' and version in (2, 3), 'not a GGUF that this can read'
        self.at = 24

    def take(self, form):
        values = struct.unpack_from(form, self.raw, self.at)
        self.at += struct.calcsize(form)
        return values if len(values) > 1 else values[0]

    def string(self):
        n = self.take('<Q')
        self.at += n
        return self.raw[self.at - n:self.at].decode()

    def value(self, kind):
        """Strings and arrays of them; numbers are skipped."""
        if kind == STRING:
            return self.string()
        element, n = self.take('<IQ') if kind == ARRAY else (kind, 1)
        if element in VALUE_BYTES:
            self.at += n * VALUE_BYTES[element]
            return None
        return [self.value(element) for _ in range(n)]

    def entries(self):
        """(key, value, both as they are in the file)"""
        for _ in range(self.n):
            begin = self.at
            key, value = self.string(), self.value(self.take('<I'))
            yield key, value, self.raw[begin:self.at]


def vocabulary_of(path):
    """(names of tokens, metadata) of a GGUF file."""
    with open(path, 'rb') as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as raw:
        found = [one for one in Metadata(raw).entries() if one[0].startswith('tokenizer.')]
    return next(value for key, value, _ in found if key == 'tokenizer.ggml.tokens'), [whole for *_, whole in found]


def is_word(name):
    return name[:1] in ('\u2581', '\u0120') and name[1:].isascii() and name[1:].isalnum()


def shape_of(name):
    """None without one of this name."""
    base, _, layers = name.partition('/')
    if base not in SHAPES or (layers and not layers.isdigit()):
        return None
    shape = SHAPES[base]
    return shape._replace(layers=int(layers or shape.layers), head_dim=shape.head_dim or shape.embd // shape.heads)


def metadata(shape, name, n_vocab):
    counts = {
        'block_count': shape.layers, 'context_length': shape.context, 'embedding_length': shape.embd,
        'feed_forward_length': shape.ff, 'attention.head_count': shape.heads,
        'attention.head_count_kv': shape.kv_heads, 'attention.key_length': shape.head_dim,
        'attention.value_length': shape.head_dim, 'rope.dimension_count': shape.head_dim, 'vocab_size': n_vocab,
    }
    if shape.experts:
        counts.update({'expert_count': shape.experts, 'expert_used_count': shape.used,
                       'expert_feed_forward_length': shape.ff})
    if shape.latent:
        counts.update({
            'attention.kv_lora_rank': shape.latent, 'attention.key_length': shape.latent + shape.rotated,
            'attention.value_length': shape.latent, 'attention.key_length_mla': shape.head_dim,
            'attention.value_length_mla': shape.value, 'rope.dimension_count': shape.rotated,
            'expert_shared_count': 2, 'leading_dense_block_count': 0})
    if shape.state:
        counts.update({
            'ssm.conv_kernel': 4, 'ssm.state_size': shape.state.dim, 'ssm.group_count': shape.state.groups,
            'ssm.time_step_rank': shape.state.heads, 'ssm.inner_size': shape.state.heads * shape.state.dim,
            'full_attention_interval': shape.period, 'rope.dimension_count': shape.rotated})
    more = [] if shape.arch != 'gpt-oss' else [
        entry('gpt-oss.attention.sliding_window', U32, 128), entry('gpt-oss.rope.freq_base', F32_VALUE, 150000),
        entry('gpt-oss.rope.scaling.type', STRING, 'yarn'), entry('gpt-oss.rope.scaling.factor', F32_VALUE, 32),
        entry('gpt-oss.rope.scaling.original_context_length', U32, 4096)]
    if shape.attends:
        del counts['attention.head_count_kv']
        counts.update({'shortconv.l_cache': 3, 'expert_gating_func': 2, 'leading_dense_block_count': 0})
        heads = [shape.kv_heads if i in shape.attends else 0 for i in range(shape.layers)]
        more = [entry(shape.arch + '.attention.head_count_kv', ARRAY, (I32, heads))]
    if shape.state:
        more = [entry('qwen35.rope.dimension_sections', ARRAY, (I32, [11, 11, 10, 0]))]
    return more + [
        entry('general.architecture', STRING, shape.arch), entry('general.name', STRING, name),
        entry(shape.arch + '.attention.layer_norm_rms_epsilon', F32_VALUE, 1e-5),
    ] + [entry(shape.arch + '.' + key, U32, value) for key, value in counts.items()]


def recurrent(state, b, embd, base):
    values, channels = state.heads * state.dim, (2 * state.groups + state.heads) * state.dim
    yield b + 'attn_qkv.weight', (embd, channels), base
    yield b + 'attn_gate.weight', (embd, values), base
    yield b + 'ssm_beta.weight', (embd, state.heads), base
    yield b + 'ssm_alpha.weight', (embd, state.heads), base
    yield b + 'ssm_conv1d.weight', (4, channels), 'F32'
    yield b + 'ssm_a', (state.heads,), 'F32'
    yield b + 'ssm_dt.bias', (state.heads,), 'F32'
    yield b + 'ssm_norm.weight', (state.dim,), 'F32'
    yield b + 'ssm_out.weight', (values, embd), base


def attention(shape, b, base, of_values):
    embd, ff, q, kv = shape.embd, shape.ff, shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    yield b + 'attn_q.weight', (embd, 2 * q if shape.state else q), base
    if shape.latent:
        yield b + 'attn_kv_a_mqa.weight', (embd, shape.latent + shape.rotated), base
        yield b + 'attn_kv_a_norm.weight', (shape.latent,), 'F32'
        # rows of a key's part are no whole blocks of 256
        yield b + 'attn_k_b.weight', (shape.head_dim - shape.rotated, shape.latent, shape.heads), \
            'Q8_0' if base == 'Q4_K' else base
        yield b + 'attn_v_b.weight', (shape.latent, shape.value, shape.heads), base
        for name, dims in (('gate', (embd, 2 * ff)), ('up', (embd, 2 * ff)), ('down', (2 * ff, embd))):
            yield b + 'ffn_%s_shexp.weight' % name, dims, base
    else:
        yield b + 'attn_k.weight', (embd, kv), base
        yield b + 'attn_v.weight', (embd, kv), of_values
    yield b + 'attn_output.weight', (shape.heads * shape.value if shape.latent else q, embd), base


def tensors(shape, kind, n_vocab):
    """(name, dims, type): a Q4_K_M file keeps half of its value and down matrices in Q6_K."""
    embd, ff, q, kv = shape.embd, shape.ff, shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    of, deep = ('_exps', (shape.experts,)) if shape.experts else ('', ())
    base = {'Q4_K_M': 'Q4_K', 'MXFP4': 'Q8_0'}.get(kind, kind)
    experts = 'MXFP4' if kind == 'MXFP4' else base
    is_gpt_oss = shape.arch == 'gpt-oss'
    norms = {'qwen3moe': (shape.head_dim,) * 2, 'olmoe': (q, kv), 'lfm2': (shape.head_dim,) * 2, 'qwen35': (shape.head_dim,) * 2,
             'lfm2moe': (shape.head_dim,) * 2}.get(shape.arch)

    def finer(i):
        return 'Q6_K' if kind == 'Q4_K_M' and i % 2 == 0 else base
    yield 'token_embd.weight', (embd, n_vocab), base
    for i in range(shape.layers):
        b = 'blk.%d.' % i
        yield b + 'attn_norm.weight', (embd,), 'F32'
        is_convolution = shape.attends and i not in shape.attends
        is_recurrent = (i + 1) % shape.period != 0
        if norms and not is_convolution and not is_recurrent:
            yield b + 'attn_q_norm.weight', (norms[0],), 'F32'
            yield b + 'attn_k_norm.weight', (norms[1],), 'F32'
        if is_convolution:
            yield b + 'shortconv.in_proj.weight', (embd, 3 * embd), base
            yield b + 'shortconv.conv.weight', (3, embd), 'F32'
            yield b + 'shortconv.out_proj.weight', (embd, embd), base
        elif is_recurrent:
            yield from recurrent(shape.state, b, embd, base)
        else:
            yield from attention(shape, b, base, finer(i))
        yield b + ('post_attention_norm.weight' if is_gpt_oss or shape.state else 'ffn_norm.weight'), (embd,), 'F32'
        if shape.experts:
            yield b + 'ffn_gate_inp.weight', (embd, shape.experts), 'F32'
        yield b + 'ffn_gate%s.weight' % of, (embd, ff) + deep, experts
        yield b + 'ffn_up%s.weight' % of, (embd, ff) + deep, experts
        yield b + 'ffn_down%s.weight' % of, (ff, embd) + deep, experts if kind == 'MXFP4' else finer(i)
        if is_gpt_oss:
            yield b + 'attn_sinks.weight', (shape.heads,), 'F32'
            yield b + 'ffn_gate_inp.bias', (shape.experts,), 'F32'
            for name, n in (('attn_q', q), ('attn_k', kv), ('attn_v', kv), ('attn_output', embd)):
                yield b + name + '.bias', (n,), 'F32'
            for name, n in (('gate', ff), ('up', ff), ('down', embd)):
                yield b + 'ffn_%s_exps.bias' % name, (n, shape.experts), 'F32'
    yield ('token_embd_norm.weight' if shape.attends else 'output_norm.weight'), (embd,), 'F32'
    yield 'output.weight', (embd, n_vocab), 'Q6_K' if kind == 'Q4_K_M' else base


def n_bytes(dims, kind):
    _, block_len, block_bytes, _ = TYPES[kind]
    assert dims[0] % block_len == 0, 'rows of %d do not fit %s' % (dims[0], kind)
    return math.prod(dims) // block_len * block_bytes


def data(rng, name, dims, kind):
    if name.endswith('.bias'):  # which leaves states half of what they have with each token
        return bytes(n_bytes(dims, kind))
    if len(dims) == 1:  # feed-forward layers are the louder ones: attention alone would make all tokens alike
        number = -1 if name.endswith('ssm_a') else 4 if 'ffn' in name or 'post' in name else 1
        return struct.pack('<f', number) * dims[0]
    if name.endswith('conv.weight'):
        return struct.pack('<f', 1) * math.prod(dims)
    _, _, block_bytes, fixed = TYPES[kind]
    raw = bytearray(rng.randbytes(n_bytes(dims, kind)))
    for offset, table in fixed.items():
        raw[offset::block_bytes] = raw[offset::block_bytes].translate(table)
    return raw


def silence(raw, names):
    """Takes the weights of what is no word from the output matrix."""
    row = len(raw) // len(names)
    for i, name in enumerate(names):
        if not is_word(name):
            raw[i * row:(i + 1) * row] = bytes(row)


def main():
    if len(sys.argv) not in (4, 5) or shape_of(sys.argv[1]) is None:
        sys.exit(__doc__)
    shape, kind, path = shape_of(sys.argv[1]), sys.argv[2], sys.argv[3]
    names, vocabulary = vocabulary_of(sys.argv[4]) if len(sys.argv) == 5 else made_up_vocabulary()
    rng = random.Random(7)
    kv = metadata(shape, sys.argv[1] + '-' + kind, len(names)) + vocabulary
    plan, offset, infos = list(tensors(shape, kind, len(names))), 0, b''
    for name, dims, tensor_kind in plan:
        infos += text(name) + struct.pack('<I%dQIQ' % len(dims), len(dims), *dims,
                                          TYPES[tensor_kind][0], offset)
        offset += (n_bytes(dims, tensor_kind) + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT
    with open(path, 'wb') as out:
        out.write(struct.pack('<4sIQQ', b'GGUF', 3, len(plan), len(kv)) + b''.join(kv) + infos)
        for name, dims, tensor_kind in plan:
            raw = data(rng, name, dims, tensor_kind)
            if name == 'output.weight':
                silence(raw, names)
            out.write(b'\0' * (-out.tell() % ALIGNMENT))
            out.write(raw)


if __name__ == '__main__':
    main()
