#include "core/text/pre_tokenizer.h"

#include <string.h>

#include "core/text/pre_tokenizer_rules.h"

/* Passes apply in order: each cuts the pieces of the one before at its matches; a match and what
 * lies between two matches are pieces of their own. */
struct pre_tokenizer {
    const struct rule *rules;
    int n_rules;
    bool ignores_merges;
    bool adds_bos;
};

#define NUMBERS(most)                                               \
    {                                                               \
        .find = rule_run, .accepts = glyph_is_number, .max = (most) \
    }
#define THREE_DIGITS                                                    \
    {                                                                   \
        .find = rule_run, .accepts = glyph_is_digit, .min = 3, .max = 3 \
    }
#define NEWLINE                                                 \
    {                                                           \
        .find = rule_run, .accepts = glyph_is_newline, .max = 1 \
    }
#define RUN(what, before)                                      \
    {                                                          \
        .find = rule_run, .accepts = (what), .leads = (before) \
    }
#define GPT2              \
    {                     \
        .find = rule_gpt2 \
    }
#define WORDS(most, how)                                         \
    {                                                            \
        .find = rule_words, .max_digits = (most), .flags = (how) \
    }

/* Where a file names no pre-tokenizer. */
static const struct rule DEFAULT_RULES[] = {RUN(glyph_is_operator, NULL), GPT2, NUMBERS(0),
                                            THREE_DIGITS};
static const struct rule GPT2_RULES[] = {GPT2};
static const struct rule FALCON_RULES[] = {RUN(glyph_is_operator_or_backtick, NULL), GPT2,
                                           THREE_DIGITS};
static const struct rule STARCODER_RULES[] = {NUMBERS(1), GPT2};
static const struct rule LLAMA3_RULES[] = {WORDS(3, WORDS_CONTRACTIONS | WORDS_NEWLINES)};
static const struct rule MINICPM5_RULES[] = {NUMBERS(3),
                                             WORDS(3, WORDS_CONTRACTIONS | WORDS_NEWLINES)};
static const struct rule QWEN2_RULES[] = {WORDS(1, WORDS_CONTRACTIONS | WORDS_NEWLINES)};
static const struct rule QWEN35_RULES[] = {
    WORDS(1, WORDS_CONTRACTIONS | WORDS_NEWLINES | WORDS_MARKS)};
static const struct rule SEED_RULES[] = {WORDS(1, WORDS_CONTRACTIONS)};
static const struct rule TEKKEN_RULES[] = {WORDS(1, WORDS_CASED | WORDS_NEWLINES | WORDS_SLASHES)};
static const struct rule GPT4O_RULES[] = {
    WORDS(3, WORDS_CASED | WORDS_CONTRACTION_TAIL | WORDS_NEWLINES | WORDS_SLASHES)};
static const struct rule TINY_AYA_RULES[] = {
    {.find = rule_thousands},
    WORDS(3, WORDS_CASED | WORDS_CONTRACTION_TAIL | WORDS_NEWLINES | WORDS_SLASHES)};
static const struct rule DEEPSEEK_LLM_RULES[] = {NEWLINE,
                                                 RUN(glyph_is_deepseek_letter, glyph_is_space),
                                                 RUN(glyph_is_deepseek_punctuation, glyph_is_space),
                                                 {.find = rule_trailing_space},
                                                 RUN(glyph_is_deepseek_ideograph, NULL),
                                                 NUMBERS(0)};
static const struct rule DEEPSEEK_CODER_RULES[] = {
    NEWLINE, RUN(glyph_is_letter, glyph_is_space), RUN(glyph_is_punctuation, glyph_is_space),
    RUN(glyph_is_deepseek_ideograph, NULL), NUMBERS(1)};
static const struct rule DEEPSEEK3_RULES[] = {
    NUMBERS(3), RUN(glyph_is_ideograph_or_kana, NULL), {.find = rule_deepseek3}};
static const struct rule KIMI_RULES[] = {
    {.find = rule_kimi,
     .max_digits = 3,
     .flags = WORDS_CASED | WORDS_CONTRACTION_TAIL | WORDS_NEWLINES}};
static const struct rule BLOOM_RULES[] = {RUN(glyph_is_bloom_word, glyph_is_blank)};
static const struct rule GEMMA4_RULES[] = {RUN(glyph_is_newline, NULL)};
static const struct rule VIKING_RULES[] = {RUN(glyph_is_bloom_word, glyph_is_blank), NUMBERS(1)};

#define USE(list) .rules = (list), .n_rules = sizeof(list) / sizeof *(list)

static const struct pre_tokenizer DEFAULT = {USE(DEFAULT_RULES)};
static const struct pre_tokenizer GPT_2 = {USE(GPT2_RULES)};
static const struct pre_tokenizer FALCON = {USE(FALCON_RULES)};
static const struct pre_tokenizer STARCODER = {USE(STARCODER_RULES)};
static const struct pre_tokenizer LLAMA3 = {USE(LLAMA3_RULES), .ignores_merges = true,
                                            .adds_bos = true};
static const struct pre_tokenizer DBRX = {USE(LLAMA3_RULES)};
static const struct pre_tokenizer MINICPM5 = {USE(MINICPM5_RULES), .ignores_merges = true};
static const struct pre_tokenizer QWEN2 = {USE(QWEN2_RULES)};
static const struct pre_tokenizer QWEN35 = {USE(QWEN35_RULES)};
static const struct pre_tokenizer SEED = {USE(SEED_RULES)};
static const struct pre_tokenizer TEKKEN = {USE(TEKKEN_RULES), .ignores_merges = true,
                                            .adds_bos = true};
static const struct pre_tokenizer GPT_4O = {USE(GPT4O_RULES)};
static const struct pre_tokenizer TINY_AYA = {USE(TINY_AYA_RULES)};
static const struct pre_tokenizer DEEPSEEK_LLM = {USE(DEEPSEEK_LLM_RULES)};
static const struct pre_tokenizer DEEPSEEK_CODER = {USE(DEEPSEEK_CODER_RULES)};
static const struct pre_tokenizer DEEPSEEK3 = {USE(DEEPSEEK3_RULES)};
static const struct pre_tokenizer KIMI = {USE(KIMI_RULES)};
static const struct pre_tokenizer BLOOM = {USE(BLOOM_RULES)};
static const struct pre_tokenizer GEMMA4 = {USE(GEMMA4_RULES), .adds_bos = true};
static const struct pre_tokenizer VIKING = {USE(VIKING_RULES)};

/* The names that conversion programs write into tokenizer.ggml.pre. */
static const struct {
    const char *name;
    const struct pre_tokenizer *pre;
} NAMES[] = {
    {"default", &DEFAULT},
    {"gpt-2", &GPT_2},
    {"gpt2", &GPT_2},
    {"phi-2", &GPT_2},
    {"mpt", &GPT_2},
    {"olmo", &GPT_2},
    {"jais", &GPT_2},
    {"trillion", &GPT_2},
    {"granite-docling", &GPT_2},
    {"exaone4", &GPT_2},
    {"gigachat", &GPT_2},
    {"a.x-4.0", &GPT_2},
    {"mellum", &GPT_2},
    {"modern-bert", &GPT_2},
    {"jina-es", &GPT_2},
    {"jina-de", &GPT_2},
    {"jina-v2-es", &GPT_2},
    {"jina-v2-de", &GPT_2},
    {"jina-v2-code", &GPT_2},
    {"jina-v1-en", &GPT_2},
    {"roberta-bpe", &GPT_2},
    {"gemma4", &GEMMA4},
    {"falcon", &FALCON},
    {"starcoder", &STARCODER},
    {"refact", &STARCODER},
    {"command-r", &STARCODER},
    {"smollm", &STARCODER},
    {"codeshell", &STARCODER},
    {"exaone", &STARCODER},
    {"minerva-7b", &STARCODER},
    {"mellum2", &STARCODER},
    {"llama-bpe", &LLAMA3},
    {"llama3", &LLAMA3},
    {"llama-v3", &LLAMA3},
    {"falcon3", &LLAMA3},
    {"falcon-h1", &LLAMA3},
    {"pixtral", &LLAMA3},
    {"midm-2.0", &LLAMA3},
    {"lfm2", &LLAMA3},
    {"jina-v5-nano", &LLAMA3},
    {"minicpm5", &MINICPM5},
    {"dbrx", &DBRX},
    {"smaug-bpe", &DBRX},
    {"chatglm-bpe", &DBRX},
    {"glm4", &DBRX},
    {"qwen2", &QWEN2},
    {"deepseek-r1-qwen", &QWEN2},
    {"f2llmv2", &QWEN2},
    {"stablelm2", &QWEN2},
    {"hunyuan", &QWEN2},
    {"megrez", &QWEN2},
    {"kormo", &QWEN2},
    {"grok-2", &QWEN2},
    {"solar-open", &QWEN2},
    {"bailingmoe", &QWEN2},
    {"bailingmoe2", &QWEN2},
    {"llada-moe", &QWEN2},
    {"qwen35", &QWEN35},
    {"seed-coder", &SEED},
    {"tekken", &TEKKEN},
    {"gpt-4o", &GPT_4O},
    {"llama4", &GPT_4O},
    {"talkie", &GPT_4O},
    {"kanana2", &GPT_4O},
    {"minimax-m2", &GPT_4O},
    {"tiny_aya", &TINY_AYA},
    {"cohere2moe", &TINY_AYA},
    {"deepseek-llm", &DEEPSEEK_LLM},
    {"deepseek-coder", &DEEPSEEK_CODER},
    {"deepseek-v3", &DEEPSEEK3},
    {"hunyuan-dense", &DEEPSEEK3},
    {"joyai-llm", &DEEPSEEK3},
    {"kimi-k2", &KIMI},
    {"bloom", &BLOOM},
    {"poro-chat", &BLOOM},
    {"gpt3-finnish", &BLOOM},
    {"viking", &VIKING},
};

const struct pre_tokenizer *pre_tokenizer_find(const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        if (strlen(NAMES[i].name) == len && memcmp(NAMES[i].name, name, len) == 0)
            return NAMES[i].pre;
    }
    return NULL;
}

bool pre_tokenizer_ignores_merges(const struct pre_tokenizer *pre)
{
    return pre->ignores_merges;
}

bool pre_tokenizer_adds_bos(const struct pre_tokenizer *pre)
{
    return pre->adds_bos;
}

void pre_tokenizer_begin(struct pre_tokenizer_walk *walk, const struct pre_tokenizer *pre,
                         const char *text, size_t len)
{
    walk->pre = pre;
    walk->text = text;
    walk->level = 0;
    walk->pieces[0] = (struct pre_tokenizer_piece){.end = len};
}

/* Takes the next match, or what lies before it, off the piece of this level. */
static void take(struct pre_tokenizer_walk *walk, size_t *out_begin, size_t *out_end)
{
    const struct rule *rule = &walk->pre->rules[walk->level];
    struct pre_tokenizer_piece *piece = &walk->pieces[walk->level];
    if (!piece->has_match) {
        struct range match = rule->find(rule, walk->text, piece->begin, piece->end);
        piece->match_begin = match.begin;
        piece->match_end = match.end;
        piece->has_match = true;
    }
    *out_begin = piece->begin;
    if (piece->begin < piece->match_begin) {
        *out_end = piece->match_begin;
    } else {
        *out_end = piece->match_end;
        piece->has_match = false;
    }
    piece->begin = *out_end;
}

bool pre_tokenizer_next(struct pre_tokenizer_walk *walk, size_t *out_begin, size_t *out_end)
{
    for (;;) {
        const struct pre_tokenizer_piece *piece = &walk->pieces[walk->level];
        if (piece->begin == piece->end) {
            if (walk->level == 0)
                return false;
            walk->level--;
            continue;
        }
        size_t begin, end;
        take(walk, &begin, &end);
        if (walk->level == walk->pre->n_rules - 1) {
            *out_begin = begin;
            *out_end = end;
            return true;
        }
        walk->pieces[++walk->level] = (struct pre_tokenizer_piece){.begin = begin, .end = end};
    }
}
