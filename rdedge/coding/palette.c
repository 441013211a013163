/* Pictures of few grey values (FORMAT.md 4.10): which tables code a pixel, by the pixels before it; a
   network in integers, the same ones as in palette_model.py. */
#include "dot.h"
#include "rans.h"

#include <string.h>

#define INPUTS_MAX 256
#define HIDDEN_MAX 64
#define VALUES_MAX 8
#define DECISIONS_MAX (VALUES_MAX - 1)
#define ACTIVATION_MAX 4095
#define CHUNK 8
#define ROOM (INPUTS_MAX + CHUNK)

/* Compiled for wider vectors too, where the loader can choose. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define CLONES __attribute__((target_clones("avx2", "default")))
#else
#define CLONES
#endif

/* Up to 8 neighbours side by side. */
typedef struct {
    int32_t delta; /* from a pixel to the first of them, in a plane */
    int32_t count;
    uint64_t mask; /* 255 for each of them, 0 for what follows, in memory's order */
} Chunk;

typedef struct {
    uint64_t chunks;      /* Chunk[]: all neighbours, in their order */
    uint64_t above;       /* int32_t[F]: lines that they lie above */
    uint64_t right;       /* int32_t[F]: columns that they lie to the right, negative to the left */
    uint64_t codes;       /* int8_t[K + 1]: of the values, and of what lies outside */
    uint64_t which;       /* uint8_t[256]: the first value of a code, as a byte */
    uint64_t weights;     /* int16_t[H1 * F'], F', H1' and H2' rounded up to LANES, with zeros */
    uint64_t biases;      /* int32_t[P * H1]: for each place of a sample, or P = 1 */
    uint64_t weights_2;   /* int16_t[H2 * H1'] */
    uint64_t biases_2;    /* int32_t[H2] */
    uint64_t out_weights; /* int16_t[(K - 1) * H2'] */
    uint64_t out_biases;  /* int32_t[K - 1] */
    uint64_t alike;       /* uint16_t[P * (K + 1) * (K - 1)]: tables where all neighbours are alike */
    int64_t chunk_count, inputs, hidden, hidden_2, values, levels, places;
    int64_t shifts[3];
} Palette;

/* Planes are samples with what lies outside to their left, right and top, one int8_t a pixel; CHUNK
   bytes follow the last. */
typedef struct {
    int64_t samples, lines, columns;
    int64_t slope;  /* pixels of one front: column + slope * line is the same */
    int64_t stride; /* of a line of a plane */
    int64_t plane;  /* bytes of one */
    int64_t origin; /* where the first pixel of a plane is */
} Planes;

INLINE int16_t activation(int32_t sum, int64_t shift)
{
    sum = sum > 0 ? sum >> shift : 0;
    return (int16_t)(sum < ACTIVATION_MAX ? sum : ACTIVATION_MAX);
}

/* The tables of a pixel's decisions, by its neighbours x[F'], filled up with zeros. */
CLONES static void network(const Palette *p, int64_t place, const int16_t *x, uint16_t *tables)
{
    const int64_t inputs = padded(p->inputs), hidden = padded(p->hidden);
    const int64_t hidden_2 = padded(p->hidden_2);
    const int16_t *weights = AT(int16_t, p->weights), *weights_2 = AT(int16_t, p->weights_2);
    const int16_t *out_weights = AT(int16_t, p->out_weights);
    const int32_t *biases = AT(int32_t, p->biases) + (p->places > 1 ? place * p->hidden : 0);
    int16_t first[HIDDEN_MAX], second[HIDDEN_MAX];
    for (int64_t j = p->hidden; j < hidden; j++)
        first[j] = 0;
    for (int64_t j = p->hidden_2; j < hidden_2; j++)
        second[j] = 0;
    for (int64_t j = 0; j < p->hidden; j++)
        first[j] = activation(biases[j] + dot(weights + j * inputs, x, inputs), p->shifts[0]);
    for (int64_t j = 0; j < p->hidden_2; j++)
        second[j] = activation(
            AT(int32_t, p->biases_2)[j] + dot(weights_2 + j * hidden, first, hidden), p->shifts[1]);
    for (int64_t d = 0; d < p->values - 1; d++) {
        int32_t sum = AT(int32_t, p->out_biases)[d];
        sum += dot(out_weights + d * hidden_2, second, hidden_2);
        int64_t level = sum > 0 ? sum >> p->shifts[2] : 0;
        level = level < p->levels ? level : p->levels - 1;
        tables[d] = (uint16_t)(d * p->levels + level);
    }
}

/* Fills p->alike in. */
EXPORT void rdedge_palette_prepare(const Palette *p, uint16_t *alike)
{
    int16_t x[INPUTS_MAX];
    for (int64_t f = p->inputs; f < padded(p->inputs); f++)
        x[f] = 0;
    for (int64_t place = 0; place < p->places; place++)
        for (int64_t k = 0; k <= p->values; k++) {
            for (int64_t f = 0; f < p->inputs; f++)
                x[f] = AT(int8_t, p->codes)[k];
            network(p, place, x, alike);
            alike += p->values - 1;
        }
}

/* The tables of the decisions of the pixel at `at` of a plane. x: room for ROOM. */
INLINE void select_tables(const Palette *p, const int8_t *at, int64_t place, int16_t *x,
                          uint16_t *tables)
{
    const Chunk *chunks = AT(Chunk, p->chunks);
    const int8_t first = at[chunks[0].delta];
    const uint64_t all = 0x0101010101010101u * (uint8_t)first;
    uint64_t differ = 0;
    for (int64_t c = 0; c < p->chunk_count; c++) {
        uint64_t bytes;
        memcpy(&bytes, at + chunks[c].delta, CHUNK);
        differ |= (bytes ^ all) & chunks[c].mask;
    }
    if (differ) {
        /* What a chunk has too much, the next overwrites; after the last, weights are 0. */
        for (int64_t c = 0; c < p->chunk_count; c++) {
            for (int i = 0; i < CHUNK; i++)
                x[i] = at[chunks[c].delta + i];
            x += chunks[c].count;
        }
        network(p, place, x - p->inputs, tables);
        return;
    }
    const int64_t k = AT(uint8_t, p->which)[(uint8_t)first];
    const int64_t row = (p->places > 1 ? place : 0) * (p->values + 1) + k;
    const uint16_t *alike = AT(uint16_t, p->alike) + row * (p->values - 1);
    for (int64_t d = 0; d < p->values - 1; d++)
        tables[d] = alike[d];
}

/* Calls body for the pixels of a front, in the order in which they are coded: sample n, line y,
   column x; where it is in its plane; its place among the pixels of all samples. */
#define EACH_OF_FRONT(s, front, body)                                                             \
    do {                                                                                          \
        int64_t top_ = (front) - (s)->columns + 1;                                                \
        int64_t from_ = top_ > 0 ? (top_ + (s)->slope - 1) / (s)->slope : 0;                      \
        int64_t to_ = (front) / (s)->slope;                                                       \
        if (to_ >= (s)->lines)                                                                    \
            to_ = (s)->lines - 1;                                                                 \
        for (int64_t n = 0; n < (s)->samples; n++)                                                \
            for (int64_t y = from_; y <= to_; y++) {                                              \
                const int64_t x = (front) - y * (s)->slope;                                       \
                const int64_t place = y * (s)->columns + x;                                       \
                const int64_t natural = n * (s)->lines * (s)->columns + place;                    \
                const int64_t at = n * (s)->plane + (s)->origin + y * (s)->stride + x;            \
                body                                                                              \
            }                                                                                     \
    } while (0)

INLINE int64_t fronts(const Planes *s)
{
    return s->columns + s->slope * (s->lines - 1);
}

/* Decisions and the table of each, in the order in which they are coded, of symbols that stand in the
   planes already. tables: room for (K - 1) a pixel of a front. Returns how many. */
EXPORT int64_t rdedge_palette_tables(const Palette *p, const Planes *s, const int8_t *planes,
                                     const int32_t *symbols, uint16_t *tables,
                                     int32_t *decisions, uint16_t *index)
{
    const int64_t each = p->values - 1;
    int64_t done = 0;
    int16_t inputs[ROOM] = {0};
    for (int64_t front = 0; front < fronts(s); front++) {
        int64_t i = 0;
        EACH_OF_FRONT(s, front, {
            (void)natural;
            select_tables(p, planes + at, place, inputs, tables + each * i++);
        });
        for (int64_t d = 0; d < each; d++) {
            i = 0;
            EACH_OF_FRONT(s, front, {
                (void)at;
                if (symbols[natural] >= d) {
                    decisions[done] = symbols[natural] > d;
                    index[done++] = tables[each * i + d];
                }
                i++;
            });
        }
    }
    return done;
}

/* Decodes the pixels of all samples, symbols in their natural order, from a stream that was started
   on. planes: nothing but what lies outside. tables, decisions, index, pixels: room for a front. */
EXPORT void rdedge_palette_decode(const Palette *p, const Planes *s, Decoding *decoding,
                                  const Model *model, int8_t *planes, uint16_t *tables,
                                  int32_t *decisions, uint16_t *index, int32_t *pixels,
                                  int32_t *symbols)
{
    const int64_t each = p->values - 1;
    int16_t inputs[ROOM] = {0};
    Model chosen = *model;
    chosen.index = (uint64_t)(uintptr_t)index;
    for (int64_t front = 0; front < fronts(s); front++) {
        int64_t i = 0;
        EACH_OF_FRONT(s, front, {
            (void)natural;
            select_tables(p, planes + at, place, inputs, tables + each * i);
            pixels[i++] = 0;
        });
        const int64_t count = i;
        for (int64_t d = 0; d < each; d++) {
            int64_t asked = 0;
            for (i = 0; i < count; i++)
                if (pixels[i] == d)
                    index[asked++] = tables[each * i + d];
            if (!asked)
                break;
            chosen.period = asked;
            rdedge_rans_decode_some(decoding, &chosen, asked, decisions);
            asked = 0;
            for (i = 0; i < count; i++)
                if (pixels[i] == d)
                    pixels[i] += decisions[asked++] == 1;
        }
        i = 0;
        EACH_OF_FRONT(s, front, {
            (void)place;
            symbols[natural] = pixels[i];
            planes[at] = AT(int8_t, p->codes)[pixels[i++]];
        });
    }
}

/* What a symbol costs with these tables, in 2^-20 bits. costs: of the decisions 0 and 1 by table. */
INLINE int32_t cost_of(const Palette *p, const uint16_t *tables, const int32_t *costs,
                       int32_t symbol)
{
    int32_t sum = 0;
    for (int32_t d = 0; d < p->values - 1 && d <= symbol; d++)
        sum += costs[2 * tables[d] + (symbol > d)];
    return sum;
}

/* What every pixel costs, in 2^-20 bits, in the natural order. */
EXPORT void rdedge_palette_costs(const Palette *p, const Planes *s, const int8_t *planes,
                                 const int32_t *symbols, const int32_t *costs, int32_t *spent)
{
    int16_t inputs[ROOM] = {0};
    uint16_t tables[DECISIONS_MAX];
    for (int64_t n = 0, i = 0; n < s->samples; n++)
        for (int64_t y = 0; y < s->lines; y++)
            for (int64_t x = 0; x < s->columns; x++, i++) {
                const int64_t at = n * s->plane + s->origin + y * s->stride + x;
                select_tables(p, planes + at, y * s->columns + x, inputs, tables);
                spent[i] = cost_of(p, tables, costs, symbols[i]);
            }
}

/* Squared distance of a pixel from value k, in ranges of all values. scaled: where it lies between
   the values, by their numbers. */
INLINE double error_of(const Palette *p, const double *positions, float scaled, int32_t k)
{
    int32_t below = 0;
    while (below < p->values - 2 && scaled >= (float)(below + 1))
        below++;
    const double width = positions[below + 1] - positions[below];
    const double off = positions[below] + ((double)scaled - below) * width - positions[k];
    return off * off;
}

/* Changes pixels where the bits saved, of the pixel and of all whose context it is in, are worth the
   error; one after the other, in the natural order. Only pixels that cost at least `least` are looked
   at. positions: double[K], the values from 0 to 1. weight: of 2^-20 bits, in squared ranges.
   planes, symbols and spent (what every pixel costs) are kept up. Returns how many changed. */
EXPORT int64_t rdedge_palette_change(const Palette *p, const Planes *s, const int32_t *costs,
                                     const double *positions, const float *scaled, double weight,
                                     int32_t least, int8_t *planes, int32_t *symbols,
                                     int32_t *spent)
{
    const int32_t *above = AT(int32_t, p->above), *right = AT(int32_t, p->right);
    int16_t inputs[ROOM] = {0};
    int32_t after[INPUTS_MAX] = {0}, best_after[INPUTS_MAX];
    uint16_t own[DECISIONS_MAX], tables[DECISIONS_MAX];
    int64_t changed = 0;
    for (int64_t n = 0, i = 0; n < s->samples; n++)
        for (int64_t y = 0; y < s->lines; y++)
            for (int64_t x = 0; x < s->columns; x++, i++) {
                if (spent[i] < least)
                    continue;
                int8_t *at = planes + n * s->plane + s->origin + y * s->stride + x;
                const int32_t now = symbols[i];
                const double error = error_of(p, positions, scaled[i], now);
                double best = 0;
                int32_t best_symbol = now;
                int64_t reached = 0;
                for (int64_t f = 0; f < p->inputs; f++) {
                    const int64_t line = y + above[f], column = x - right[f];
                    if (line < s->lines && column >= 0 && column < s->columns)
                        reached += spent[i + above[f] * s->columns - right[f]];
                }
                select_tables(p, at, y * s->columns + x, inputs, own);
                for (int32_t k = 0; k < p->values; k++) {
                    if (k == now)
                        continue;
                    /* What the pixels not yet looked at cost now is the most that they can save. */
                    int64_t bits = (int64_t)cost_of(p, own, costs, k) - spent[i], left = reached;
                    const double more = error_of(p, positions, scaled[i], k) - error;
                    *at = AT(int8_t, p->codes)[k];
                    int64_t f = p->inputs - 1;
                    for (; f >= 0 && more + weight * (double)(bits - left) < best; f--) {
                        const int64_t line = y + above[f], column = x - right[f];
                        if (line >= s->lines || column < 0 || column >= s->columns)
                            continue;
                        const int64_t j = i + above[f] * s->columns - right[f];
                        select_tables(p, at + above[f] * s->stride - right[f],
                                      line * s->columns + column, inputs, tables);
                        after[f] = cost_of(p, tables, costs, symbols[j]);
                        bits += (int64_t)after[f] - spent[j];
                        left -= spent[j];
                    }
                    const double gain = more + weight * (double)bits;
                    if (f < 0 && gain < best) {
                        best = gain;
                        best_symbol = k;
                        for (f = 0; f < p->inputs; f++)
                            best_after[f] = after[f];
                    }
                }
                *at = AT(int8_t, p->codes)[best_symbol];
                if (best_symbol == now)
                    continue;
                symbols[i] = best_symbol;
                spent[i] = cost_of(p, own, costs, best_symbol);
                for (int64_t f = 0; f < p->inputs; f++) {
                    const int64_t line = y + above[f], column = x - right[f];
                    if (line < s->lines && column >= 0 && column < s->columns)
                        spent[i + above[f] * s->columns - right[f]] = best_after[f];
                }
                changed++;
            }
    return changed;
}
