/* pre_tokenizer_rules.h - the scanners: each finds the next match of one regular expression.
 *
 * Inside of pre_tokenizer. Thread: any (pure). */
#ifndef CORE_TEXT_PRE_TOKENIZER_RULES_H
#define CORE_TEXT_PRE_TOKENIZER_RULES_H

#include <stddef.h>

#include "core/text/glyph.h"

struct rule;

struct range {
    size_t begin;
    size_t end;
};

/* The first match of the rule in text[begin .. end), begin < end; an empty range at the end when
 * there is none. */
typedef struct range rule_fn(const struct rule *rule, const char *text, size_t begin, size_t end);

struct rule {
    rule_fn *find;
    /* rule_run: min .. max glyphs that are accepted, perhaps after one that leads */
    glyph_fn *accepts;
    glyph_fn *leads; /* NULL: none */
    size_t min;
    size_t max; /* 0: any number */
    /* rule_words */
    size_t max_digits; /* of one number */
    unsigned flags;
};

enum {
    WORDS_CONTRACTIONS = 1,      /* 's 't 're 've 'm 'll 'd, any case, are words */
    WORDS_MARKS = 2,             /* combining marks belong to words */
    WORDS_NEWLINES = 4,          /* newlines after punctuation belong to it */
    WORDS_SLASHES = 8,           /* and slashes */
    WORDS_CASED = 16,            /* a word ends where lower case is followed by upper case */
    WORDS_CONTRACTION_TAIL = 32, /* a contraction belongs to the word before it */
};

rule_fn rule_run;            /* runs of what `accepts` says */
rule_fn rule_gpt2;           /* GPT-2's expression */
rule_fn rule_words;          /* those of GPT-4, Llama 3, Qwen 2, GPT-4o ... */
rule_fn rule_kimi;           /* Kimi K2's and Moonlight's */
rule_fn rule_deepseek3;      /* DeepSeek-V3's third */
rule_fn rule_thousands;      /* Tiny Aya's first: digits in threes from the right */
rule_fn rule_trailing_space; /* \s+$ */

#endif
