/* json_schema_gbnf.h - a schema that a test has as text, turned into GBNF. */
#ifndef TESTS_SUPPORT_JSON_SCHEMA_GBNF_H
#define TESTS_SUPPORT_JSON_SCHEMA_GBNF_H

#include <stdbool.h>

struct buf;
struct err;

/* See json_schema_write. *out, which is the caller's to be done, has what its rules share, too. */
bool json_schema_gbnf(const char *schema, bool is_strict, struct buf *out, struct err *err);

#endif
