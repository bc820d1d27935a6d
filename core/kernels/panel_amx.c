#include "core/kernels/panel_amx.h"

#include "core/kernels/simd_avx512.h"

#include "core/kernels/panel_vector.h"

enum { TOKENS = SIMD_TILE_TOKENS, GROUP_WORDS = GROUP / 4 };

/* Tiles 0 to 3: sums; 4 and 5: tokens; 6 and 7: weights. */
struct tile_shapes {
    uint8_t palette;
    uint8_t start_row;
    uint8_t reserved[14];
    uint16_t row_bytes[16];
    uint8_t n_rows[16];
};

void panel_amx_begin(void)
{
    struct tile_shapes shapes = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        shapes.n_rows[i] = (uint8_t)(i < 6 ? TOKENS : GROUP_WORDS);
        shapes.row_bytes[i] = (uint16_t)(i == 4 || i == 5 ? GROUP : 64);
    }
    /* GCC's intrinsic says that it reads the first 8 bytes only. */
    __asm__ volatile("" : : "r"(&shapes) : "memory");
    _tile_loadconfig(&shapes);
}

void panel_amx_end(void)
{
    _tile_release();
}

typedef int32_t sums_t[TOKENS][STRIPE_ROWS];

SIMD void add_sums(bool is_signed, const struct panel *panel, struct block x, int group,
                   const sums_t *sums, struct f32x16 *acc)
{
    struct f32x16 scale = f32x16_load(panel->scale + group * STRIPE_ROWS);
    struct f32x16 base = f32x16_load(panel->base + group * STRIPE_ROWS);
    const float *x_scale = x.scale + group * TOKENS, *x_sum = x.sum + 2 * group * TOKENS;
#pragma GCC unroll 16
    for (int t = 0; t < TOKENS; t++) {
        struct f32x16 scaled = f32x16_mul(i32x16_to_f32(i32x16_load((*sums)[t])), scale);
        acc[t] = f32x16_fma(scaled, f32x16_set(x_scale[t]), acc[t]);
        if (!is_signed)
            acc[t] = f32x16_fma(base, f32x16_set(x_sum[t]), acc[t]);
    }
}

/* Of a group, if there is one; the numbers of tiles must be constants. */
#define TILE_SUMS(group, sum, token, weight)                                  \
    do {                                                                      \
        if ((group) < n_groups) {                                             \
            _tile_zero(sum);                                                  \
            _tile_loadd(token, x.q + (group)*TOKENS * GROUP, GROUP);          \
            _tile_loadd(weight, panel->u + (group) * (64 * GROUP_WORDS), 64); \
            if (is_signed)                                                    \
                _tile_dpbssd(sum, token, weight);                             \
            else                                                              \
                _tile_dpbsud(sum, token, weight);                             \
            _tile_stored(sum, sums[sum], sizeof sums[0][0]);                  \
        }                                                                     \
    } while (0)
#define ADD_SUMS(group, sum)                                       \
    do {                                                           \
        if ((group) < n_groups)                                    \
            add_sums(is_signed, panel, x, group, &sums[sum], acc); \
    } while (0)

/* The unit takes long for a group but can be at several: it is three ahead of the vectors, which
 * scale and add up its sums. */
SIMD void multiply_tiles(bool is_signed, const struct panel *panel, struct block x, int n_groups,
                         struct ahead ahead, struct f32x16 *acc)
{
    _Alignas(64) sums_t sums[4];
    TILE_SUMS(0, 0, 4, 6);
    TILE_SUMS(1, 1, 5, 7);
    TILE_SUMS(2, 2, 4, 6);
    for (int i = 0; i < n_groups; i += 4) {
        prefetch(ahead.p, ahead.each * 4);
        ahead.p += ahead.each * 4;
        TILE_SUMS(i + 3, 3, 5, 7);
        ADD_SUMS(i, 0);
        TILE_SUMS(i + 4, 0, 4, 6);
        ADD_SUMS(i + 1, 1);
        TILE_SUMS(i + 5, 1, 5, 7);
        ADD_SUMS(i + 2, 2);
        TILE_SUMS(i + 6, 2, 4, 6);
        ADD_SUMS(i + 3, 3);
    }
}

void panel_amx(const struct matmul_job *job, const struct panel_task *task)
{
    struct f32x16 acc[TOKENS];
    struct block x = block_at(job->in, task->token);
#pragma GCC unroll 16
    for (int t = 0; t < TOKENS; t++)
        acc[t] = f32x16_set(0);
    int n_groups = group_count(job->w->n_in);
    if (panel_kind(job->w->type) == PANEL_SIGNED)
        multiply_tiles(true, &task->panel, x, n_groups, task->ahead, acc);
    else
        multiply_tiles(false, &task->panel, x, n_groups, task->ahead, acc);
#pragma GCC unroll 16
    for (int t = 0; t < TOKENS; t++)
        store_rows(job, task->row, task->token + t, acc[t]);
}
