#include "server/response_record.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "server/api_error.h"
#include "server/item.h"
#include "server/item_messages.h"
#include "server/response_request.h"
#include "server/store_conversations.h"
#include "server/store_db.h"
#include "server/store_items.h"

void response_record_init(struct response_record *record, struct response_request *request,
                          const struct auth_digest *owner)
{
    *record = (struct response_record){.owner = *owner, .is_background = request->is_background};
    struct response_row *row = &record->row;
    response_row_init(row);
    message_log_init(&record->messages);
    item_make_id("resp", row->id);
    memcpy(row->previous, request->previous, sizeof row->previous);
    memcpy(row->conversation, request->conversation, sizeof row->conversation);
    memcpy(row->chain, row->id, sizeof row->chain);
    memcpy(row->lineage, row->conversation[0] == '\0' ? row->id : row->conversation,
           sizeof row->lineage);
    row->status = request->is_background ? RESPONSE_QUEUED : RESPONSE_IN_PROGRESS;
    row->created = (int64_t)time(NULL);
    row->is_kept = request->is_kept;
    row->echo = request->echo;
    buf_init(&request->echo);
    row->input = request->input;
    item_list_init(&request->input);
    record->instructions = request->instructions;
    buf_init(&request->instructions);
}

void response_record_done(struct response_record *record)
{
    response_row_done(&record->row);
    buf_done(&record->instructions);
    message_log_done(&record->messages);
}

bool response_record_needs_store(const struct response_record *record)
{
    const struct response_row *row = &record->row;
    bool needs = row->previous[0] != '\0' || row->conversation[0] != '\0';
    for (size_t i = 0; i < row->input.n && !needs; i++)
        needs = item_is_reference(&row->input.items[i]);
    return needs;
}

/* ---- what is stored of it ---- */

static bool load_history(struct response_record *record, struct store_db *db,
                         struct item_list *history)
{
    struct response_row *row = &record->row;
    struct err *err = &record->err;
    if (row->previous[0] != '\0') {
        record->fault = RESPONSE_FAULT_PREVIOUS;
        return store_response_follow(db, &record->owner, row->previous, row, history, err);
    }
    if (row->conversation[0] != '\0') {
        record->fault = RESPONSE_FAULT_CONVERSATION;
        return store_conversation_read_items(db, &record->owner, row->conversation, history, err);
    }
    return true;
}

/* Puts the items in place of references to them. */
static bool resolve_references(struct response_record *record, struct store_db *db)
{
    struct item_list resolved;
    const struct item_list *input = &record->row.input;
    bool is_good = true;
    item_list_init(&resolved);
    record->fault = RESPONSE_FAULT_INPUT;
    for (size_t i = 0; is_good && i < input->n; i++) {
        const struct item *item = &input->items[i];
        struct buf found;
        buf_init(&found);
        bool is_reference = item_is_reference(item);
        if (is_reference)
            is_good = store_response_find_item(db, &record->owner, item->id, &found, &record->err);
        else
            buf_append(&found, item->json, item->len);
        is_good =
            is_good &&
            ((!found.failed && item_list_push(&resolved, item->id, buf_text(&found), found.len)) ||
             err_no_memory(&record->err, "the input"));
        buf_done(&found);
    }
    item_list_done(&record->row.input);
    record->row.input = resolved;
    return is_good;
}

/* ---- what the model is given ---- */

static bool make_messages(struct response_record *record, const struct item_list *history)
{
    struct err *err = &record->err;
    record->fault = RESPONSE_FAULT_INPUT;
    if (record->instructions.len > 0) {
        struct chat_message system = {
            .role = CHAT_SYSTEM,
            .content = record->instructions.data,
            .len = record->instructions.len,
        };
        if (!message_log_push(&record->messages, &system))
            return err_no_memory(err, "the messages");
    }
    if (!item_messages_append(history, &record->messages, err) ||
        !item_messages_append(&record->row.input, &record->messages, err))
        return false;
    return record->messages.n > 0 ||
           err_set(err, ERR_INVALID, "There is nothing to respond to: 'input' has no message.");
}

/* A failure is found before the answer is made. */
static bool prepare_to_write(struct response_record *record, struct store_db *db, int64_t ttl_s)
{
    record->fault = RESPONSE_FAULT_OTHER;
    if (record->is_background)
        return store_response_write(db, &record->owner, &record->row, ttl_s, &record->err);
    return store_db_check_room(db, &record->err);
}

static bool load(struct response_record *record, struct store_db *db, struct item_list *history,
                 bool will_write, int64_t ttl_s)
{
    return load_history(record, db, history) &&
           (!response_record_needs_store(record) || resolve_references(record, db)) &&
           make_messages(record, history) && (!will_write || prepare_to_write(record, db, ttl_s));
}

void response_record_load(struct response_record *record, struct store_db *db, bool will_write,
                          int64_t ttl_s)
{
    struct item_list history;
    item_list_init(&history);
    record->err.code = ERR_NONE;
    load(record, db, &history, will_write, ttl_s);
    item_list_done(&history);
    buf_done(&record->instructions);
}

void response_record_commit(struct response_record *record, struct store_db *db, int64_t ttl_s)
{
    record->err.code = ERR_NONE;
    record->fault = RESPONSE_FAULT_OTHER;
    store_response_write(db, &record->owner, &record->row, ttl_s, &record->err);
}

void response_record_explain(const struct response_record *record, struct api_error *error)
{
    static const char *const params[] = {
        [RESPONSE_FAULT_PREVIOUS] = "previous_response_id",
        [RESPONSE_FAULT_CONVERSATION] = "conversation",
        [RESPONSE_FAULT_INPUT] = "input",
    };
    const struct err *err = &record->err;
    if (record->fault == RESPONSE_FAULT_PREVIOUS && err->code == ERR_NOT_FOUND)
        api_error_set(error, 400, "previous_response_not_found", NULL,
                      "Previous response with id '%.64s' not found, or one that it follows has "
                      "been deleted.",
                      record->row.previous);
    else
        api_error_from(error, err);
    if (params[record->fault] != NULL && error->status < 500)
        snprintf(error->param, sizeof error->param, "%s", params[record->fault]);
}
