#include "core/text/utf8.h"

size_t utf8_sequence_len(unsigned char lead)
{
    if (lead < 0x80)
        return 1;
    if (lead < 0xC2)
        return 0; /* a continuation, or the lead of an overlong form */
    if (lead < 0xE0)
        return 2;
    if (lead < 0xF0)
        return 3;
    return lead < 0xF5 ? 4 : 0;
}

bool utf8_continues(unsigned char lead, size_t at, unsigned char next)
{
    unsigned char low = 0x80;
    unsigned char high = 0xBF;
    if (at == 1) {
        if (lead == 0xE0)
            low = 0xA0; /* below are overlong forms */
        else if (lead == 0xED)
            high = 0x9F; /* above are surrogates */
        else if (lead == 0xF0)
            low = 0x90;
        else if (lead == 0xF4)
            high = 0x8F; /* above U+10FFFF */
    }
    return next >= low && next <= high;
}

size_t utf8_decode(const char *text, size_t len, uint32_t *out_point)
{
    if (len == 0)
        return 0;
    unsigned char lead = (unsigned char)text[0];
    size_t n = utf8_sequence_len(lead);
    if (n == 0 || n > len)
        return 0;
    if (n == 1) {
        *out_point = lead;
        return 1;
    }
    uint32_t point = lead & (0x7Fu >> n);
    for (size_t i = 1; i < n; i++) {
        unsigned char next = (unsigned char)text[i];
        if (!utf8_continues(lead, i, next))
            return 0;
        point = point << 6 | (next & 0x3Fu);
    }
    *out_point = point;
    return n;
}

size_t utf8_encode(uint32_t point, char out[4])
{
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    size_t n = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, point >>= 6)
        out[i] = (char)(0x80 | (point & 0x3F));
    out[0] = (char)((0xF00 >> n & 0xFF) | point);
    return n;
}

bool utf8_is_valid(const char *text, size_t len)
{
    uint32_t point;
    for (size_t i = 0, n; i < len; i += n) {
        n = utf8_decode(text + i, len - i, &point);
        if (n == 0)
            return false;
    }
    return true;
}

bool utf8_is_space(uint32_t point)
{
    if (point < 0x80)
        return point == ' ' || (point >= '\t' && point <= '\r');
    return point == 0x85 || point == 0xA0 || point == 0x1680 ||
           (point >= 0x2000 && point <= 0x200A) || point == 0x2028 || point == 0x2029 ||
           point == 0x202F || point == 0x205F || point == 0x3000;
}
