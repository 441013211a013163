/* Which tables code the latents (FORMAT.md 4.5): the class of each group, and the index that follows.
   Integers alone, so that selection.py makes the same with NumPy. */
#include <stdint.h>

#if defined(__GNUC__)
#define EXPORT __attribute__((visibility("default")))
#elif defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT
#endif

#define COST_BITS 20
#define NONZERO_MAX 65536

typedef struct {
    int32_t minimum;
    uint32_t regular;
    uint32_t first;
    uint32_t unused;
} Table;

/* Addresses are 64 bits on every machine, as in rans.c. */
typedef struct {
    int64_t first;    /* of its latents in a row */
    int64_t length;   /* K */
    int64_t classes;  /* S; 1: nothing to choose */
    uint64_t tables;  /* uint16_t[S * K] */
    uint64_t base;    /* int64_t[S]: what naming the class costs, and its zeros */
    uint64_t zero;    /* int32_t[S * K]: what a zero costs */
} Group;

typedef struct {
    uint64_t groups; /* Group[count] */
    int64_t count;
    int64_t period; /* L, latents in a row */
    uint64_t tables; /* Table[T] */
    uint64_t costs;  /* int32_t[all entries], in 2^-20 bits */
} Selection;

#define AT(type, address) ((const type *)(uintptr_t)(address))

static int64_t cost_of(const Table *table, const int32_t *costs, int32_t symbol)
{
    uint32_t k = (uint32_t)symbol - (uint32_t)table->minimum;
    if (k < table->regular)
        return costs[table->first + k];
    int64_t above = (int64_t)symbol - ((int64_t)table->minimum + table->regular);
    uint64_t value = above >= 0 ? 2 * (uint64_t)above
                                : 2 * (uint64_t)((int64_t)table->minimum - 1 - symbol) + 1;
    int64_t bits = 8;
    for (; value >= 0x80; value >>= 7)
        bits += 8;
    return costs[table->first + table->regular] + (bits << COST_BITS);
}

/* The cheapest class of every group that has several, the first of equals.
   symbols: [rows * period]; classes: [rows * groups with several]. */
EXPORT void rdedge_choose_classes(const Selection *s, const int32_t *symbols, int64_t rows,
                                  int32_t *classes)
{
    const Group *groups = AT(Group, s->groups);
    const Table *tables = AT(Table, s->tables);
    const int32_t *costs = AT(int32_t, s->costs);
    uint16_t places[NONZERO_MAX];
    for (int64_t r = 0; r < rows; r++, symbols += s->period) {
        for (int64_t g = 0; g < s->count; g++) {
            const Group *group = groups + g;
            if (group->classes < 2)
                continue;
            const int32_t *q = symbols + group->first;
            int64_t nonzero = 0;
            for (int64_t k = 0; k < group->length; k++) {
                places[nonzero] = (uint16_t)k;
                nonzero += q[k] != 0;
            }
            int64_t best = INT64_MAX;
            int32_t chosen = 0;
            for (int64_t c = 0; c < group->classes; c++) {
                const uint16_t *ids = AT(uint16_t, group->tables) + c * group->length;
                const int32_t *zero = AT(int32_t, group->zero) + c * group->length;
                int64_t cost = AT(int64_t, group->base)[c];
                for (int64_t i = 0; i < nonzero; i++)
                    cost += cost_of(tables + ids[places[i]], costs, q[places[i]]) - zero[places[i]];
                if (cost < best)
                    best = cost, chosen = (int32_t)c;
            }
            *classes++ = chosen;
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
