/* glyph.h - one character of a text and what it is, as pre-tokenizers ask about it.
 *
 * Thread: any (pure). */
#ifndef CORE_TEXT_GLYPH_H
#define CORE_TEXT_GLYPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A byte that is not UTF-8 counts as a symbol. */
struct glyph {
    uint32_t point;
    unsigned classes; /* 0 past the end, and for what has no class (control, unassigned) */
    size_t len;       /* bytes; 0 past the end */
};

enum {
    GLYPH_SPACE = 1,
    GLYPH_LETTER = 2,
    GLYPH_NUMBER = 4,
    GLYPH_MARK = 8,
    GLYPH_PUNCTUATION = 16,
    GLYPH_SYMBOL = 32,
    GLYPH_UPPER = 64,  /* Lu Lt Lm Lo M: may stand in the upper-case part of a word */
    GLYPH_LOWER = 128, /* Ll Lm Lo M: in the lower-case part */
};

/* Of the first 128 characters. */
extern const unsigned char glyph_ascii_classes[128];
/* As glyph_at, by Unicode's tables. */
struct glyph glyph_decode(const char *text, size_t at, size_t end);

/* The glyph that begins at text[at], of text[.. end). Most are ASCII, and looked at one by one. */
static inline struct glyph glyph_at(const char *text, size_t at, size_t end)
{
    unsigned char c = at < end ? (unsigned char)text[at] : 0x80;
    return c < 0x80 ? (struct glyph){c, glyph_ascii_classes[c], 1} : glyph_decode(text, at, end);
}

/* The one that ends there; at > 0. */
struct glyph glyph_before(const char *text, size_t at);

typedef bool glyph_fn(struct glyph glyph);

glyph_fn glyph_is_blank;                /* ' ' */
glyph_fn glyph_is_space;                /* \s */
glyph_fn glyph_is_newline;              /* [\r\n] */
glyph_fn glyph_is_letter;               /* \p{L} */
glyph_fn glyph_is_number;               /* \p{N} */
glyph_fn glyph_is_digit;                /* [0-9] */
glyph_fn glyph_is_decimal;              /* \d */
glyph_fn glyph_is_word;                 /* \w without \d */
glyph_fn glyph_is_punctuation;          /* \p{P} */
glyph_fn glyph_is_operator;             /* [\p{P}$+<=>^~|] */
glyph_fn glyph_is_operator_or_backtick; /* [\p{P}$+<=>^~|`] */
glyph_fn glyph_is_bloom_word;           /* BLOOM's [^(\s|.,!?...] */
glyph_fn glyph_is_deepseek_letter;      /* the cased letters that DeepSeek-LLM lists */
glyph_fn glyph_is_deepseek_punctuation; /* [!-/:-~...] */
glyph_fn glyph_is_deepseek_ideograph;   /* as DeepSeek-LLM lists them */
glyph_fn glyph_is_ideograph_or_kana;    /* as DeepSeek-V3 lists them */
glyph_fn glyph_is_han;                  /* \p{Han} */

#endif
