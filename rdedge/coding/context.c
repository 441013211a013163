/* Which table codes a latent, by what is decoded before it (FORMAT.md 4.8): a small network in
   integers, the same ones as in context.py. */
#include "rans.h"

#define BLOCK 64 /* rows looked at side by side */
#define INPUTS_MAX 64
#define HIDDEN_MAX 64
#define MAGNITUDE_MAX 1023
#define SIGNED_MAX 127
#define ACTIVATION_MAX 4095

/* Latents of the rows that lie `direction` away, 0 for the row itself. */
typedef struct {
    int32_t direction;
    int32_t first;
    int32_t count;
} Span;

typedef struct {
    uint64_t contextual;  /* uint8_t[L]: 0 for a latent with a fixed table */
    uint64_t fixed;       /* uint16_t[L] */
    uint64_t spans_first; /* int32_t[L * F + 1] */
    uint64_t spans;       /* Span[] */
    uint64_t kinds;       /* uint8_t[F]: 0 a magnitude, 1 a signed sum */
    uint64_t weights;     /* int16_t[H * F] */
    uint64_t biases;      /* int32_t[L * H] */
    uint64_t out_weights; /* int16_t[3 * H] */
    uint64_t out_biases;  /* int32_t[L * 3] */
    uint64_t bank;        /* uint16_t[sizes[0] * sizes[1] * sizes[2]] */
    uint64_t logarithms;  /* uint8_t[16 * MAGNITUDE_MAX + 1] */
    int64_t latents, inputs, hidden;
    int64_t sizes[3];
} Contexts;

/* Rows in the order in which they are coded. Latent j of row r stands at base[r] + j * stride[r];
   the rows of a front, first[f] to first[f + 1], stand side by side. */
typedef struct {
    uint64_t base;       /* int64_t[R] */
    uint64_t stride;     /* int64_t[R] */
    uint64_t neighbours; /* int32_t[directions * R], by direction from 1; -1 where there is none */
    uint64_t first;      /* int64_t[fronts + 1] */
    int64_t rows, fronts;
} Rows;

INLINE int32_t clipped(int32_t q, int32_t most)
{
    return q > most ? most : q < -most ? -most : q;
}

INLINE int32_t taken(int32_t q, int is_signed)
{
    int32_t c = clipped(q, MAGNITUDE_MAX);
    return is_signed || c > 0 ? c : -c;
}

/* Input f of latent k for rows r to r + n, to x. */
static void look(const Contexts *c, const Rows *rows, const int32_t *coded, int64_t k, int64_t f,
                 int64_t r, int64_t n, int32_t *x)
{
    const int64_t *base = AT(int64_t, rows->base), *stride = AT(int64_t, rows->stride);
    const int32_t *first = AT(int32_t, c->spans_first) + k * c->inputs + f;
    const uint8_t *logarithms = AT(uint8_t, c->logarithms);
    const int is_signed = AT(uint8_t, c->kinds)[f];
    int32_t counts[BLOCK];
    for (int64_t i = 0; i < n; i++)
        x[i] = counts[i] = 0;
    for (int32_t s = first[0]; s < first[1]; s++) {
        const Span span = AT(Span, c->spans)[s];
        if (span.direction == 0) {
            const int32_t *q = coded + base[r] + span.first * stride[r];
            for (int32_t j = 0; j < span.count; j++, q += stride[r])
                for (int64_t i = 0; i < n; i++)
                    x[i] += taken(q[i], is_signed);
            for (int64_t i = 0; i < n; i++)
                counts[i] += span.count;
            continue;
        }
        const int32_t *neighbours =
            AT(int32_t, rows->neighbours) + (span.direction - 1) * rows->rows + r;
        for (int64_t i = 0; i < n; i++) {
            int32_t other = neighbours[i];
            if (other < 0)
                continue;
            const int32_t *q = coded + base[other] + span.first * stride[other];
            for (int32_t j = 0; j < span.count; j++, q += stride[other])
                x[i] += taken(*q, is_signed);
            counts[i] += span.count;
        }
    }
    for (int64_t i = 0; i < n; i++) {
        if (is_signed)
            x[i] = 16 * clipped(x[i], SIGNED_MAX);
        else if (counts[i])
            x[i] = logarithms[(uint32_t)x[i] * (65536u / (uint32_t)counts[i]) >> 12];
    }
}

/* The tables of latent k in rows r to r + n of one front, n at most BLOCK. */
static void select_tables(const Contexts *c, const Rows *rows, const int32_t *coded, int64_t k,
                          int64_t r, int64_t n, uint16_t *index)
{
    if (!AT(uint8_t, c->contextual)[k]) {
        for (int64_t i = 0; i < n; i++)
            index[i] = AT(uint16_t, c->fixed)[k];
        return;
    }
    int32_t x[INPUTS_MAX][BLOCK], out[3][BLOCK], sums[BLOCK];
    for (int64_t f = 0; f < c->inputs; f++)
        look(c, rows, coded, k, f, r, n, x[f]);
    for (int o = 0; o < 3; o++)
        for (int64_t i = 0; i < n; i++)
            out[o][i] = AT(int32_t, c->out_biases)[3 * k + o] + 1024;
    for (int64_t h = 0; h < c->hidden; h++) {
        const int16_t *weights = AT(int16_t, c->weights) + h * c->inputs;
        const int32_t bias = AT(int32_t, c->biases)[k * c->hidden + h];
        for (int64_t i = 0; i < n; i++)
            sums[i] = bias;
        for (int64_t f = 0; f < c->inputs; f++)
            for (int64_t i = 0; i < n; i++)
                sums[i] += weights[f] * x[f][i];
        for (int64_t i = 0; i < n; i++) {
            int32_t sum = sums[i] > 0 ? sums[i] >> 7 : 0;
            sums[i] = sum < ACTIVATION_MAX ? sum : ACTIVATION_MAX;
        }
        for (int o = 0; o < 3; o++) {
            const int32_t weight = AT(int16_t, c->out_weights)[o * c->hidden + h];
            for (int64_t i = 0; i < n; i++)
                out[o][i] += weight * sums[i];
        }
    }
    for (int64_t i = 0; i < n; i++) {
        int64_t place = 0;
        for (int o = 0; o < 3; o++) {
            int64_t level = out[o][i] > 0 ? out[o][i] >> 11 : 0;
            place = place * c->sizes[o] + (level < c->sizes[o] ? level : c->sizes[o] - 1);
        }
        index[i] = AT(uint16_t, c->bank)[place];
    }
}

/* The inputs of all latents that have contexts, in the order in which they are coded:
   inputs[rows * L * F], zeros for the others. What a network is trained on. */
EXPORT void rdedge_context_inputs(const Contexts *c, const Rows *rows, const int32_t *coded,
                                  int16_t *inputs)
{
    const int64_t *first = AT(int64_t, rows->first);
    int32_t x[BLOCK];
    for (int64_t f = 0; f < rows->fronts; f++)
        for (int64_t k = 0; k < c->latents; k++)
            for (int64_t r = first[f]; r < first[f + 1]; r += BLOCK) {
                int64_t n = first[f + 1] - r < BLOCK ? first[f + 1] - r : BLOCK;
                for (int64_t i = 0; i < c->inputs; i++) {
                    look(c, rows, coded, k, i, r, n, x);
                    for (int64_t j = 0; j < n; j++)
                        inputs[j * c->inputs + i] = (int16_t)x[j];
                }
                inputs += n * c->inputs;
            }
}

/* The tables of all latents, in the order in which they are coded; index[rows * L]. */
EXPORT void rdedge_context_tables(const Contexts *c, const Rows *rows, const int32_t *coded,
                                  uint16_t *index)
{
    const int64_t *first = AT(int64_t, rows->first);
    for (int64_t f = 0; f < rows->fronts; f++)
        for (int64_t k = 0; k < c->latents; k++)
            for (int64_t r = first[f]; r < first[f + 1]; r += BLOCK) {
                int64_t n = first[f + 1] - r < BLOCK ? first[f + 1] - r : BLOCK;
                select_tables(c, rows, coded, k, r, n, index);
                index += n;
            }
}

/* Decodes all latents, in that order, from a stream that was started on. */
EXPORT void rdedge_context_decode(const Contexts *c, const Rows *rows, Decoding *decoding,
                                  const Model *model, int32_t *coded)
{
    const int64_t *first = AT(int64_t, rows->first);
    uint16_t index[BLOCK];
    Model chosen = *model;
    int32_t *next = coded;
    chosen.index = (uint64_t)(uintptr_t)index;
    for (int64_t f = 0; f < rows->fronts; f++)
        for (int64_t k = 0; k < c->latents; k++)
            for (int64_t r = first[f]; r < first[f + 1]; r += BLOCK) {
                chosen.period = first[f + 1] - r < BLOCK ? first[f + 1] - r : BLOCK;
                select_tables(c, rows, coded, k, r, chosen.period, index);
                rdedge_rans_decode_some(decoding, &chosen, chosen.period, next);
                next += chosen.period;
            }
}

/* What a symbol costs with a table, in 2^-20 bits, an escape's bytes included. */
static int64_t cost_of(const Table *table, const int32_t *costs, int32_t symbol)
{
    uint32_t k = (uint32_t)symbol - (uint32_t)table->minimum;
    if (k < table->regular)
        return costs[table->first + k];
    int64_t above = (int64_t)symbol - ((int64_t)table->minimum + table->regular);
    uint64_t value = above >= 0 ? 2 * (uint64_t)above
                                : 2 * (uint64_t)((int64_t)table->minimum - 1 - symbol) + 1;
    int64_t escape = 8 << 20;
    for (; value >= 0x80; value >>= 7)
        escape += 8 << 20;
    return costs[table->first + table->regular] + escape;
}

/* Which of a symbol, the next nearer to zero and zero is worth its bits: the smallest of equals. */
static int32_t lowered(const Table *table, const int32_t *costs, float scaled, double weight,
                       int32_t nearest)
{
    const int32_t sign = nearest < 0 ? -1 : 1, largest = sign * nearest;
    const double at = scaled < 0 ? -(double)scaled : (double)scaled;
    double least = at * at + weight * (double)cost_of(table, costs, 0);
    int32_t best = 0;
    for (int32_t m = largest > 1 ? largest - 1 : 1; m <= largest; m++) {
        double off = at - m;
        double sum = off * off + weight * (double)cost_of(table, costs, sign * m);
        if (sum < least)
            least = sum, best = sign * m;
    }
    return best;
}

/* Lowers symbols where the bits saved are worth the error, latent after latent, each with the table
   that those before it select. coded: rounded to the nearest, in coding order; scaled: the latents
   in quantiser steps, in that order; free: uint8_t[L], which latents may be lowered. weight: of
   2^-20 bits, in squared steps. The index that the result selects goes to index. */
EXPORT void rdedge_context_quantise(const Contexts *c, const Rows *rows, const Table *tables,
                                    const int32_t *costs, const float *scaled, const uint8_t *free,
                                    double weight, int32_t *coded, uint16_t *index)
{
    const int64_t *first = AT(int64_t, rows->first);
    int32_t *next = coded;
    for (int64_t f = 0; f < rows->fronts; f++)
        for (int64_t k = 0; k < c->latents; k++)
            for (int64_t r = first[f]; r < first[f + 1]; r += BLOCK) {
                int64_t n = first[f + 1] - r < BLOCK ? first[f + 1] - r : BLOCK;
                select_tables(c, rows, coded, k, r, n, index);
                for (int64_t i = 0; free[k] && i < n; i++)
                    next[i] = lowered(tables + index[i], costs, scaled[i], weight, next[i]);
                index += n, scaled += n, next += n;
            }
}
