#include "core/text/pre_tokenizer_rules.h"

enum { WORDLESS = GLYPH_SPACE | GLYPH_LETTER | GLYPH_NUMBER };

struct range rule_run(const struct rule *rule, const char *text, size_t begin, size_t end)
{
    size_t at = begin;
    size_t lead = SIZE_MAX; /* where a leading glyph just before `at` begins */
    while (at < end) {
        size_t stop = at;
        size_t n = 0;
        struct glyph glyph = glyph_at(text, at, end);
        while (glyph.len > 0 && rule->accepts(glyph) && (rule->max == 0 || n < rule->max)) {
            stop += glyph.len;
            n++;
            glyph = glyph_at(text, stop, end);
        }
        if (n > 0 && n >= rule->min)
            return (struct range){lead == SIZE_MAX ? at : lead, stop};
        /* Here `glyph` is the first that is not accepted, if there is one. */
        lead = rule->leads != NULL && glyph.len > 0 && rule->leads(glyph) ? stop : SIZE_MAX;
        at = stop + glyph.len;
    }
    return (struct range){end, end};
}

struct range rule_trailing_space(const struct rule *rule, const char *text, size_t begin,
                                 size_t end)
{
    (void)rule;
    size_t run = begin; /* where the run of spaces begins that reaches up to `at` */
    for (size_t at = begin; at < end;) {
        struct glyph glyph = glyph_at(text, at, end);
        at += glyph.len;
        if (!glyph_is_space(glyph))
            run = at;
    }
    return (struct range){run, end};
}

/* The end of the run of glyphs that have one of these classes. */
static size_t skip_any(const char *text, size_t at, size_t end, unsigned classes)
{
    struct glyph glyph = glyph_at(text, at, end);
    while (glyph.classes & classes) {
        at += glyph.len;
        glyph = glyph_at(text, at, end);
    }
    return at;
}

/* The end of the run of glyphs that have none of them. */
static size_t skip_others(const char *text, size_t at, size_t end, unsigned classes)
{
    struct glyph glyph = glyph_at(text, at, end);
    while (glyph.len > 0 && !(glyph.classes & classes)) {
        at += glyph.len;
        glyph = glyph_at(text, at, end);
    }
    return at;
}

/* The length of 's 't 'm 'd 're 've 'll at `at`, or 0. */
static size_t contraction_len(const char *text, size_t at, size_t end, char case_bit)
{
    if (end - at < 2 || text[at] != '\'')
        return 0;
    char a = text[at + 1] | case_bit;
    if (a == 's' || a == 't' || a == 'm' || a == 'd')
        return 2;
    if (end - at < 3)
        return 0;
    char b = text[at + 2] | case_bit;
    bool is_long = ((a == 'r' || a == 'v') && b == 'e') || (a == 'l' && b == 'l');
    return is_long ? 3 : 0;
}

/* \s+(?!\S)|\s+ : a run of spaces leaves its last one to the word that follows. */
static size_t skip_spaces(const char *text, size_t begin, size_t end)
{
    size_t at = begin;
    size_t last = begin;
    struct glyph glyph = glyph_at(text, at, end);
    while (glyph.classes & GLYPH_SPACE) {
        last = at;
        at += glyph.len;
        glyph = glyph_at(text, at, end);
    }
    return at == end || last == begin ? at : last;
}

/* \s*[\r\n]+|\s+(?!\S)|\s+ */
static size_t skip_spaces_and_newlines(const char *text, size_t begin, size_t end)
{
    size_t newline_end = begin;
    struct glyph glyph = glyph_at(text, begin, end);
    for (size_t at = begin; glyph.classes & GLYPH_SPACE; glyph = glyph_at(text, at, end)) {
        at += glyph.len;
        if (glyph_is_newline(glyph))
            newline_end = at;
    }
    return newline_end > begin ? newline_end : skip_spaces(text, begin, end);
}

/* 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
 * matches at every place. */
struct range rule_gpt2(const struct rule *rule, const char *text, size_t begin, size_t end)
{
    (void)rule;
    struct range match = {begin, end};
    size_t contraction = contraction_len(text, begin, end, 0);
    size_t body = text[begin] == ' ' ? begin + 1 : begin;
    struct glyph glyph = glyph_at(text, body, end);
    if (contraction > 0)
        match.end = begin + contraction;
    else if (glyph.classes & GLYPH_LETTER)
        match.end = skip_any(text, body, end, GLYPH_LETTER);
    else if (glyph.classes & GLYPH_NUMBER)
        match.end = skip_any(text, body, end, GLYPH_NUMBER);
    else if (glyph.len > 0 && !(glyph.classes & GLYPH_SPACE))
        match.end = skip_others(text, body, end, WORDLESS);
    else
        match.end = skip_spaces(text, begin, end);
    return match;
}

/* U*L+ of the cased expressions below from `at`, or `at` when it does not match. U and L overlap
 * (Lo, Lm, M), so when nothing of L follows U* gives back down to its last glyph that is in both.
 */
static size_t skip_upper_lower(const char *text, size_t at, size_t end)
{
    size_t shared_end = at;
    struct glyph glyph = glyph_at(text, at, end);
    while (glyph.classes & GLYPH_UPPER) {
        at += glyph.len;
        if (glyph.classes & GLYPH_LOWER)
            shared_end = at;
        glyph = glyph_at(text, at, end);
    }
    return glyph.classes & GLYPH_LOWER ? skip_any(text, at, end, GLYPH_LOWER) : shared_end;
}

/* With U = [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}] and L = [\p{Ll}\p{Lm}\p{Lo}\p{M}]:
 * [^\r\n\p{L}\p{N}]?U*L+|[^\r\n\p{L}\p{N}]?U+L* ; `begin` when neither matches. */
static size_t skip_cased_word(const char *text, size_t begin, size_t end, struct glyph first)
{
    bool may_lead = !(first.classes & (GLYPH_LETTER | GLYPH_NUMBER)) && !glyph_is_newline(first);
    size_t body = may_lead ? begin + first.len : begin;
    size_t stop = skip_upper_lower(text, body, end);
    if (stop > body)
        return stop;
    stop = skip_upper_lower(text, begin, end); /* a mark that does not lead */
    if (stop > begin)
        return stop;
    /* No L in sight: what remains of U+L* is U+. */
    stop = skip_any(text, body, end, GLYPH_UPPER);
    return stop > body ? stop : begin;
}

/* [^\r\n\p{L}\p{N}]?\p{L}+ ; `begin` when it does not match. */
static size_t skip_word(const char *text, size_t begin, size_t end, struct glyph first,
                        unsigned letters)
{
    bool may_lead = !(first.classes & (GLYPH_LETTER | GLYPH_NUMBER)) && !glyph_is_newline(first);
    size_t body = may_lead ? begin + first.len : begin;
    size_t stop = skip_any(text, body, end, letters);
    if (stop > body)
        return stop;
    return skip_any(text, begin, end, letters); /* a mark that does not lead */
}

static size_t skip_number(const char *text, size_t at, size_t end, size_t max_digits)
{
    struct glyph glyph = glyph_at(text, at, end);
    for (size_t n = 0; glyph.classes & GLYPH_NUMBER && (max_digits == 0 || n < max_digits); n++) {
        at += glyph.len;
        glyph = glyph_at(text, at, end);
    }
    return at;
}

/*  ?[^\s\p{L}\p{N}]+[\r\n/]* ; `begin` when it does not match. */
static size_t skip_punctuation(const struct rule *rule, const char *text, size_t begin, size_t end)
{
    unsigned excluded = WORDLESS | (rule->flags & WORDS_MARKS ? GLYPH_MARK : 0u);
    size_t body = text[begin] == ' ' ? begin + 1 : begin;
    size_t stop = skip_others(text, body, end, excluded);
    if (stop == body)
        return begin;
    bool takes_newlines = rule->flags & WORDS_NEWLINES;
    bool takes_slashes = rule->flags & WORDS_SLASHES;
    while (stop < end && ((takes_newlines && (text[stop] == '\r' || text[stop] == '\n')) ||
                          (takes_slashes && text[stop] == '/')))
        stop++;
    return stop;
}

/* The alternatives in their order, the flags say which:
 * (?i:'s|'t|'re|'ve|'m|'ll|'d) | word | \p{N}{1,max} | punctuation | \s*[\r\n]+|\s+(?!\S)|\s+
 * They match at every place. */
struct range rule_words(const struct rule *rule, const char *text, size_t begin, size_t end)
{
    size_t contraction = contraction_len(text, begin, end, 0x20);
    if (rule->flags & WORDS_CONTRACTIONS && contraction > 0)
        return (struct range){begin, begin + contraction};

    struct glyph first = glyph_at(text, begin, end);
    unsigned letters = GLYPH_LETTER | (rule->flags & WORDS_MARKS ? GLYPH_MARK : 0u);
    size_t stop = rule->flags & WORDS_CASED ? skip_cased_word(text, begin, end, first)
                                            : skip_word(text, begin, end, first, letters);
    if (stop > begin && rule->flags & WORDS_CONTRACTION_TAIL)
        stop += contraction_len(text, stop, end, 0x20);
    else if (stop == begin && first.classes & GLYPH_NUMBER)
        stop = skip_number(text, begin, end, rule->max_digits);
    if (stop == begin)
        stop = skip_punctuation(rule, text, begin, end);
    if (stop == begin)
        stop = skip_spaces_and_newlines(text, begin, end);
    return (struct range){begin, stop};
}

/* \p{Han}+, or as rule_words, with no \p{Han} in a word: which is where a word ends then, for Han
 * are letters without case. */
struct range rule_kimi(const struct rule *rule, const char *text, size_t begin, size_t end)
{
    struct glyph glyph = glyph_at(text, begin, end);
    size_t at = begin;
    for (; glyph_is_han(glyph); glyph = glyph_at(text, at, end))
        at += glyph.len;
    if (at > begin)
        return (struct range){begin, at};
    struct range match = rule_words(rule, text, begin, end);
    bool is_number = glyph.classes & GLYPH_NUMBER; /* which may be Han: U+3007 */
    while (at < match.end && (is_number || !glyph_is_han(glyph))) {
        at += glyph.len;
        glyph = glyph_at(text, at, end);
    }
    match.end = at;
    return match;
}

static bool is_ascii_letter(struct glyph glyph)
{
    return glyph.point < 0x80 && glyph_is_letter(glyph);
}

/* [!-/:-~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*
 * |\s*[\r\n]+|\s+(?!\S)|\s+ at `begin`; `begin` when it does not match. */
static size_t skip_deepseek3(const char *text, size_t begin, size_t end)
{
    const unsigned marked = GLYPH_LETTER | GLYPH_MARK;
    const unsigned signs = GLYPH_PUNCTUATION | GLYPH_SYMBOL;
    struct glyph first = glyph_at(text, begin, end);
    struct glyph second = glyph_at(text, begin + first.len, end);
    if (first.point < 0x80 && first.classes & signs && is_ascii_letter(second)) {
        size_t at = begin + first.len;
        for (struct glyph next = second; is_ascii_letter(next); next = glyph_at(text, at, end))
            at += next.len;
        return at;
    }
    bool may_lead = !(first.classes & (GLYPH_LETTER | signs)) && !glyph_is_newline(first);
    if (may_lead && second.classes & marked)
        return skip_any(text, begin + first.len, end, marked);
    if (first.classes & marked)
        return skip_any(text, begin, end, marked);
    size_t body = first.point == ' ' ? begin + 1 : begin;
    size_t stop = skip_any(text, body, end, signs);
    if (stop > body) {
        while (stop < end && (text[stop] == '\r' || text[stop] == '\n'))
            stop++;
        return stop;
    }
    return skip_spaces_and_newlines(text, begin, end);
}

struct range rule_deepseek3(const struct rule *rule, const char *text, size_t begin, size_t end)
{
    (void)rule;
    for (size_t at = begin; at < end; at += glyph_at(text, at, end).len) {
        size_t stop = skip_deepseek3(text, at, end);
        if (stop > at)
            return (struct range){at, stop};
    }
    return (struct range){end, end};
}

static size_t skip_decimals(const char *text, size_t at, size_t end, size_t max, size_t *out_n)
{
    struct glyph glyph = glyph_at(text, at, end);
    size_t n = 0;
    for (; n < max && glyph_is_decimal(glyph); n++, glyph = glyph_at(text, at, end))
        at += glyph.len;
    *out_n = n;
    return at;
}

/* \d{1,3}(?=(?:\d{3})*\b) : the first of all pieces of a text, so that what begins behind a digit
 * is what a match has left of a number: threes, which need not be counted again. */
struct range rule_thousands(const struct rule *rule, const char *text, size_t begin, size_t end)
{
    (void)rule;
    size_t n;
    if (begin > 0 && glyph_is_decimal(glyph_before(text, begin))) {
        size_t stop = skip_decimals(text, begin, end, 3, &n);
        if (n == 3)
            return (struct range){begin, stop};
    }
    for (size_t at = begin; at < end;) {
        size_t stop = skip_decimals(text, at, end, SIZE_MAX, &n);
        struct glyph next = glyph_at(text, stop, end);
        if (n > 0 && !glyph_is_word(next))
            return (struct range){at, skip_decimals(text, at, end, (n + 2) % 3 + 1, &n)};
        at = stop + next.len;
    }
    return (struct range){end, end};
}
