/* Upper and lower case. */
#include <string.h>

#include <utf8proc.h>

#include "core/text/jinja_run.h"
#include "core/text/jinja_text.h"

enum { SHARP_S = 0xDF, MAX_POINT = 0x10FFFF };

static bool is_letter(uint32_t point)
{
    if (point < 0x80)
        return (point | 0x20) >= 'a' && (point | 0x20) <= 'z';
    if (point > MAX_POINT)
        return false;
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)point);
    return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LT;
}

static bool is_upper(uint32_t point)
{
    return point < 0x80 ? point >= 'A' && point <= 'Z'
                        : point <= MAX_POINT && utf8proc_isupper((utf8proc_int32_t)point);
}

static bool is_lower(uint32_t point)
{
    return point < 0x80 ? point >= 'a' && point <= 'z'
                        : point <= MAX_POINT && utf8proc_islower((utf8proc_int32_t)point);
}

/* Writes the character at byte `at`, n long, in the case asked for. */
static void put(struct jinja_writer *writer, const struct jinja_string *string, size_t at, size_t n,
                bool to_upper)
{
    uint32_t point;
    utf8proc_uint8_t bytes[4];
    jinja_string_point(string, at, &point);
    if (point > MAX_POINT) {
        jinja_write_part(writer, string, at, at + n);
        return;
    }
    if (point == SHARP_S && to_upper) {
        jinja_write_instead(writer, string, at, at + n, "SS", 2);
        return;
    }
    utf8proc_int32_t other = to_upper ? utf8proc_toupper((utf8proc_int32_t)point)
                                      : utf8proc_tolower((utf8proc_int32_t)point);
    size_t len = (size_t)utf8proc_encode_char(other, bytes);
    jinja_write_instead(writer, string, at, at + n, (const char *)bytes, len);
}

/* What the filter `title` takes for the end of a word. */
static bool ends_word(uint32_t point)
{
    return jinja_point_is_space(point) ||
           (point < 0x80 && point > 0 && strchr("-({[<", (int)point) != NULL);
}

/* Whether the next character is to be upper, when `before` is what stands before it. */
static bool wants_upper(enum jinja_case which, uint32_t point, bool is_first, bool is_after_letter,
                        bool is_after_word)
{
    switch (which) {
    case JINJA_UPPER:
        return true;
    case JINJA_CAPITAL:
        return is_first;
    case JINJA_TITLE:
        return !is_after_letter;
    case JINJA_TITLE_FILTER:
        return is_after_word;
    case JINJA_SWAPPED:
        return is_lower(point);
    default:
        return false;
    }
}

bool jinja_text_case(struct jinja_run *run, const struct jinja_string *string,
                     enum jinja_case which, struct jinja_value *out)
{
    struct jinja_writer writer;
    bool is_after_letter = false, is_after_word = true;
    uint32_t point;
    size_t begin = 0; /* of what stays as it is */
    jinja_writer_init(&writer, run, string->len);
    for (size_t at = 0, n; at < string->len && !writer.failed; at += n) {
        n = jinja_string_point(string, at, &point);
        bool to_upper = wants_upper(which, point, at == 0, is_after_letter, is_after_word);
        is_after_letter = is_letter(point);
        is_after_word = ends_word(point);
        bool is_right = to_upper ? !is_lower(point) : !is_upper(point);
        if (is_right)
            continue;
        jinja_write_part(&writer, string, begin, at);
        put(&writer, string, at, n, to_upper);
        begin = at + n;
    }
    jinja_write_part(&writer, string, begin, string->len);
    return jinja_spend_bytes(run, string->len) && jinja_writer_end(&writer, out);
}

bool jinja_text_is_case(const struct jinja_string *string, bool wants_upper_case)
{
    bool has_cased = false;
    uint32_t point;
    for (size_t at = 0; at < string->len;) {
        at += jinja_string_point(string, at, &point);
        if (wants_upper_case ? is_lower(point) : is_upper(point))
            return false;
        has_cased |= wants_upper_case ? is_upper(point) : is_lower(point);
    }
    return has_cased;
}
