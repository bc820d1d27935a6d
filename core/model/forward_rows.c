#include "core/model/forward_rows.h"

/* A stretch of rows that lie in the cache as they do in the text: all sinks, or those of the ring
 * that are equally far from row 0. Rows are counted from the cache's first. */
struct piece {
    bool is_sink;
    int origin; /* distance of row 0 from the tile's first token */
    int begin;
    int end;
};

/* How many rows of a segment are out of the layer's reach: the oldest ones. */
static int hidden_rows(const struct layer *layer, const struct kv_segment *segment)
{
    int n_hidden = segment->first_distance - layer->reach;
    n_hidden = n_hidden < 0 ? 0 : n_hidden;
    return n_hidden < segment->n_rows ? n_hidden : segment->n_rows;
}

int forward_count_rows(const struct forward *forward, const struct layer *layer, int t)
{
    const struct kv_view *view = &forward->views[t];
    int n = 0;
    for (int i = 0; i < view->n_segments; i++)
        n += view->segments[i].n_rows - hidden_rows(layer, &view->segments[i]);
    return n;
}

bool forward_needs_sink_query(const struct forward *forward, const struct layer *layer,
                              struct forward_tile tile)
{
    for (int t = tile.first; t < tile.first + tile.n; t++) {
        const struct kv_view *view = &forward->views[t];
        const struct kv_segment *first = &view->segments[0];
        if (view->in_cache != view->position && first->is_sink &&
            hidden_rows(layer, first) < first->n_rows)
            return true;
    }
    return false;
}

/* Of token i of the tile, in rows of the cache. Several segments of one token may be one piece. */
static void add_sight(struct forward_rows *out, struct piece *pieces, int i, bool is_sink,
                      struct attention_sight sight)
{
    int origin = is_sink ? 0 : sight.first_distance - i, n = 0;
    while (n < out->n_segments && (pieces[n].is_sink != is_sink || pieces[n].origin != origin))
        n++;
    if (n == out->n_segments) {
        pieces[n] = (struct piece){is_sink, origin, sight.begin, sight.end};
        out->n_segments++;
    }
    if (sight.begin < pieces[n].begin)
        pieces[n].begin = sight.begin;
    if (sight.end > pieces[n].end)
        pieces[n].end = sight.end;
    struct attention_sight *whole = &out->sights[n][i];
    if (whole->begin < whole->end) /* sinks, when the ring follows them */
        sight.begin = whole->begin;
    *whole = sight;
}

/* Adds what token i of the tile sees from its begin-th row to before its end-th. */
static void add_token(const struct forward *forward, const struct layer *layer,
                      struct forward_tile tile, int i, int begin, int end, bool has_sink_query,
                      struct forward_rows *out, struct piece *pieces)
{
    const struct kv_view *view = &forward->views[tile.first + i];
    for (int j = 0; j < view->n_segments; j++) {
        const struct kv_segment *segment = &view->segments[j];
        int n_hidden = hidden_rows(layer, segment), n_here = segment->n_rows - n_hidden;
        int from = begin > 0 ? begin : 0, to = end < n_here ? end : n_here;
        int first = segment->first_row + n_hidden;
        if (from < to)
            add_sight(out, pieces, i, segment->is_sink && has_sink_query,
                      (struct attention_sight){first + from, first + to,
                                               segment->first_distance + segment->first_row});
        begin -= n_here;
        end -= n_here;
    }
}

/* From rows of the cache to those of a piece. */
static void finish_piece(const struct forward *forward, const struct layer *of,
                         struct forward_tile tile, int kv_head, const struct piece *piece,
                         struct attention_sight *sights, struct attention_rows *out)
{
    int layer = of->cache_layer, row = piece->begin;
    struct kv_cache *cache = forward->tokens[tile.first].cache;
    for (int i = 0; i < tile.n; i++) {
        sights[i].begin -= row;
        sights[i].end -= row;
        sights[i].first_distance -= row;
    }
    *out = (struct attention_rows){
        .k = kv_cache_k(cache, layer, kv_head, row),
        .v = kv_cache_v(cache, layer, kv_head, row),
        .k_scale = kv_cache_k_scale(cache, layer, kv_head, row),
        .v_scale = kv_cache_v_scale(cache, layer, kv_head, row),
        .n_rows = piece->end - piece->begin,
        .first_distance = sights[0].first_distance,
        .is_sink = piece->is_sink,
        .sights = tile.n > 1 ? sights : NULL,
    };
}

void forward_find_rows(const struct forward *forward, const struct layer *layer,
                       struct forward_tile tile, int kv_head, int begin, int end,
                       struct forward_rows *out)
{
    struct piece pieces[FORWARD_MAX_SEGMENTS];
    bool has_sink_query = forward_needs_sink_query(forward, layer, tile);
    *out = (struct forward_rows){0};
    for (int i = 0; i < tile.n; i++)
        add_token(forward, layer, tile, i, begin, end, has_sink_query, out, pieces);
    for (int i = 0; i < out->n_segments; i++)
        finish_piece(forward, layer, tile, kv_head, &pieces[i], out->sights[i], &out->segments[i]);
}
