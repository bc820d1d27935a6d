#include <stdlib.h>

#include "core/base/err.h"
#include "core/model/binder.h"

/* The file has a channel's taps side by side. */
static void turn(const struct matrix *from, float *taps, float *row)
{
    size_t n_taps = (size_t)from->n_in, n = (size_t)from->n_out;
    for (size_t i = 0; i < n; i++) {
        matrix_get_row(from, (int)i, row);
        for (size_t j = 0; j < n_taps; j++)
            taps[j * n + i] = row[j];
    }
}

bool bind_taps(struct binder *binder, const char *name, int n_channels, int n_taps,
               struct layer *layer, struct err *err)
{
    struct matrix by_channel;
    if (!bind_matrix(binder, name, n_channels, n_taps, &by_channel, err))
        return false;
    float *row = malloc((size_t)n_taps * sizeof *row);
    float *taps = calloc((size_t)n_taps * (size_t)n_channels, sizeof *taps);
    if (row != NULL && taps != NULL)
        turn(&by_channel, taps, row);
    bool has_room = row != NULL && taps != NULL;
    free(row);
    layer->turned = taps;
    layer->taps = taps;
    return has_room || err_no_memory(err, "the model's convolutions");
}
