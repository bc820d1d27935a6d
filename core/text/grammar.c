#include "core/text/grammar.h"

#include <stdlib.h>

#include "core/base/err.h"
#include "core/text/grammar_code.h"
#include "core/text/grammar_parser.h"

bool grammar_new(struct grammar **out, const char *text, size_t len, struct err *err)
{
    if (len > GRAMMAR_MAX_TEXT)
        return err_set(err, ERR_INVALID, "a grammar may have at most %d bytes, not %zu",
                       (int)GRAMMAR_MAX_TEXT, len);
    return grammar_parse(out, text, len, err);
}

struct grammar *grammar_share(struct grammar *grammar)
{
    if (grammar != NULL)
        atomic_fetch_add(&grammar->n_owners, 1);
    return grammar;
}

void grammar_free(struct grammar **grammar_ptr)
{
    struct grammar *grammar = *grammar_ptr;
    *grammar_ptr = NULL;
    if (grammar == NULL || atomic_fetch_sub(&grammar->n_owners, 1) > 1)
        return;
    free(grammar->nodes);
    free(grammar->rules);
    free(grammar->rule_at);
    free(grammar->sets);
    free(grammar);
}

size_t grammar_bytes(const struct grammar *grammar)
{
    return sizeof *grammar + grammar->n_nodes * sizeof *grammar->nodes +
           grammar->n_rules * (sizeof *grammar->rules + sizeof *grammar->rule_at) +
           grammar->n_sets * sizeof *grammar->sets;
}
