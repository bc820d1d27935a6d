/* forward_rows.h - which rows of a cache some neighbouring tokens see, as the attention kernel
 * wants it. Private to core/model. */
#ifndef CORE_MODEL_FORWARD_ROWS_H
#define CORE_MODEL_FORWARD_ROWS_H

#include "core/kernels/kernels.h"
#include "core/model/forward_state.h"

/* Sinks, the ring up to its wrap, the ring after it. */
enum { FORWARD_MAX_SEGMENTS = 3 };

struct forward_rows {
    int n_segments;
    struct attention_rows segments[FORWARD_MAX_SEGMENTS];
    struct attention_sight sights[FORWARD_MAX_SEGMENTS][FORWARD_MAX_TILE];
};

/* Whether some token of the tile must meet the sinks with a query of its own. Until a cache is full
 * a token's index in it is its position, so the query for the ring will do; and a layer with a
 * short reach may see no sink. */
bool forward_needs_sink_query(const struct forward *forward, const struct layer *layer,
                              struct forward_tile tile);

/* The rows of one KV head that are within the layer's reach for the tokens of a tile. A layer with
 * a sliding window keeps the mask that it was trained with, by the distance in the cache: of R
 * recent tokens it sees the last, at their distance in the text, and sinks only if its window is
 * longer than R. Of a tile of one token only the rows from the begin-th to before the end-th that
 * it sees; else begin is 0 and end INT_MAX. */
void forward_find_rows(const struct forward *forward, const struct layer *layer,
                       struct forward_tile tile, int kv_head, int begin, int end,
                       struct forward_rows *out);

/* How many rows token t of the batch sees. */
int forward_count_rows(const struct forward *forward, const struct layer *layer, int t);

#endif
