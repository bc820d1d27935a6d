#include "core/session/speech.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/session/session.h"
#include "core/text/grammar_matcher.h"
#include "core/text/token_trie.h"

void speech_init(struct speech *speech, const struct tokenizer *tokenizer)
{
    *speech = (struct speech){.tokenizer = tokenizer};
}

void speech_done(struct speech *speech)
{
    speech_end(speech);
    token_report_list_done(&speech->reports);
}

void speech_end(struct speech *speech)
{
    sampler_close(&speech->sampler);
    detokenizer_done(&speech->detokenizer);
    grammar_matcher_close(&speech->matcher);
    free(speech->raw_logits);
    speech->raw_logits = NULL;
}

static bool open_parts(struct speech *speech, const struct session_turn *turn, struct err *err)
{
    const struct tokenizer *tokenizer = speech->tokenizer;
    size_t n_vocab = (size_t)tokenizer_n_vocab(tokenizer);
    if (!sampler_open(&speech->sampler, &turn->sampling, (int)n_vocab, err))
        return false;
    const struct detokenizer_stops stops = {
        .texts = (const char *const *)turn->stops,
        .n = turn->n_stops,
        .shelters = turn->shelters,
        .n_shelters = turn->n_shelters,
    };
    bool is_open = detokenizer_init(&speech->detokenizer, tokenizer, &stops, err);
    if (is_open && turn->grammar != NULL)
        is_open = grammar_matcher_open(&speech->matcher, turn->grammar, tokenizer,
                                       !turn->ignore_end, err);
    if (is_open && turn->wants_reports) {
        speech->raw_logits = malloc(n_vocab * sizeof *speech->raw_logits);
        is_open = speech->raw_logits != NULL || err_no_memory(err, "the log probabilities");
    }
    if (!is_open) {
        speech_end(speech);
        return false;
    }
    detokenizer_show(&speech->detokenizer, turn->shown, turn->n_shown);
    if (speech->matcher != NULL)
        grammar_matcher_show(speech->matcher, turn->shown, turn->n_shown);
    if (speech->matcher != NULL && turn->grammar_start != NULL)
        grammar_matcher_begin(speech->matcher, turn->grammar_start, strlen(turn->grammar_start));
    return true;
}

bool speech_begin(struct speech *speech, const struct session_turn *turn, struct err *err)
{
    if (!open_parts(speech, turn, err))
        return false;
    speech->max_tokens = turn->max_tokens;
    speech->min_tokens = turn->min_tokens;
    speech->ignore_end = turn->ignore_end;
    speech->n_generated = 0;
    speech->n_said = 0;
    speech->is_clean_cut = false;
    speech->wants_reports = turn->wants_reports;
    speech->n_top = turn->n_top;
    speech->reports.n = 0;
    speech->n_ready = 0;
    speech->has_lost_report = false;
    return true;
}

static void ban_ends(const struct speech *speech, float *logits)
{
    const struct token_trie *trie = tokenizer_trie(speech->tokenizer);
    for (uint32_t i = 0; i < trie->n_ends; i++)
        logits[trie->ends[i]] = -INFINITY;
}

static int32_t choose(struct speech *speech, float *logits)
{
    if (speech->wants_reports)
        memcpy(speech->raw_logits, logits,
               (size_t)tokenizer_n_vocab(speech->tokenizer) * sizeof *logits);
    if (speech->n_generated < speech->min_tokens)
        ban_ends(speech, logits);
    int32_t id = speech->matcher == NULL
                     ? sampler_choose(speech->sampler, logits)
                     : sampler_choose_allowed(speech->sampler, logits, speech->matcher);
    speech->n_generated += id >= 0;
    return id;
}

/* No token fits the grammar: because all is said, or because the turn cannot go on. */
static enum speech_state fall_silent(const struct speech *speech, struct buf *out)
{
    out->failed = out->failed || grammar_matcher_is_out_of_memory(speech->matcher);
    return grammar_matcher_may_end(speech->matcher) ? SPEECH_SAID_STOP : SPEECH_SAID_ALL;
}

/* Text is given out in the order of its tokens, so the ready ones come first. */
static void report(struct speech *speech, int32_t id, size_t text_begin)
{
    struct token_report one = {
        .text_begin = text_begin,
        .text_end = speech->n_said + speech->detokenizer.held.len,
    };
    if (one.text_end < text_begin) /* a stop string took it away */
        one.text_end = text_begin;
    token_report_measure(&one, speech->raw_logits, tokenizer_n_vocab(speech->tokenizer), id,
                         speech->n_top);
    if (!token_report_list_append(&speech->reports, &one, 1))
        speech->has_lost_report = true;
    while (speech->n_ready < speech->reports.n &&
           speech->reports.items[speech->n_ready].text_end <= speech->n_said)
        speech->n_ready++;
}

enum speech_state speech_choose(struct speech *speech, float *logits, struct buf *out,
                                int32_t *out_id)
{
    struct grammar_matcher *matcher = speech->matcher;
    int32_t id = choose(speech, logits);
    if (id < 0)
        return fall_silent(speech, out);
    if (!speech->ignore_end && tokenizer_is_end(speech->tokenizer, id))
        return SPEECH_SAID_STOP;
    sampler_accept(speech->sampler, id);
    if (matcher != NULL)
        grammar_matcher_accept(matcher, id);
    *out_id = id;

    size_t before = out->len;
    size_t text_begin = speech->n_said + speech->detokenizer.held.len;
    bool is_stopped = detokenizer_push(&speech->detokenizer, id, out);
    speech->n_said += out->len - before;
    if (speech->wants_reports)
        report(speech, id, text_begin);
    speech->is_clean_cut = speech->detokenizer.held.len == 0 && !is_stopped;
    if (is_stopped || (matcher != NULL && grammar_matcher_must_end(matcher)))
        return SPEECH_SAID_STOP;
    return speech->n_generated >= speech->max_tokens ? SPEECH_SAID_ALL : SPEECH_GOES_ON;
}

/* At the end of a turn: what was said in part counts as said. */
static void settle_reports(struct speech *speech)
{
    while (speech->n_ready < speech->reports.n) {
        struct token_report *one = &speech->reports.items[speech->n_ready];
        bool is_said = one->text_begin < speech->n_said;
        if (!is_said && (one->text_begin != one->text_end || one->text_begin > speech->n_said))
            break;
        if (one->text_end > speech->n_said)
            one->text_end = speech->n_said;
        speech->n_ready++;
    }
    speech->reports.n = speech->n_ready;
}

void speech_finish(struct speech *speech, struct buf *out)
{
    size_t before = out->len;
    detokenizer_flush(&speech->detokenizer, out);
    speech->n_said += out->len - before;
    settle_reports(speech);
}

bool speech_take_reports(struct speech *speech, struct token_report_list *out)
{
    struct token_report_list *mine = &speech->reports;
    if (speech->has_lost_report || !token_report_list_append(out, mine->items, speech->n_ready))
        return false;
    mine->n -= speech->n_ready;
    if (mine->n > 0)
        memmove(mine->items, mine->items + speech->n_ready, mine->n * sizeof *mine->items);
    speech->n_ready = 0;
    return true;
}
