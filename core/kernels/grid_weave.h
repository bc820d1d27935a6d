/* grid_weave.h - the formats of grid.h in stripes (stripes.h), their look-ups done.
 *
 * Eight indices of a grid become eight codes of their own: 2 bits for IQ1_*, 3 for IQ2_*, 4 for
 * IQ3_*, which is as few as tell their numbers apart, so that a vector reads them. The numbers are
 * the same; the bytes are 1.2 to 1.6 times as many. Or the indices stay, beside their signs, 1.06
 * times the bytes. Each function is a stripes_weave_fn. */
#ifndef CORE_KERNELS_GRID_WEAVE_H
#define CORE_KERNELS_GRID_WEAVE_H

#include "core/kernels/stripes.h"

stripes_weave_fn grid_weave_iq1_s;
stripes_weave_fn grid_weave_iq1_m;
stripes_weave_fn grid_weave_iq2_xxs;
stripes_weave_fn grid_weave_iq2_xxs_indices;
stripes_weave_fn grid_weave_iq2_xs;
stripes_weave_fn grid_weave_iq2_s;
stripes_weave_fn grid_weave_iq3_xxs;
stripes_weave_fn grid_weave_iq3_s;

#endif
