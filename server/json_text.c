#include "server/json_text.h"

#include <stdint.h>
#include <string.h>

#include "core/base/buf.h"

/* Bytes of the well-formed UTF-8 sequence at `text` (RFC 3629: no overlong forms, no surrogates,
 * nothing above U+10FFFF), or 0. */
static size_t sequence_len(const unsigned char *text, size_t len)
{
    unsigned char lead = text[0];
    if (lead < 0x80)
        return 1;

    size_t n = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || len < n)
        return 0;
    for (size_t i = 1; i < n; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    }
    bool is_overlong = (lead == 0xe0 && text[1] < 0xa0) || (lead == 0xf0 && text[1] < 0x90);
    bool is_surrogate = lead == 0xed && text[1] >= 0xa0;
    bool is_too_large = lead == 0xf4 && text[1] >= 0x90;
    return is_overlong || is_surrogate || is_too_large ? 0 : n;
}

static void append_control(struct buf *out, unsigned char c)
{
    switch (c) {
    case '\n':
        buf_append_text(out, "\\n");
        break;
    case '\r':
        buf_append_text(out, "\\r");
        break;
    case '\t':
        buf_append_text(out, "\\t");
        break;
    default:
        buf_append_format(out, "\\u%04x", c);
    }
}

void json_text_append(struct buf *out, const char *text, size_t len)
{
    const unsigned char *bytes = (const unsigned char *)text;
    size_t plain = 0; /* start of the stretch that is copied as it is */

    buf_append_char(out, '"');
    for (size_t i = 0; i < len;) {
        size_t n = sequence_len(bytes + i, len - i);
        unsigned char c = bytes[i];
        if (n > 0 && c >= ' ' && c != '"' && c != '\\' && c != 0x7f) {
            i += n;
            continue;
        }
        buf_append(out, text + plain, i - plain);
        if (n == 0) {
            buf_append_text(out, "\xef\xbf\xbd");
        } else if (c == '"' || c == '\\') {
            buf_append_char(out, '\\');
            buf_append_char(out, (char)c);
        } else {
            append_control(out, c);
        }
        plain = ++i;
    }
    buf_append(out, text + plain, len - plain);
    buf_append_char(out, '"');
}

void json_text_append_string(struct buf *out, const char *text)
{
    if (text == NULL)
        buf_append_text(out, "null");
    else
        json_text_append(out, text, strlen(text));
}
