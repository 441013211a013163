/* Products of a network's integers, for context.c and palette.c; dot.py lays its weights out. */
#ifndef RDEDGE_DOT_H
#define RDEDGE_DOT_H
#include "rans.h"

#define LANES 8 /* numbers that are multiplied side by side */

INLINE int64_t padded(int64_t count)
{
    return (count + LANES - 1) / LANES * LANES;
}

/* Of n products, n a multiple of LANES: a form that compilers make vectors of. */
INLINE int32_t dot(const int16_t *a, const int16_t *b, int64_t n)
{
    int32_t sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

#endif
