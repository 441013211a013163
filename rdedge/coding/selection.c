/* Which tables code the latents (FORMAT.md 4.5): the class of each group, and the index that follows.
   Integers alone, so that selection.py makes the same with NumPy. */
#include "rans.h"

#include <string.h>

#define COARSE 12 /* classes are compared in 2^-8 bits, so that sums fit 32 bits */
#define VARINT_BYTE (8 << 8)
#define NEAR 7 /* symbols up to here, either way, have their costs side by side for all classes */
#define CLASSES_MAX 256
#define NONZERO_MAX 65536

/* Addresses are 64 bits on every machine, as in rans.c. */
typedef struct {
    int64_t first;    /* of its latents in a row */
    int64_t length;   /* K */
    int64_t classes;  /* S; 1: nothing to choose */
    uint64_t tables;  /* uint16_t[S * K] */
    uint64_t base;    /* int32_t[S]: what naming the class costs, and its zeros */
    uint64_t zero;    /* int32_t[S * K]: what a zero costs */
    uint64_t near;    /* int32_t[K * (2 NEAR + 1) * S]: what a symbol costs more than a zero */
} Group;

typedef struct {
    uint64_t groups; /* Group[count] */
    int64_t count;
    int64_t period; /* L, latents in a row */
    uint64_t tables; /* Table[T] */
    uint64_t costs;  /* int32_t[all entries], in 2^-20 bits */
} Selection;

static int32_t cost_of(const Table *table, const int32_t *costs, int32_t symbol)
{
    uint32_t k = (uint32_t)symbol - (uint32_t)table->minimum;
    if (k < table->regular)
        return costs[table->first + k] >> COARSE;
    return (costs[table->first + table->regular] >> COARSE) +
           VARINT_BYTE * escape_bytes(table, symbol);
}

/* Adds what a far symbol at place k costs more than a zero, class by class. */
static void add_far(const Group *group, const Table *tables, const int32_t *costs, int64_t k,
                    int32_t symbol, int32_t *sums)
{
    for (int64_t c = 0; c < group->classes; c++) {
        int64_t at = c * group->length + k;
        int32_t cost = cost_of(tables + AT(uint16_t, group->tables)[at], costs, symbol);
        sums[c] += cost - AT(int32_t, group->zero)[at];
    }
}

/* The cheapest class of a group with `several`, the first of equals; where `several` is a constant,
   compilers make vectors of the sums. */
INLINE int32_t cheapest(const Group *group, const Table *tables, const int32_t *costs,
                        const int32_t *q, const int64_t several)
{
    const int32_t *near = AT(int32_t, group->near) + NEAR * several;
    int32_t sums[CLASSES_MAX];
    memcpy(sums, AT(int32_t, group->base), (size_t)several * sizeof *sums);
    for (int64_t k = 0; k < group->length; k++, near += (2 * NEAR + 1) * several) {
        if (!q[k])
            continue;
        if (q[k] < -NEAR || q[k] > NEAR) {
            add_far(group, tables, costs, k, q[k], sums);
            continue;
        }
        const int32_t *more = near + q[k] * several;
        for (int64_t c = 0; c < several; c++)
            sums[c] += more[c];
    }
    int32_t chosen = 0;
    for (int32_t c = 1; c < several; c++)
        if (sums[c] < sums[chosen])
            chosen = c;
    return chosen;
}

/* The class of every group that has several.
   symbols: [rows * period]; classes: [rows * groups with several]. */
EXPORT void rdedge_choose_classes(const Selection *s, const int32_t *symbols, int64_t rows,
                                  int32_t *classes)
{
    const Group *groups = AT(Group, s->groups);
    const Table *tables = AT(Table, s->tables);
    const int32_t *costs = AT(int32_t, s->costs);
    for (int64_t r = 0; r < rows; r++, symbols += s->period) {
        for (int64_t g = 0; g < s->count; g++) {
            const Group *group = groups + g;
            const int64_t several = group->classes;
            if (several < 2)
                continue;
            const int32_t *q = symbols + group->first;
            *classes++ = several == 8    ? cheapest(group, tables, costs, q, 8)
                         : several == 16 ? cheapest(group, tables, costs, q, 16)
                                         : cheapest(group, tables, costs, q, several);
        }
    }
}

/* The table of every latent. Returns -1, or the first place of classes that names no class.
   classes as above; index: [rows * period]. */
EXPORT int64_t rdedge_fill_index(const Selection *s, const int32_t *classes, int64_t rows,
                                 uint16_t *index)
{
    const Group *groups = AT(Group, s->groups);
    int64_t place = 0;
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t g = 0; g < s->count; g++) {
            const Group *group = groups + g;
            int64_t c = 0;
            if (group->classes > 1) {
                c = classes[place];
                if (c < 0 || c >= group->classes)
                    return place;
                place++;
            }
            const uint16_t *ids = AT(uint16_t, group->tables) + c * group->length;
            for (int64_t k = 0; k < group->length; k++)
                *index++ = ids[k];
        }
    }
    return -1;
}
