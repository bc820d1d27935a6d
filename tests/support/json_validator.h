/* json_validator.h - does a value fit a JSON schema? Small and slow, as far as the schemas that we
 * take; to hold the grammars made of them against. */
#ifndef TESTS_SUPPORT_JSON_VALIDATOR_H
#define TESTS_SUPPORT_JSON_VALIDATOR_H

#include <jansson.h>
#include <stdbool.h>

struct json_validator {
    const json_t *root; /* where references are looked up */
};

bool json_validator_fits(const struct json_validator *v, const json_t *schema, const json_t *value);

#endif
