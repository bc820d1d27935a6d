#include "core/gguf/gguf.h"
#include "core/model/model_shape_parts.h"

void model_shape_check_needed_keys(struct key_reader *reader, const struct family *family)
{
    for (int i = 0; family->needed_keys[i] != NULL; i++) {
        if (!key_reader_has(reader, family->needed_keys[i]))
            key_reader_fail(reader, family->needed_keys[i], "is missing");
    }
}

/* A key that is there to say that there is nothing of its kind. */
static bool says_nothing(const struct gguf *file, const char *key)
{
    int64_t number;
    double real;
    bool truth;
    struct gguf_array list;
    if (gguf_get_array(file, key, &list)) {
        bool is_zero = list.type != GGUF_STRING && list.type != GGUF_F32 && list.type != GGUF_F64;
        for (size_t i = 0; i < list.n && is_zero; i++)
            is_zero = gguf_array_int(&list, i) == 0;
        return is_zero;
    }
    return (gguf_get_int(file, key, INT64_MIN, INT64_MAX, &number) && number == 0) ||
           (gguf_get_float(file, key, &real) && !(real > 0 || real < 0)) ||
           (gguf_get_bool(file, key, &truth) && !truth);
}

static void refuse_unless_nothing(struct key_reader *reader, const char *name)
{
    if (key_reader_has(reader, name) &&
        !says_nothing(reader->file, key_reader_key(reader, name).text))
        key_reader_fail(reader, name, "asks for what sinkd cannot compute in this architecture");
}

/* Where a model sees pictures, pairs of a head turn by three positions, which are one in text, or
 * by a fourth that text has not. */
static void check_sections(struct key_reader *reader, const struct family *family)
{
    const char *name = "rope.dimension_sections";
    struct gguf_array sections;
    bool is_one = family->sees_pictures &&
                  gguf_get_array(reader->file, key_reader_key(reader, name).text, &sections) &&
                  sections.type != GGUF_STRING &&
                  (sections.n <= 3 || gguf_array_int(&sections, 3) == 0);
    if (!is_one)
        refuse_unless_nothing(reader, name);
}

/* Keys of relatives of these families that compute something else, with the same tensors. */
void model_shape_check_foreign_keys(struct key_reader *reader, const struct family *family)
{
    static const char *const FOREIGN[] = {
        "rope.scaling.alpha",
        "attention.output_scale",
        "attention.value_scale",
        "attention.temperature_length",
        "hidden_activation",
        "num_loops",
        "swin_norm",
    };
    static const char *const LOCAL_HEADS[] = {
        "rope.dimension_count_swa", "attention.key_length_swa", "attention.value_length_swa",
        "attention.shared_kv_layers", "embedding_length_per_layer_input"};
    bool is_causal = true;
    check_sections(reader, family);
    if (!family->has_convolutions)
        refuse_unless_nothing(reader, "shortconv.l_cache");
    if (!family->predicts_further)
        refuse_unless_nothing(reader, "nextn_predict_layers");
    for (size_t i = 0; i < sizeof LOCAL_HEADS / sizeof LOCAL_HEADS[0]; i++) {
        if (!family->has_local_heads)
            refuse_unless_nothing(reader, LOCAL_HEADS[i]);
    }
    for (size_t i = 0; i < sizeof FOREIGN / sizeof FOREIGN[0]; i++)
        refuse_unless_nothing(reader, FOREIGN[i]);
    gguf_get_bool(reader->file, key_reader_key(reader, "attention.causal").text, &is_causal);
    if (!is_causal)
        key_reader_fail(reader, "attention.causal",
                        "is false: the model reads texts and cannot write any");
}
