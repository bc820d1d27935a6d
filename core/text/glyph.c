#include "core/text/glyph.h"

#include <utf8proc.h>

#include "core/text/utf8.h"

enum {
    NONE = 0,
    SP = GLYPH_SPACE,
    NUM = GLYPH_NUMBER,
    PUN = GLYPH_PUNCTUATION,
    SYM = GLYPH_SYMBOL,
    UP = GLYPH_LETTER | GLYPH_UPPER,
    LOW = GLYPH_LETTER | GLYPH_LOWER,
};

/* clang-format off */
const unsigned char glyph_ascii_classes[128] = {
    NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, SP,   SP,   SP,   SP,   SP,   NONE, NONE,
    NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE,
    /*    !     "     #     $     %     &     '     (     )     *     +     ,     -     .     / */
    SP,   PUN,  PUN,  PUN,  SYM,  PUN,  PUN,  PUN,  PUN,  PUN,  PUN,  SYM,  PUN,  PUN,  PUN,  PUN,
    /* 0                                                  9     :     ;     <     =     >     ? */
    NUM,  NUM,  NUM,  NUM,  NUM,  NUM,  NUM,  NUM,  NUM,  NUM,  PUN,  PUN,  SYM,  SYM,  SYM,  PUN,
    /* @  A                                                                                     */
    PUN,  UP,   UP,   UP,   UP,   UP,   UP,   UP,   UP,   UP,   UP,   UP,   UP,   UP,   UP,   UP,
    /*                                                    Z     [     \     ]     ^     _      */
    UP,   UP,   UP,   UP,   UP,   UP,   UP,   UP,   UP,   UP,   UP,   PUN,  PUN,  PUN,  SYM,  PUN,
    /* `  a                                                                                     */
    SYM,  LOW,  LOW,  LOW,  LOW,  LOW,  LOW,  LOW,  LOW,  LOW,  LOW,  LOW,  LOW,  LOW,  LOW,  LOW,
    /*                                                          z     {     |     }     ~       */
    LOW,  LOW,  LOW,  LOW,  LOW,  LOW,  LOW,  LOW,  LOW,  LOW,  LOW,  PUN,  SYM,  PUN,  SYM,  NONE,
};
/* clang-format on */

static unsigned classes_of(uint32_t point)
{
    if (utf8_is_space(point))
        return GLYPH_SPACE;
    switch (utf8proc_category((utf8proc_int32_t)point)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LT:
        return GLYPH_LETTER | GLYPH_UPPER;
    case UTF8PROC_CATEGORY_LL:
        return GLYPH_LETTER | GLYPH_LOWER;
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
        return GLYPH_LETTER | GLYPH_UPPER | GLYPH_LOWER;
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
        return GLYPH_MARK | GLYPH_UPPER | GLYPH_LOWER;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
        return GLYPH_NUMBER;
    case UTF8PROC_CATEGORY_PC:
    case UTF8PROC_CATEGORY_PD:
    case UTF8PROC_CATEGORY_PS:
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI:
    case UTF8PROC_CATEGORY_PF:
    case UTF8PROC_CATEGORY_PO:
        return GLYPH_PUNCTUATION;
    case UTF8PROC_CATEGORY_SM:
    case UTF8PROC_CATEGORY_SC:
    case UTF8PROC_CATEGORY_SK:
    case UTF8PROC_CATEGORY_SO:
        return GLYPH_SYMBOL;
    default:
        return 0;
    }
}

struct glyph glyph_decode(const char *text, size_t at, size_t end)
{
    struct glyph glyph = {0};
    if (at >= end)
        return glyph;
    glyph.len = utf8_decode(text + at, end - at, &glyph.point);
    if (glyph.len == 0)
        return (struct glyph){.point = 0xFFFD, .classes = GLYPH_SYMBOL, .len = 1};
    glyph.classes = classes_of(glyph.point);
    return glyph;
}

struct glyph glyph_before(const char *text, size_t at)
{
    size_t begin = at - 1;
    while (begin > 0 && ((unsigned char)text[begin] & 0xC0) == 0x80)
        begin--;
    return glyph_at(text, begin, at);
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
    return glyph.classes & GLYPH_SPACE;
}

bool glyph_is_newline(struct glyph glyph)
{
    return glyph.point == '\r' || glyph.point == '\n';
}

bool glyph_is_letter(struct glyph glyph)
{
    return glyph.classes & GLYPH_LETTER;
}

bool glyph_is_number(struct glyph glyph)
{
    return glyph.classes & GLYPH_NUMBER;
}

bool glyph_is_digit(struct glyph glyph)
{
    return is_in(glyph.point, '0', '9');
}

bool glyph_is_decimal(struct glyph glyph)
{
    return glyph.classes & GLYPH_NUMBER &&
           utf8proc_category((utf8proc_int32_t)glyph.point) == UTF8PROC_CATEGORY_ND;
}

bool glyph_is_word(struct glyph glyph)
{
    return glyph.classes & (GLYPH_LETTER | GLYPH_MARK) ||
           (glyph.classes & GLYPH_PUNCTUATION &&
            utf8proc_category((utf8proc_int32_t)glyph.point) == UTF8PROC_CATEGORY_PC);
}

bool glyph_is_punctuation(struct glyph glyph)
{
    return glyph.classes & GLYPH_PUNCTUATION;
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

/* The script Han of Unicode 15.1, by its blocks; what in these has no character yet counts too. */
bool glyph_is_han(struct glyph glyph)
{
    static const uint32_t RANGES[][2] = {
        {0x2E80, 0x2FD5},   {0x3005, 0x3005},   {0x3007, 0x3007},   {0x3021, 0x3029},
        {0x3038, 0x303B},   {0x3400, 0x4DBF},   {0x4E00, 0x9FFF},   {0xF900, 0xFAD9},
        {0x16FE2, 0x16FE3}, {0x16FF0, 0x16FF1}, {0x20000, 0x323AF},
    };
    for (size_t i = 0; i < sizeof RANGES / sizeof RANGES[0]; i++) {
        if (is_in(glyph.point, RANGES[i][0], RANGES[i][1]))
            return true;
    }
    return false;
}
