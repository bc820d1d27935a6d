#include "tests/support/json_schema_gbnf.h"

#include <jansson.h>

#include "core/base/buf.h"
#include "server/json_schema.h"
#include "tests/support/check.h"

bool json_schema_gbnf(const char *schema, bool is_strict, struct buf *out, struct err *err)
{
    json_error_t failure;
    json_t *parsed = json_loads(schema, JSON_DECODE_ANY, &failure);
    if (parsed == NULL)
        fail_msg("%s in %s", failure.text, schema);
    buf_init(out);
    json_schema_write_common(out);
    bool is_good = json_schema_write(parsed, "root", is_strict, out, err);
    json_decref(parsed);
    return is_good;
}
