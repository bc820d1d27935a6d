/* pre_tokenizer_rules.h - the scanners: each finds the next match of one regular expression.
 *
 * Inside of pre_tokenizer. Thread: any (pure). */
#ifndef CORE_TEXT_PRE_TOKENIZER_RULES_H
#define CORE_TEXT_PRE_TOKENIZER_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One character and what it is. A byte that is not UTF-8 counts as a symbol. */
struct glyph {
    uint32_t point;
    unsigned classes; /* 0 past the end, and for what has no class (control, unassigned) */
    size_t len;       /* bytes; 0 past the end */
};

enum {
    CLASS_SPACE = 1,
    CLASS_LETTER = 2,
    CLASS_NUMBER = 4,
    CLASS_MARK = 8,
    CLASS_PUNCTUATION = 16,
    CLASS_SYMBOL = 32,
    CLASS_UPPER = 64,  /* Lu Lt Lm Lo M: may stand in the upper-case part of a word */
    CLASS_LOWER = 128, /* Ll Lm Lo M: in the lower-case part */
};

struct rule;

struct range {
    size_t begin;
    size_t end;
};

/* The first match of the rule in text[begin .. end), begin < end; an empty range at the end when
 * there is none. */
typedef struct range rule_fn(const struct rule *rule, const char *text, size_t begin, size_t end);
typedef bool glyph_fn(struct glyph glyph);

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
rule_fn rule_deepseek3;      /* DeepSeek-V3's third */
rule_fn rule_thousands;      /* Tiny Aya's first: digits in threes from the right */
rule_fn rule_trailing_space; /* \s+$ */

glyph_fn glyph_is_blank;                /* ' ' */
glyph_fn glyph_is_space;                /* \s */
glyph_fn glyph_is_newline;              /* [\r\n] */
glyph_fn glyph_is_letter;               /* \p{L} */
glyph_fn glyph_is_number;               /* \p{N} */
glyph_fn glyph_is_digit;                /* [0-9] */
glyph_fn glyph_is_punctuation;          /* \p{P} */
glyph_fn glyph_is_operator;             /* [\p{P}$+<=>^~|] */
glyph_fn glyph_is_operator_or_backtick; /* [\p{P}$+<=>^~|`] */
glyph_fn glyph_is_bloom_word;           /* BLOOM's [^(\s|.,!?...] */
glyph_fn glyph_is_deepseek_letter;      /* the cased letters that DeepSeek-LLM lists */
glyph_fn glyph_is_deepseek_punctuation; /* [!-/:-~...] */
glyph_fn glyph_is_deepseek_ideograph;   /* as DeepSeek-LLM lists them */
glyph_fn glyph_is_ideograph_or_kana;    /* as DeepSeek-V3 lists them */

#endif
