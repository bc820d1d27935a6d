#include "server/option.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/base/log.h"
#include "server/options.h"

static bool invalid(struct err *err, const char *value, const char *expected)
{
    return err_set(err, ERR_INVALID, "\"%.100s\" is not %s", value, expected);
}

static bool parse_text(const char *value, char *out, struct err *err)
{
    if (strlen(value) >= OPTIONS_MAX_TEXT)
        return err_set(err, ERR_INVALID, "the value is longer than %d bytes", OPTIONS_MAX_TEXT - 1);
    memcpy(out, value, strlen(value) + 1);
    return true;
}

/* Each passes over a unit, if `*end` is one. */
static void read_unit_of_time(char **end, double *number)
{
    static const struct {
        char name;
        int seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (units[i].name == **end) {
            *number *= units[i].seconds;
            ++*end;
            return;
        }
    }
}

static void read_unit_of_size(char **end, double *number)
{
    static const char units[] = "kmgt";
    const char *unit = **end == '\0' ? NULL : strchr(units, tolower((unsigned char)**end));
    if (unit == NULL)
        return;
    *number *= (double)((uint64_t)1 << (10 * (unit - units + 1)));
    ++*end;
}

static const char *number_form(enum option_kind kind)
{
    return kind == OPTION_SPAN    ? "a time like 30d, 12h, 90m or 60s"
           : kind == OPTION_BYTES ? "a size like 512M or 8G"
                                  : "a number";
}

static bool parse_number(const struct option *option, const char *value, double *out,
                         struct err *err)
{
    char *end;
    errno = 0;
    double number =
        option->kind == OPTION_DECIMAL ? strtod(value, &end) : (double)strtoll(value, &end, 10);
    if (end == value || errno != 0)
        return invalid(err, value, number_form(option->kind));
    if (option->kind == OPTION_SPAN)
        read_unit_of_time(&end, &number);
    if (option->kind == OPTION_BYTES)
        read_unit_of_size(&end, &number);
    if (*end != '\0')
        return invalid(err, value, number_form(option->kind));
    if (!(number >= option->min && number <= option->max))
        return err_set(err, ERR_INVALID, "it is %s, but must be from %.15g to %.15g", value,
                       option->min, option->max);
    *out = number;
    return true;
}

static bool parse_switch(const char *value, bool *out, struct err *err)
{
    static const char *const words[] = {"no", "yes", "false", "true", "off", "on", "0", "1"};
    for (int i = 0; i < 8; i++) {
        if (strcmp(value, words[i]) == 0) {
            *out = i % 2 == 1;
            return true;
        }
    }
    return invalid(err, value, "yes or no");
}

bool option_read(const struct option *option, const char *value, struct options *out,
                 struct err *err)
{
    void *field = (char *)out + option->offset;
    double number = 0;
    switch (option->kind) {
    case OPTION_HEADING:
        return true;
    case OPTION_TEXT:
        return parse_text(value, field, err);
    case OPTION_SWITCH:
        return parse_switch(value, field, err);
    case OPTION_KV_TYPE:
        return kv_type_parse(value, field) || invalid(err, value, "one of f32, f16, bf16, q8");
    case OPTION_MODE:
        return session_mode_parse(value, field) ||
               invalid(err, value, "one of streaming, window, recompute, dense");
    case OPTION_DURABILITY:
        return store_durability_parse(value, field) ||
               invalid(err, value, "one of always, everysec");
    case OPTION_REASONING:
        *(bool *)field = strcmp(value, "none") != 0;
        return strcmp(value, "auto") == 0 || strcmp(value, "none") == 0 ||
               invalid(err, value, "one of auto, none");
    case OPTION_LOG_LEVEL:
        return log_level_parse(value, field) ||
               invalid(err, value, "one of error, warning, info, debug");
    case OPTION_LOG_FORMAT:
        return log_format_parse(value, field) || invalid(err, value, "one of text, json");
    default:
        if (!parse_number(option, value, &number, err))
            return false;
    }
    if (option->kind == OPTION_INTEGER)
        *(int *)field = (int)number;
    else if (option->kind == OPTION_BYTES)
        *(size_t *)field = (size_t)number;
    else if (option->kind == OPTION_SPAN)
        *(int64_t *)field = (int64_t)number;
    else
        *(float *)field = (float)number;
    return true;
}

static size_t field_bytes(enum option_kind kind)
{
    switch (kind) {
    case OPTION_TEXT:
        return OPTIONS_MAX_TEXT;
    case OPTION_SWITCH:
    case OPTION_REASONING:
        return sizeof(bool);
    case OPTION_DECIMAL:
        return sizeof(float);
    case OPTION_BYTES:
        return sizeof(size_t);
    case OPTION_SPAN:
        return sizeof(int64_t);
    case OPTION_HEADING:
        return 0;
    default:
        return sizeof(int); /* and enumerations */
    }
}

bool option_differs(const struct option *option, const struct options *a, const struct options *b)
{
    const char *in_a = (const char *)a + option->offset, *in_b = (const char *)b + option->offset;
    return option->kind == OPTION_TEXT ? strcmp(in_a, in_b) != 0
                                       : memcmp(in_a, in_b, field_bytes(option->kind)) != 0;
}

void option_copy(const struct option *option, struct options *to, const struct options *from)
{
    memcpy((char *)to + option->offset, (const char *)from + option->offset,
           field_bytes(option->kind));
}
