#include "core/text/jinja_string.h"

#include <string.h>

#include "core/text/jinja_run.h"
#include "core/text/utf8.h"

/* Below this a joined text gets no room to grow: most are never joined again. */
enum { MIN_GROWING = 256, INVALID_POINT = 0xFFFFFFFF };

static bool view(struct jinja_run *run, struct jinja_bytes *bytes, size_t begin, size_t len,
                 struct jinja_value *out)
{
    struct jinja_string *string = jinja_alloc(run, sizeof *string);
    if (string == NULL)
        return false;
    *string = (struct jinja_string){
        .data = bytes->data + begin, .len = len, .begin = begin, .bytes = bytes};
    *out = (struct jinja_value){.type = JINJA_STRING, .string = string};
    return true;
}

static struct jinja_bytes *wrap(struct jinja_run *run, char *data, size_t len, enum jinja_mark mark)
{
    struct jinja_bytes *bytes = jinja_alloc(run, sizeof *bytes);
    if (bytes == NULL)
        return NULL;
    bytes->data = data;
    bytes->used = bytes->max = len;
    bytes->one = (struct jinja_span){len, mark};
    bytes->spans = &bytes->one;
    bytes->n_spans = bytes->max_spans = 1;
    return bytes;
}

bool jinja_string_borrow(struct jinja_run *run, const char *text, size_t len, enum jinja_mark mark,
                         struct jinja_value *out)
{
    /* Bytes that are in use to their end are never written to. */
    struct jinja_bytes *bytes = wrap(run, (char *)(len > 0 ? text : ""), len, mark);
    return bytes != NULL && view(run, bytes, 0, len, out);
}

bool jinja_string_copy(struct jinja_run *run, const char *text, size_t len, enum jinja_mark mark,
                       struct jinja_value *out)
{
    char *data = jinja_alloc_text(run, len);
    if (data == NULL)
        return false;
    if (len > 0)
        memcpy(data, text, len);
    return jinja_string_borrow(run, data, len, mark, out);
}

bool jinja_string_slice(struct jinja_run *run, const struct jinja_string *string, size_t begin,
                        size_t end, struct jinja_value *out)
{
    if (begin == 0 && end == string->len) {
        *out = (struct jinja_value){.type = JINJA_STRING, .string = string};
        return true;
    }
    return view(run, string->bytes, string->begin + begin, end - begin, out);
}

/* The first span that holds byte `at` or one behind it. */
static size_t find_span(const struct jinja_bytes *bytes, size_t at)
{
    size_t low = 0, high = bytes->n_spans;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (bytes->spans[middle].end <= at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void visit_part(const struct jinja_string *string, size_t begin, size_t end,
                       jinja_visit *visit, void *arg)
{
    const struct jinja_bytes *bytes = string->bytes;
    size_t at = string->begin + begin, stop = string->begin + end;
    for (size_t i = find_span(bytes, at); at < stop && i < bytes->n_spans; i++) {
        size_t next = bytes->spans[i].end < stop ? bytes->spans[i].end : stop;
        visit(arg, bytes->data + at, next - at, bytes->spans[i].mark);
        at = next;
    }
}

void jinja_string_visit(const struct jinja_string *string, jinja_visit *visit, void *arg)
{
    visit_part(string, 0, string->len, visit, arg);
}

/* ---- writing ---- */

static bool grow_text(struct jinja_run *run, struct jinja_bytes *bytes, size_t max)
{
    char *data = jinja_alloc_text(run, max);
    if (data == NULL)
        return false;
    if (bytes->used > 0)
        memcpy(data, bytes->data, bytes->used);
    bytes->data = data;
    bytes->max = max;
    return true;
}

static bool grow_spans(struct jinja_run *run, struct jinja_bytes *bytes)
{
    size_t max = bytes->max_spans * 4;
    struct jinja_span *spans = jinja_alloc_array(run, max, sizeof *spans);
    if (spans == NULL)
        return false;
    memcpy(spans, bytes->spans, bytes->n_spans * sizeof *spans);
    bytes->spans = spans;
    bytes->max_spans = max;
    return true;
}

/* Appends what fits into bytes->max. */
static bool put(struct jinja_run *run, struct jinja_bytes *bytes, const char *text, size_t len,
                enum jinja_mark mark)
{
    size_t n = bytes->n_spans;
    bool is_new = n == 0 || bytes->spans[n - 1].mark != mark;
    if (is_new && n == bytes->max_spans && !grow_spans(run, bytes))
        return false;
    memcpy(bytes->data + bytes->used, text, len);
    bytes->used += len;
    if (is_new)
        bytes->spans[bytes->n_spans++].mark = mark;
    bytes->spans[bytes->n_spans - 1].end = bytes->used;
    return true;
}

void jinja_writer_init(struct jinja_writer *writer, struct jinja_run *run, size_t expected)
{
    *writer = (struct jinja_writer){.run = run, .bytes = wrap(run, NULL, 0, JINJA_CONTROL)};
    writer->failed = writer->bytes == NULL;
    if (!writer->failed) {
        writer->bytes->n_spans = 0;
        writer->failed = !grow_text(run, writer->bytes, expected);
    }
}

void jinja_write(struct jinja_writer *writer, const char *text, size_t len, enum jinja_mark mark)
{
    if (writer->failed || len == 0)
        return;
    struct jinja_bytes *bytes = writer->bytes;
    writer->failed = !jinja_spend_bytes(writer->run, len);
    if (!writer->failed && len > bytes->max - bytes->used) {
        size_t max = bytes->max * 2 > bytes->used + len ? bytes->max * 2 : bytes->used + len;
        writer->failed = !grow_text(writer->run, bytes, max < 64 ? 64 : max);
    }
    if (!writer->failed)
        writer->failed = !put(writer->run, bytes, text, len, mark);
}

static void write_visited(void *arg, const char *text, size_t len, enum jinja_mark mark)
{
    jinja_write(arg, text, len, mark);
}

void jinja_write_string(struct jinja_writer *writer, const struct jinja_string *string)
{
    visit_part(string, 0, string->len, write_visited, writer);
}

void jinja_write_part(struct jinja_writer *writer, const struct jinja_string *string, size_t begin,
                      size_t end)
{
    visit_part(string, begin, end, write_visited, writer);
}

void jinja_write_instead(struct jinja_writer *writer, const struct jinja_string *string,
                         size_t begin, size_t end, const char *text, size_t len)
{
    const struct jinja_bytes *bytes = string->bytes;
    size_t at = string->begin + begin, stop = string->begin + end;
    enum jinja_mark mark = JINJA_CONTROL;
    for (size_t i = find_span(bytes, at); at < stop && i < bytes->n_spans; i++) {
        if (bytes->spans[i].mark > mark)
            mark = bytes->spans[i].mark;
        at = bytes->spans[i].end;
    }
    jinja_write(writer, text, len, mark);
}

static bool end_growing(struct jinja_writer *writer, struct jinja_value *out)
{
    return !writer->failed && view(writer->run, writer->bytes, 0, writer->bytes->used, out);
}

/* The room that is left is given up. A template's literals are made here too: other renderings
 * read them, and bytes joined to them would lie in the memory of the run that joins. */
bool jinja_writer_end(struct jinja_writer *writer, struct jinja_value *out)
{
    if (!end_growing(writer, out))
        return false;
    writer->bytes->max = writer->bytes->used;
    return true;
}

static bool can_extend(const struct jinja_string *a, size_t len)
{
    const struct jinja_bytes *bytes = a->bytes;
    return a->begin + a->len == bytes->used && len <= bytes->max - bytes->used;
}

bool jinja_string_concat(struct jinja_run *run, const struct jinja_string *a,
                         const struct jinja_string *b, struct jinja_value *out)
{
    if (a->len == 0 || b->len == 0) {
        *out = (struct jinja_value){.type = JINJA_STRING, .string = a->len == 0 ? b : a};
        return true;
    }
    size_t len = a->len + b->len;
    if (can_extend(a, b->len)) {
        struct jinja_writer writer = {.run = run, .bytes = a->bytes};
        jinja_write_string(&writer, b);
        return !writer.failed && view(run, a->bytes, a->begin, len, out);
    }
    struct jinja_writer writer;
    jinja_writer_init(&writer, run, len < MIN_GROWING ? len : len * 2);
    jinja_write_string(&writer, a);
    jinja_write_string(&writer, b);
    return end_growing(&writer, out);
}

/* ---- reading ---- */

bool jinja_string_is(const struct jinja_string *string, const char *text)
{
    size_t len = strlen(text);
    return string->len == len && memcmp(string->data, text, len) == 0;
}

bool jinja_string_same(const struct jinja_string *a, const struct jinja_string *b)
{
    return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

int jinja_string_compare(const struct jinja_string *a, const struct jinja_string *b)
{
    size_t len = a->len < b->len ? a->len : b->len;
    int order = memcmp(a->data, b->data, len);
    return order != 0 ? order : (a->len > b->len) - (a->len < b->len);
}

size_t jinja_string_find(const struct jinja_string *string, size_t from,
                         const struct jinja_string *part)
{
    if (from > string->len)
        return SIZE_MAX;
    if (part->len == 0)
        return from;
    const char *found = memmem(string->data + from, string->len - from, part->data, part->len);
    return found == NULL ? SIZE_MAX : (size_t)(found - string->data);
}

bool jinja_string_rfind(struct jinja_run *run, const struct jinja_string *string, size_t end,
                        const struct jinja_string *part, size_t *out)
{
    *out = part->len == 0 ? end : SIZE_MAX;
    if (part->len == 0 || part->len > end)
        return true;
    for (size_t at = end - part->len + 1; at-- > 0;) {
        if (string->data[at] != part->data[0])
            continue;
        if (!jinja_spend_bytes(run, part->len))
            return false;
        if (memcmp(string->data + at, part->data, part->len) == 0) {
            *out = at;
            return true;
        }
    }
    return jinja_spend_bytes(run, end);
}

size_t jinja_string_point(const struct jinja_string *string, size_t at, uint32_t *out_point)
{
    size_t n = utf8_decode(string->data + at, string->len - at, out_point);
    if (n > 0)
        return n;
    *out_point = INVALID_POINT;
    return 1;
}

size_t jinja_string_point_before(const struct jinja_string *string, size_t end, uint32_t *out_point)
{
    size_t begin = end - 1;
    while (begin > 0 && end - begin < 4 && ((unsigned char)string->data[begin] & 0xC0) == 0x80)
        begin--;
    size_t n = utf8_decode(string->data + begin, end - begin, out_point);
    if (n == end - begin)
        return n;
    *out_point = INVALID_POINT;
    return 1;
}

size_t jinja_string_n_points(const struct jinja_string *string)
{
    size_t n = 0;
    uint32_t point;
    for (size_t at = 0; at < string->len; n++)
        at += jinja_string_point(string, at, &point);
    return n;
}

size_t jinja_string_byte_at(const struct jinja_string *string, size_t n)
{
    size_t at = 0;
    uint32_t point;
    for (; n > 0 && at < string->len; n--)
        at += jinja_string_point(string, at, &point);
    return at;
}

bool jinja_point_is_space(uint32_t point)
{
    return utf8_is_space(point) || (point >= 0x1C && point <= 0x1F);
}
