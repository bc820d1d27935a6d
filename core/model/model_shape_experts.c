#include <stdio.h>

#include "core/base/err.h"
#include "core/gguf/gguf.h"
#include "core/model/model_shape_parts.h"

static bool is_unset_or_one(const struct key_reader *reader, const char *name)
{
    return key_reader_is(reader, name, 0) || key_reader_is(reader, name, 1);
}

/* Refuses ways of choosing experts that no family here has; 1 is softmax, one group, no scale. */
static void check_routing(struct key_reader *reader, const struct family *family)
{
    bool is_of_chosen = family->experts == FAMILY_EXPERTS_OF_CHOSEN;
    gguf_get_bool(reader->file, key_reader_key(reader, "expert_weights_norm").text, &is_of_chosen);
    bool is_known = is_of_chosen == (family->experts == FAMILY_EXPERTS_OF_CHOSEN) &&
                    is_unset_or_one(reader, "expert_gating_func") &&
                    is_unset_or_one(reader, "expert_group_count") &&
                    is_unset_or_one(reader, "expert_weights_scale");
    if (!is_known && !reader->failed)
        err_set(reader->err, ERR_UNSUPPORTED,
                "the model chooses its experts in another way than all models of architecture "
                "'%s' that sinkd knows",
                reader->architecture);
    reader->failed |= !is_known;
}

/* What a file means that does not say it. */
static bool is_sigmoid_untold(const struct key_reader *reader, const struct family *family,
                              const struct model_shape *shape)
{
    char bias[64];
    snprintf(bias, sizeof bias, "blk.%d.exp_probs_b.bias", shape->n_dense);
    return family->experts_by_sigmoid ||
           (family->experts_by_sigmoid_if_biased && gguf_find_tensor(reader->file, bias) != NULL);
}

static void read_routing(struct key_reader *reader, const struct family *family,
                         struct model_shape *shape)
{
    enum { SOFTMAX = 1, SIGMOID = 2 };
    struct experts_routing *routing = &shape->routing;
    int usual = is_sigmoid_untold(reader, family, shape) ? SIGMOID : SOFTMAX;
    bool has_gate = !key_reader_is(reader, "expert_gating_func", 0);
    int gate = has_gate ? key_reader_count(reader, "expert_gating_func", usual, SIGMOID) : usual;
    double scale = key_reader_real(reader, "expert_weights_scale", 1, 0, 1e6);
    *routing = (struct experts_routing){
        .is_sigmoid = gate == SIGMOID,
        .sums_to_one = family->experts_sum_to_one,
        .scale = scale > 0 ? (float)scale : 1,
        .n_groups = key_reader_optional_count(reader, "expert_group_count", EXPERTS_MOST_GROUPS),
    };
    gguf_get_bool(reader->file, key_reader_key(reader, "expert_weights_norm").text,
                  &routing->sums_to_one);
    routing->n_groups = routing->n_groups > 0 ? routing->n_groups : 1;
    routing->n_groups_used =
        key_reader_count(reader, "expert_group_used_count", routing->n_groups, routing->n_groups);
    if (shape->n_experts % routing->n_groups != 0 ||
        shape->n_experts_used > shape->n_experts / routing->n_groups * routing->n_groups_used)
        key_reader_fail(reader, "expert_group_count", "does not fit the numbers of its experts");
}

/* Of the feed-forward beside experts: as long as so many experts, or of a length that the file has.
 */
static int read_shared_length(struct key_reader *reader, const struct model_shape *shape)
{
    const char *length = "expert_shared_feed_forward_length", *count = "expert_shared_count";
    int each = key_reader_optional_count(reader, length, MAX_FF);
    int n = key_reader_optional_count(reader, count, MAX_EXPERTS);
    int64_t all = each > 0 ? each : (int64_t)n * shape->n_ff_expert;
    if (all > MAX_FF)
        key_reader_fail(reader, count, "gives a feed-forward that is too large");
    return all > MAX_FF ? 1 : (int)all;
}

void model_shape_read_experts(struct key_reader *reader, const struct family *family,
                              struct model_shape *shape)
{
    if (family->experts == FAMILY_NO_EXPERTS && !reader->failed) {
        err_set(reader->err, ERR_UNSUPPORTED,
                "the model is a mixture of experts, which sinkd cannot run in architecture '%s'; "
                "take a dense one",
                reader->architecture);
        reader->failed = true;
    }
    shape->n_dense = key_reader_optional_count(reader, "leading_dense_block_count", MAX_LAYERS);
    shape->expert_period = key_reader_count(reader, "interleave_moe_layer_step", 1, MAX_LAYERS);
    shape->n_experts_used = key_reader_count(reader, "expert_used_count", -1, MAX_EXPERTS);
    shape->n_ff_expert = key_reader_count(reader, "expert_feed_forward_length",
                                          shape->n_ff > 0 ? shape->n_ff : -1, MAX_FF);
    shape->n_ff_shared =
        family->has_ffn_beside_experts ? shape->n_ff : read_shared_length(reader, shape);
    if (shape->n_experts_used > shape->n_experts)
        key_reader_fail(reader, "expert_used_count", "is more than its expert_count");
    if (family->experts == FAMILY_EXPERTS_AS_TOLD)
        read_routing(reader, family, shape);
    else
        check_routing(reader, family);
}
