#include "core/text/pre_tokenizer_rules.h"

#include <utf8proc.h>

#include "core/text/utf8.h"

enum { CLASS_WORDLESS = CLASS_SPACE | CLASS_LETTER | CLASS_NUMBER };

static unsigned classes_of_ascii(unsigned char c)
{
    unsigned char letter = c | 0x20;
    if (letter >= 'a' && letter <= 'z')
        return CLASS_LETTER | (c == letter ? CLASS_LOWER : CLASS_UPPER);
    if (c >= '0' && c <= '9')
        return CLASS_NUMBER;
    if (utf8_is_space(c))
        return CLASS_SPACE;
    if (c < ' ' || c == 0x7F)
        return 0;
    switch (c) {
    case '$':
    case '+':
    case '<':
    case '=':
    case '>':
    case '^':
    case '`':
    case '|':
    case '~':
        return CLASS_SYMBOL;
    default:
        return CLASS_PUNCTUATION;
    }
}

static unsigned classes_of(uint32_t point)
{
    if (point < 0x80)
        return classes_of_ascii((unsigned char)point);
    if (utf8_is_space(point))
        return CLASS_SPACE;
    switch (utf8proc_category((utf8proc_int32_t)point)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LT:
        return CLASS_LETTER | CLASS_UPPER;
    case UTF8PROC_CATEGORY_LL:
        return CLASS_LETTER | CLASS_LOWER;
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
        return CLASS_LETTER | CLASS_UPPER | CLASS_LOWER;
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
        return CLASS_MARK | CLASS_UPPER | CLASS_LOWER;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
        return CLASS_NUMBER;
    case UTF8PROC_CATEGORY_PC:
    case UTF8PROC_CATEGORY_PD:
    case UTF8PROC_CATEGORY_PS:
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI:
    case UTF8PROC_CATEGORY_PF:
    case UTF8PROC_CATEGORY_PO:
        return CLASS_PUNCTUATION;
    case UTF8PROC_CATEGORY_SM:
    case UTF8PROC_CATEGORY_SC:
    case UTF8PROC_CATEGORY_SK:
    case UTF8PROC_CATEGORY_SO:
        return CLASS_SYMBOL;
    default:
        return 0;
    }
}

static struct glyph glyph_at(const char *text, size_t at, size_t end)
{
    struct glyph glyph = {0};
    if (at >= end)
        return glyph;
    glyph.len = utf8_decode(text + at, end - at, &glyph.point);
    if (glyph.len == 0)
        return (struct glyph){.point = 0xFFFD, .classes = CLASS_SYMBOL, .len = 1};
    glyph.classes = classes_of(glyph.point);
    return glyph;
}

static bool is_in(uint32_t point, uint32_t low, uint32_t high)
{
    return point >= low && point <= high;
}

bool glyph_is_blank(struct glyph glyph)
{
    return glyph.point == ' ';
}

bool glyph_is_space(struct glyph glyph)
{
    return glyph.classes & CLASS_SPACE;
}

bool glyph_is_newline(struct glyph glyph)
{
    return glyph.point == '\r' || glyph.point == '\n';
}

bool glyph_is_letter(struct glyph glyph)
{
    return glyph.classes & CLASS_LETTER;
}

bool glyph_is_number(struct glyph glyph)
{
    return glyph.classes & CLASS_NUMBER;
}

bool glyph_is_digit(struct glyph glyph)
{
    return is_in(glyph.point, '0', '9');
}

bool glyph_is_punctuation(struct glyph glyph)
{
    return glyph.classes & CLASS_PUNCTUATION;
}

bool glyph_is_operator(struct glyph glyph)
{
    return glyph_is_punctuation(glyph) || glyph.point == '$' || glyph.point == '+' ||
           is_in(glyph.point, '<', '>') || glyph.point == '^' || glyph.point == '~' ||
           glyph.point == '|';
}

bool glyph_is_operator_or_backtick(struct glyph glyph)
{
    return glyph_is_operator(glyph) || glyph.point == '`';
}

bool glyph_is_bloom_word(struct glyph glyph)
{
    static const uint32_t ENDS[] = {'(',    '|',    '.',    ',',    '!',    '?',    ')',
                                    0x2026, 0x3002, 0xFF0C, 0x3001, 0x0964, 0x06D4, 0x060C};
    for (size_t i = 0; i < sizeof ENDS / sizeof ENDS[0]; i++) {
        if (glyph.point == ENDS[i])
            return false;
    }
    return !glyph_is_space(glyph);
}

bool glyph_is_deepseek_letter(struct glyph glyph)
{
    static const uint32_t RANGES[][2] = {
        {0x41, 0x5A},       {0x61, 0x7A},       {0xB5, 0xB5},       {0xC0, 0xD6},
        {0xD8, 0xF6},       {0xF8, 0x1BA},      {0x1BC, 0x1BF},     {0x1C4, 0x293},
        {0x295, 0x2AF},     {0x370, 0x373},     {0x376, 0x377},     {0x37B, 0x37D},
        {0x37F, 0x37F},     {0x386, 0x386},     {0x388, 0x38A},     {0x38C, 0x38C},
        {0x38E, 0x3A1},     {0x3A3, 0x3F5},     {0x3F7, 0x481},     {0x48A, 0x52F},
        {0x531, 0x556},     {0x10A0, 0x10C5},   {0x13A0, 0x13F5},   {0x13F8, 0x13FD},
        {0x1C90, 0x1CBA},   {0x1CBD, 0x1CBF},   {0x1D00, 0x1D2B},   {0x1D6B, 0x1D77},
        {0x1D79, 0x1D9A},   {0x1E00, 0x1F15},   {0x1F18, 0x1F1D},   {0x1F20, 0x1F45},
        {0x1F48, 0x1F4D},   {0x1F50, 0x1F57},   {0x1F59, 0x1F59},   {0x1F5B, 0x1F5B},
        {0x1F5D, 0x1F5D},   {0x1F5F, 0x1F7D},   {0x1F80, 0x1FB4},   {0x1FB6, 0x1FBC},
        {0x1FBE, 0x1FBE},   {0x1FC2, 0x1FC4},   {0x1FC6, 0x1FCC},   {0x1FD0, 0x1FD3},
        {0x1FD6, 0x1FDB},   {0x1FE0, 0x1FEC},   {0x1FF2, 0x1FF4},   {0x1FF6, 0x1FFC},
        {0x2102, 0x2102},   {0x2107, 0x2107},   {0x210A, 0x2113},   {0x2115, 0x2115},
        {0x2119, 0x211D},   {0x2124, 0x2124},   {0x2126, 0x2126},   {0x2128, 0x2128},
        {0x212A, 0x212D},   {0x212F, 0x2134},   {0x2139, 0x2139},   {0x213C, 0x213F},
        {0x2145, 0x2149},   {0x214E, 0x214E},   {0x2183, 0x2184},   {0x2C00, 0x2C7B},
        {0x2C7E, 0x2CE4},   {0x2CEB, 0x2CEE},   {0x2CF2, 0x2CF3},   {0xA640, 0xA66D},
        {0xA680, 0xA69B},   {0xA722, 0xA76F},   {0xA771, 0xA787},   {0xA78B, 0xA78E},
        {0xAB70, 0xABBF},   {0xFB00, 0xFB06},   {0xFB13, 0xFB17},   {0xFF21, 0xFF3A},
        {0xFF41, 0xFF5A},   {0x10400, 0x1044F}, {0x104B0, 0x104D3}, {0x104D8, 0x104FB},
        {0x10C80, 0x10CB2}, {0x10CC0, 0x10CF2}, {0x118A0, 0x118DF}, {0x1E900, 0x1E943},
    };
    size_t low = 0;
    size_t high = sizeof RANGES / sizeof RANGES[0];
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (glyph.point > RANGES[middle][1])
            low = middle + 1;
        else
            high = middle;
    }
    return low < sizeof RANGES / sizeof RANGES[0] && glyph.point >= RANGES[low][0];
}

bool glyph_is_deepseek_punctuation(struct glyph glyph)
{
    /* The second range holds the ASCII letters too: so it is written in the model's own file. */
    return is_in(glyph.point, '!', '/') || is_in(glyph.point, ':', '~') ||
           is_in(glyph.point, 0xFF01, 0xFF0F) || is_in(glyph.point, 0xFF1A, 0xFF5E) ||
           is_in(glyph.point, 0x2018, 0x201F) || is_in(glyph.point, 0x3000, 0x3002);
}

bool glyph_is_deepseek_ideograph(struct glyph glyph)
{
    return is_in(glyph.point, 0x0800, 0x9FA5) || is_in(glyph.point, 0xAC00, 0xD7FF);
}

bool glyph_is_ideograph_or_kana(struct glyph glyph)
{
    return is_in(glyph.point, 0x4E00, 0x9FA5) || is_in(glyph.point, 0x3040, 0x30FF);
}

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
    while (glyph.classes & CLASS_SPACE) {
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
    for (size_t at = begin; glyph.classes & CLASS_SPACE; glyph = glyph_at(text, at, end)) {
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
    else if (glyph.classes & CLASS_LETTER)
        match.end = skip_any(text, body, end, CLASS_LETTER);
    else if (glyph.classes & CLASS_NUMBER)
        match.end = skip_any(text, body, end, CLASS_NUMBER);
    else if (glyph.len > 0 && !(glyph.classes & CLASS_SPACE))
        match.end = skip_others(text, body, end, CLASS_WORDLESS);
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
    while (glyph.classes & CLASS_UPPER) {
        at += glyph.len;
        if (glyph.classes & CLASS_LOWER)
            shared_end = at;
        glyph = glyph_at(text, at, end);
    }
    return glyph.classes & CLASS_LOWER ? skip_any(text, at, end, CLASS_LOWER) : shared_end;
}

/* With U = [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}] and L = [\p{Ll}\p{Lm}\p{Lo}\p{M}]:
 * [^\r\n\p{L}\p{N}]?U*L+|[^\r\n\p{L}\p{N}]?U+L* ; `begin` when neither matches. */
static size_t skip_cased_word(const char *text, size_t begin, size_t end, struct glyph first)
{
    bool may_lead = !(first.classes & (CLASS_LETTER | CLASS_NUMBER)) && !glyph_is_newline(first);
    size_t body = may_lead ? begin + first.len : begin;
    size_t stop = skip_upper_lower(text, body, end);
    if (stop > body)
        return stop;
    stop = skip_upper_lower(text, begin, end); /* a mark that does not lead */
    if (stop > begin)
        return stop;
    /* No L in sight: what remains of U+L* is U+. */
    stop = skip_any(text, body, end, CLASS_UPPER);
    return stop > body ? stop : begin;
}

/* [^\r\n\p{L}\p{N}]?\p{L}+ ; `begin` when it does not match. */
static size_t skip_word(const char *text, size_t begin, size_t end, struct glyph first,
                        unsigned letters)
{
    bool may_lead = !(first.classes & (CLASS_LETTER | CLASS_NUMBER)) && !glyph_is_newline(first);
    size_t body = may_lead ? begin + first.len : begin;
    size_t stop = skip_any(text, body, end, letters);
    if (stop > body)
        return stop;
    return skip_any(text, begin, end, letters); /* a mark that does not lead */
}

static size_t skip_number(const char *text, size_t at, size_t end, size_t max_digits)
{
    struct glyph glyph = glyph_at(text, at, end);
    for (size_t n = 0; glyph.classes & CLASS_NUMBER && (max_digits == 0 || n < max_digits); n++) {
        at += glyph.len;
        glyph = glyph_at(text, at, end);
    }
    return at;
}

/*  ?[^\s\p{L}\p{N}]+[\r\n/]* ; `begin` when it does not match. */
static size_t skip_punctuation(const struct rule *rule, const char *text, size_t begin, size_t end)
{
    unsigned excluded = CLASS_WORDLESS | (rule->flags & WORDS_MARKS ? CLASS_MARK : 0u);
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
    unsigned letters = CLASS_LETTER | (rule->flags & WORDS_MARKS ? CLASS_MARK : 0u);
    size_t stop = rule->flags & WORDS_CASED ? skip_cased_word(text, begin, end, first)
                                            : skip_word(text, begin, end, first, letters);
    if (stop > begin && rule->flags & WORDS_CONTRACTION_TAIL)
        stop += contraction_len(text, stop, end, 0x20);
    else if (stop == begin && first.classes & CLASS_NUMBER)
        stop = skip_number(text, begin, end, rule->max_digits);
    if (stop == begin)
        stop = skip_punctuation(rule, text, begin, end);
    if (stop == begin)
        stop = skip_spaces_and_newlines(text, begin, end);
    return (struct range){begin, stop};
}

/* [!-/:-~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*
 * |\s*[\r\n]+|\s+(?!\S)|\s+ at `begin`; `begin` when it does not match. */
static size_t skip_deepseek3(const char *text, size_t begin, size_t end)
{
    const unsigned marked = CLASS_LETTER | CLASS_MARK;
    const unsigned signs = CLASS_PUNCTUATION | CLASS_SYMBOL;
    struct glyph first = glyph_at(text, begin, end);
    struct glyph second = glyph_at(text, begin + first.len, end);
    if (first.point < 0x80 && first.classes & signs && second.point < 0x80 &&
        second.classes & CLASS_LETTER) {
        size_t at = begin + 1;
        while (at < end && classes_of_ascii((unsigned char)text[at]) & CLASS_LETTER)
            at++;
        return at;
    }
    bool may_lead = !(first.classes & (CLASS_LETTER | signs)) && !glyph_is_newline(first);
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

static bool is_decimal(struct glyph glyph)
{
    return glyph.classes & CLASS_NUMBER &&
           utf8proc_category((utf8proc_int32_t)glyph.point) == UTF8PROC_CATEGORY_ND;
}

/* \w of what is no digit. */
static bool is_word(struct glyph glyph)
{
    return glyph.classes & (CLASS_LETTER | CLASS_MARK) ||
           (glyph.classes & CLASS_PUNCTUATION &&
            utf8proc_category((utf8proc_int32_t)glyph.point) == UTF8PROC_CATEGORY_PC);
}

static struct glyph glyph_before(const char *text, size_t at)
{
    size_t begin = at - 1;
    while (begin > 0 && ((unsigned char)text[begin] & 0xC0) == 0x80)
        begin--;
    return glyph_at(text, begin, at);
}

static size_t skip_decimals(const char *text, size_t at, size_t end, size_t max, size_t *out_n)
{
    struct glyph glyph = glyph_at(text, at, end);
    size_t n = 0;
    for (; n < max && is_decimal(glyph); n++, glyph = glyph_at(text, at, end))
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
    if (begin > 0 && is_decimal(glyph_before(text, begin))) {
        size_t stop = skip_decimals(text, begin, end, 3, &n);
        if (n == 3)
            return (struct range){begin, stop};
    }
    for (size_t at = begin; at < end;) {
        size_t stop = skip_decimals(text, at, end, SIZE_MAX, &n);
        struct glyph next = glyph_at(text, stop, end);
        if (n > 0 && !is_word(next))
            return (struct range){at, skip_decimals(text, at, end, (n + 2) % 3 + 1, &n)};
        at = stop + next.len;
    }
    return (struct range){end, end};
}
