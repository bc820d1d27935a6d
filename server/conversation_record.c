/* What a turn leaves: its words, and the places that the session can go on from. */
#include <stdlib.h>
#include <string.h>

#include "server/conversation.h"
#include "server/conversations.h"

void conversation_add_boundary(struct conversation *one, struct boundary boundary)
{
    if (one->boundaries == NULL)
        one->boundaries = calloc(CONVERSATION_MAX_BOUNDARIES, sizeof boundary);
    if (one->boundaries == NULL)
        return;
    if (one->n_boundaries == CONVERSATION_MAX_BOUNDARIES) {
        memmove(one->boundaries, one->boundaries + 1,
                (CONVERSATION_MAX_BOUNDARIES - 1) * sizeof one->boundaries[0]);
        one->n_boundaries--;
    }
    one->boundaries[one->n_boundaries++] = boundary;
}

/* Boundaries that the turn went back beyond, or that cannot be reached any more. */
static void prune_boundaries(struct conversation *one, const struct conversation_plan *plan)
{
    int n = 0;
    for (int i = 0; i < one->n_boundaries; i++) {
        const struct boundary *boundary = &one->boundaries[i];
        if (boundary->n_messages <= plan->n_base && boundary->position <= plan->keep &&
            conversation_can_return(one, boundary))
            one->boundaries[n++] = *boundary;
    }
    one->n_boundaries = n;
}

/* Moves the turn's words into the log. */
static bool record_words(struct conversation *one, struct conversation_plan *plan,
                         const struct conversation_result *result)
{
    struct chat_message answer = result->answer;
    answer.role = CHAT_ASSISTANT;
    message_log_truncate(&one->log, plan->n_base);
    return message_log_move(&one->log, &plan->added) &&
           (plan->is_continuation ? message_log_extend_last(&one->log, answer.content, answer.len)
                                  : message_log_push(&one->log, &answer));
}

static void add_answer_boundary(struct conversation *one, const struct conversation_plan *plan,
                                size_t n_spoken_before, const struct conversation_result *result)
{
    size_t n_kept = result->usage->n_text_kept, n_tail = result->n_raw - n_kept;
    struct boundary boundary = {
        .n_messages = one->log.n,
        .position = one->last.position,
        .n_text_kept = n_spoken_before + n_kept,
        .is_plain = result->is_plain,
        .is_whole = n_tail == 0,
        .replay = -1,
        /* What was spoken on stands at the end of what was rendered. */
        .n_before = plan->is_continuation ? 0 : plan->n_rendered,
        .before_hash = plan->rendered_hash,
    };
    if (n_tail > 0 && n_tail <= BOUNDARY_MAX_TAIL) {
        memcpy(boundary.tail, result->raw + n_kept, n_tail);
        boundary.n_tail = (uint8_t)n_tail;
    }
    conversation_add_boundary(one, boundary);
}

bool conversation_record_turn(struct conversation *one, struct conversation_plan *plan,
                              const struct conversation_result *result)
{
    int64_t prompt_end = plan->keep + result->n_fed;
    one->last = *result->usage;
    one->n_unread = plan->n_unread;
    one->rendered_with = plan->rendered_with;
    one->is_fork = false;
    prune_boundaries(one, plan);
    if (one->last.position < prompt_end || (result->is_cancelled && result->n_raw == 0))
        return true; /* stopped before it spoke: the conversation stands as before */

    size_t n_prompt_messages = plan->n_base + plan->added.n;
    size_t n_spoken_before = !plan->is_continuation ? 0
                             : plan->added.n > 0    ? plan->added.items[plan->added.n - 1].len
                                                    : one->log.items[plan->n_base - 1].len;
    if (!record_words(one, plan, result))
        return false;
    bool has_replay = one->n_boundaries > 0 && one->boundaries[one->n_boundaries - 1].replay >= 0 &&
                      one->boundaries[one->n_boundaries - 1].n_messages == n_prompt_messages;
    if (!plan->is_continuation && !has_replay)
        conversation_add_boundary(one, (struct boundary){.n_messages = n_prompt_messages,
                                                         .position = prompt_end - 1,
                                                         .replay = result->last_token,
                                                         .started_with = plan->started_with});
    if (!plan->is_unfaithful)
        add_answer_boundary(one, plan, n_spoken_before, result);
    return true;
}
