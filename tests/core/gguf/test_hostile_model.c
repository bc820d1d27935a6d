/* Model files that lie in one place, through everything that reads them: metadata, shape,
 * vocabulary, and a step of the model with what it says. Each is refused with a sentence, or it
 * runs.
 *
 * Every number in the metadata of one model of each family is replaced in turn, has another type,
 * or is missing; bits of the header are flipped (every 23rd or so; all with SINKD_TEST_ALL_BITS,
 * which takes minutes). Run under ASan too. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/base/thread_pool.h"
#include "core/gguf/gguf_parse.h"
#include "core/kernels/kernels.h"
#include "core/model/forward.h"
#include "core/model/kv_cache.h"
#include "core/model/model.h"
#include "core/text/prompt.h"
#include "core/text/sampler.h"
#include "core/text/tokenizer.h"
#include "tests/support/check.h"

#define GOLDEN "tests/fixtures/golden/"

static const char *const models[] = {
    "falcon-40b-style",   "gemma-scaled",      "gemma2-local",     "gemma3-local",
    "gptneox-sequential", "granite-unrotated", "llama-experts",    "llama-factors",
    "llama-linear",       "llama-yarn",        "mpt-alibi",        "phi3-long",
    "qwen2-yarn",         "qwen3-norms",       "qwen3moe-experts", "smollm3-unrotated",
    "mistral3-warm",      "olmo2-local",       "olmoe-experts",    "granitemoe-shared",
    "qwen2moe-shared",    "phi2-parallel",     "deepseek2-groups", "deepseek2-joint",
    "lfm2-short",         "qwen35-delta",      "qwen3next-delta",
};
enum { N_MODELS = sizeof models / sizeof models[0] };
#ifdef __SANITIZE_ADDRESS__
enum { STRIDE = 101 };
#else
enum { STRIDE = 23 };
#endif

/* A file whose bytes may be changed, and where its metadata lies. */
struct subject {
    const char *name;
    unsigned char *bytes, *original;
    size_t n_bytes, header_bytes;
    struct gguf *file; /* of `original` */
};

static struct thread_pool *pool;
static int n_accepted, n_refused;

static void open_subject(struct subject *subject, const char *name)
{
    char path[256];
    struct err err = {0};
    snprintf(path, sizeof path, GOLDEN "%s/model.gguf", name);
    FILE *stream = fopen(path, "rb");
    assert_non_null(stream);
    fseek(stream, 0, SEEK_END);
    *subject = (struct subject){.name = name, .n_bytes = (size_t)ftell(stream)};
    rewind(stream);
    subject->bytes = aligned_alloc(64, (subject->n_bytes + 63) / 64 * 64);
    subject->original = aligned_alloc(64, (subject->n_bytes + 63) / 64 * 64);
    assert_true(subject->bytes != NULL && subject->original != NULL);
    assert_int_equal(fread(subject->original, 1, subject->n_bytes, stream), subject->n_bytes);
    fclose(stream);
    memcpy(subject->bytes, subject->original, subject->n_bytes);
    if (!gguf_open_memory(&subject->file, subject->original, subject->n_bytes, &err))
        fail_msg("%s: %s", name, err.text);
    subject->header_bytes =
        (size_t)((const unsigned char *)gguf_tensor_at(subject->file, 0)->data - subject->original);
}

static void close_subject(struct subject *subject)
{
    gguf_close(&subject->file);
    free(subject->bytes);
    free(subject->original);
}

/* A few tokens in a small cache, and one chosen from what comes out. */
static void speak(const struct model *model)
{
    struct kv_shape kv = model_kv_shape(model);
    kv.type = KV_F16;
    kv.n_sinks = 1;
    kv.n_window = 4;
    kv.n_slack = 2;
    struct forward *forward = NULL;
    struct kv_cache *cache = NULL;
    struct sampler *sampler = NULL;
    struct err err = {0};
    if (!forward_open(&forward, model, pool, 3, 1, &err) || !kv_cache_open(&cache, &kv, &err) ||
        !sampler_open(
            &sampler,
            &(struct sampler_settings){.temperature = 1, .top_p = 1, .repetition_penalty = 1},
            model->shape.n_vocab, &err))
        fail_msg("%s", err.text);
    int last = model->shape.n_vocab - 1;
    struct forward_token tokens[3] = {{0, cache, false}, {last, cache, false}, {0, cache, true}};
    for (int i = 0; i < 3; i++)
        forward_run(forward, tokens, 3);
    int32_t chosen = sampler_choose(sampler, forward_logits(forward, 0));
    assert_in_range(chosen, 0, last);
    sampler_close(&sampler);
    kv_cache_close(&cache);
    forward_close(&forward);
}

static void tokenize(const struct tokenizer *tokenizer)
{
    struct prompt prompt;
    struct token_list list;
    prompt_init(&prompt);
    token_list_init(&list);
    prompt_append_control(&prompt, "<s>[INST]", 9);
    prompt_append_plain(&prompt, "Hello, w\xC3\xB6rld\xFF 123", 17);
    assert_true(tokenizer_encode(tokenizer, &prompt, 0, true, &list, NULL));
    for (size_t i = 0; i < list.n; i++)
        assert_in_range(list.ids[i], 0, tokenizer_n_vocab(tokenizer) - 1);
    prompt_done(&prompt);
    token_list_done(&list);
}

/* Opens subject->bytes as the engine would, and uses what opens. */
static void try(const struct subject *subject, const char *what)
{
    struct gguf *file = NULL;
    struct model *model = NULL;
    struct tokenizer *tokenizer = NULL;
    struct err err = {0};
    bool is_open = gguf_open_memory(&file, subject->bytes, subject->n_bytes, &err) &&
                   model_open(&model, file, &err);
    if (is_open)
        speak(model);
    if (is_open && gguf_has(file, "tokenizer.ggml.model")) {
        is_open = tokenizer_open(&tokenizer, file, &err);
        if (is_open)
            tokenize(tokenizer);
    }
    if (!is_open && (strlen(err.text) < 10 || strchr(err.text, '\n') != NULL))
        fail_msg("%s, %s: '%s' is no sentence", subject->name, what, err.text);
    *(is_open ? &n_accepted : &n_refused) += 1;
    tokenizer_close(&tokenizer);
    model_close(&model);
    gguf_close(&file);
}

/* ---- numbers in the metadata ---- */

static void put_number(struct subject *subject, const struct entry *entry, uint64_t bits)
{
    memcpy(subject->bytes + (entry->value - subject->original), &bits,
           gguf_scalar_bytes(entry->type));
}

static void put_type(struct subject *subject, const struct entry *entry, uint32_t type)
{
    memcpy(subject->bytes + (entry->value - subject->original) - sizeof type, &type, sizeof type);
}

static void restore(struct subject *subject)
{
    memcpy(subject->bytes, subject->original, subject->header_bytes);
}

static uint64_t bits_of(enum gguf_type type, double value)
{
    uint64_t bits = 0;
    float narrow = (float)value;
    if (type == GGUF_F32)
        memcpy(&bits, &narrow, sizeof narrow);
    else
        memcpy(&bits, &value, sizeof value);
    return bits;
}

static void lie_in_number(struct subject *subject, const struct entry *entry, const char *key)
{
    static const uint64_t integers[] = {0,   1,          2,          3,         7,       31,   33,
                                        255, 0x7fffffff, 0x80000000, 0xfffffff, 1 << 20, ~0ULL};
    static const double reals[] = {0, -1, 1, 1e-30, 1e30, 3e38, NAN, INFINITY, -INFINITY};
    bool is_real = entry->type == GGUF_F32 || entry->type == GGUF_F64;
    for (size_t i = 0; i < sizeof integers / sizeof integers[0] && !is_real; i++) {
        put_number(subject, entry, integers[i]);
        try(subject, key);
    }
    for (size_t i = 0; i < sizeof reals / sizeof reals[0] && is_real; i++) {
        put_number(subject, entry, bits_of(entry->type, reals[i]));
        try(subject, key);
    }
    restore(subject);
}

/* The same bytes under each type that is as wide. */
static void lie_in_type(struct subject *subject, const struct entry *entry, const char *key)
{
    for (uint32_t type = 0; type <= GGUF_F64 + 1; type++) {
        if (gguf_scalar_bytes(type) != gguf_scalar_bytes(entry->type))
            continue;
        put_type(subject, entry, type);
        try(subject, key);
    }
    restore(subject);
}

static void leave_out(struct subject *subject, struct gguf_text name, const char *key)
{
    size_t at = (size_t)((const unsigned char *)name.data - subject->original);
    subject->bytes[at + name.len - 1] ^= 1; /* a key that nobody asks for */
    try(subject, key);
    restore(subject);
}

static void every_number_of_every_family(void **state)
{
    (void)state;
    int n_keys = 0;
    n_accepted = n_refused = 0;
    for (int m = 0; m < N_MODELS; m++) {
        struct subject subject;
        open_subject(&subject, models[m]);
        try(&subject, "as it is");
        for (size_t i = 0; i < subject.file->n_entries; i++) {
            const struct name_ref *ref = &subject.file->entry_names[i];
            const struct entry *entry = &subject.file->entries[ref->i];
            struct gguf_shown key = gguf_show(ref->name);
            n_keys++;
            leave_out(&subject, ref->name, key.text);
            if (gguf_scalar_bytes(entry->type) == 0)
                continue;
            lie_in_number(&subject, entry, key.text);
            lie_in_type(&subject, entry, key.text);
        }
        close_subject(&subject);
    }
    print_message("%d keys: %d lies refused, %d harmless\n", n_keys, n_refused, n_accepted);
    assert_true(n_keys > 150 && n_refused > n_keys && n_accepted >= N_MODELS);
}

static void bits_of_every_header(void **state)
{
    (void)state;
    size_t stride = getenv("SINKD_TEST_ALL_BITS") != NULL ? 1 : STRIDE;
    n_accepted = n_refused = 0;
    for (int m = 0; m < N_MODELS; m++) {
        struct subject subject;
        open_subject(&subject, models[m]);
        for (size_t bit = (size_t)m % stride; bit < subject.header_bytes * 8; bit += stride) {
            subject.bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
            try(&subject, "a bit");
            subject.bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
        }
        close_subject(&subject);
    }
    print_message("bits: %d refused, %d harmless\n", n_refused, n_accepted);
    assert_true(n_refused > 1000);
}

/* Numbers that are not numbers in the weights must not choose a token outside of the vocabulary. */
static void weights_that_are_no_numbers(void **state)
{
    (void)state;
    static const uint32_t bad[] = {0x7fc00000, 0x7f800000, 0xff800000, 0x7f7fffff};
    for (int m = 0; m < N_MODELS; m++) {
        struct subject subject;
        open_subject(&subject, models[m]);
        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
            for (size_t at = subject.header_bytes; at + 4 <= subject.n_bytes; at += 4)
                memcpy(subject.bytes + at, &bad[i], sizeof bad[i]);
            try(&subject, "weights");
        }
        close_subject(&subject);
    }
}

static int set_up(void **state)
{
    (void)state;
    return kernels_select(NULL, NULL) && thread_pool_open(&pool, 1, NULL) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    thread_pool_close(&pool);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_number_of_every_family),
        cmocka_unit_test(bits_of_every_header),
        cmocka_unit_test(weights_that_are_no_numbers),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
