/* grammar_analysis.h - what is known about a grammar's rules before any text: which can be empty,
 * which can be completed, which can begin with which.
 *
 * Inside core/text/grammar_*.c only. Time is linear in the grammar. Thread: any (pure). */
#ifndef CORE_TEXT_GRAMMAR_ANALYSIS_H
#define CORE_TEXT_GRAMMAR_ANALYSIS_H

#include "core/text/grammar.h"
#include "core/text/grammar_code.h"

/* Fills in the rules, the marks of the nodes and the classes of bytes; `grammar` has nodes, sets of
 * bytes, and n_rules. Fails when the root can say nothing, or when a rule can begin with itself;
 * *out_rule is then that rule. */
bool grammar_analyse(struct grammar *grammar, const uint32_t *entries, uint32_t *out_rule,
                     struct err *err);

#endif
