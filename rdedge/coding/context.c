/* Which table codes a latent, by what is decoded before it (FORMAT.md 4.8): a small network in
   integers, the same ones as in context.py. */
#include "dot.h"
#include "rans.h"

#define BLOCK 64 /* rows looked at side by side */
#define INPUTS_MAX 64
#define HIDDEN_MAX 64
#define MAGNITUDE_MAX 1023
#define ACTIVATION_MAX 4095
#define TAP_MAX 8191
#define FOLLOWING 2
#define PHASES 4 /* quarters of a step that a mean lies beyond a whole one */
#define NO_ZERO 4 /* added to the phase where the mean is a step or more away from zero */

/* Latents of the rows that lie `direction` away, 0 for the row itself. */
typedef struct {
    int32_t direction;
    int32_t first;
    int32_t count;
} Span;

/* A latent that foretells another: weight / 256 of it. */
typedef struct {
    int32_t direction;
    int32_t latent;
    int32_t weight;
} Tap;

typedef struct {
    uint64_t contextual;  /* uint8_t[L]: 0 for a latent with a fixed table, FOLLOWING for one that has
                             it where no row lies to the left */
    uint64_t moves;       /* uint8_t[L]: 1 for a latent that moves the state of a trellis */
    uint64_t fixed;       /* uint16_t[L] */
    uint64_t spans_first; /* int32_t[L * F + 1] */
    uint64_t spans;       /* Span[] */
    uint64_t taps_first;  /* int32_t[L + 1] */
    uint64_t taps;        /* Tap[] */
    uint64_t kinds;       /* uint8_t[F]: 0 a magnitude, 1 the mean's */
    uint64_t weights;     /* int16_t[H * F'], F' and H' rounded up to LANES, with zeros */
    uint64_t biases;      /* int32_t[L * H] */
    uint64_t out_weights; /* int16_t[3 * H'] */
    uint64_t out_biases;  /* int32_t[L * 3] */
    uint64_t bank;        /* uint16_t[sizes[0] * sizes[1] * sizes[2] * 2 PHASES] */
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
    uint64_t states;     /* uint8_t[R]: of a trellis, moved on here */
    uint64_t next;       /* uint8_t[states * 2], or 0 without one: by a symbol's parity (4.7) */
    int64_t rows, fronts;
} Rows;

/* What is known of the latents of a block before they are coded. */
typedef struct {
    int32_t away[BLOCK]; /* how far the mean is from zero, in quarters of a step */
    int32_t sign[BLOCK]; /* 1 or -1: on which side */
} Mean;

/* Whether latent k has nothing to follow in row r, and its fixed table. */
INLINE int alone(const Contexts *c, const Rows *rows, int64_t k, int64_t r)
{
    return AT(uint8_t, c->contextual)[k] == FOLLOWING && AT(int32_t, rows->neighbours)[r] < 0;
}

INLINE int32_t clipped(int32_t q, int32_t most)
{
    return q > most ? most : q < -most ? -most : q;
}

INLINE int32_t magnitude(int32_t q)
{
    int32_t c = clipped(q, MAGNITUDE_MAX);
    return c < 0 ? -c : c;
}

/* The mean of latent k in rows r to r + n of one front, by symbols that are known. What moves the
   state of a trellis has none: the quantiser stands in its place. */
static void foretell(const Contexts *c, const Rows *rows, const int32_t *symbols, int64_t k,
                     int64_t r, int64_t n, Mean *mean)
{
    const int64_t *base = AT(int64_t, rows->base), *stride = AT(int64_t, rows->stride);
    const int32_t *first = AT(int32_t, c->taps_first) + k;
    int32_t sums[BLOCK];
    if (rows->next && AT(uint8_t, c->moves)[k]) {
        const uint8_t *states = AT(uint8_t, rows->states) + r;
        const int32_t mask = AT(uint8_t, c->contextual)[k];
        for (int64_t i = 0; i < n; i++) {
            mean->sign[i] = 1;
            mean->away[i] = states[i] & mask;
        }
        return;
    }
    for (int64_t i = 0; i < n; i++)
        sums[i] = 0;
    for (int32_t t = first[0]; t < first[1]; t++) {
        const Tap tap = AT(Tap, c->taps)[t];
        if (tap.direction == 0) {
            const int32_t *q = symbols + base[r] + tap.latent * stride[r];
            for (int64_t i = 0; i < n; i++)
                sums[i] += tap.weight * clipped(q[i], TAP_MAX);
            continue;
        }
        const int32_t *neighbours =
            AT(int32_t, rows->neighbours) + (tap.direction - 1) * rows->rows + r;
        for (int64_t i = 0; i < n; i++) {
            int32_t other = neighbours[i];
            if (other >= 0)
                sums[i] += tap.weight *
                           clipped(symbols[base[other] + tap.latent * stride[other]], TAP_MAX);
        }
    }
    for (int64_t i = 0; i < n; i++)
        if (alone(c, rows, k, r + i))
            sums[i] = 0;
    for (int64_t i = 0; i < n; i++) {
        mean->sign[i] = sums[i] < 0 ? -1 : 1;
        /* Not as a product with the sign: gcc 12 fails to compile vectors of that. */
        mean->away[i] = ((sums[i] < 0 ? -sums[i] : sums[i]) + 32) >> 6;
    }
}

/* A symbol as it is coded: mirrored so that its mean is positive, less the whole steps of that;
   modulo 2^32. */
INLINE int32_t residual(int32_t symbol, const Mean *mean, int64_t i)
{
    uint32_t q = (uint32_t)symbol;
    return (int32_t)((mean->sign[i] < 0 ? 0 - q : q) - (uint32_t)(mean->away[i] / PHASES));
}

INLINE int32_t restored(int32_t coded, const Mean *mean, int64_t i)
{
    uint32_t q = (uint32_t)coded + (uint32_t)(mean->away[i] / PHASES);
    return (int32_t)(mean->sign[i] < 0 ? 0 - q : q);
}

/* Input f of latent k for rows r to r + n, to x. sums: of magnitudes of the latents before each, as
   they are coded, int32_t[rows * (L + 1)]: a span is a difference of two. */
static void look(const Contexts *c, const Rows *rows, const int32_t *sums, const Mean *mean,
                 int64_t k, int64_t f, int64_t r, int64_t n, int32_t *x)
{
    const int32_t *first = AT(int32_t, c->spans_first) + k * c->inputs + f;
    const uint8_t *logarithms = AT(uint8_t, c->logarithms);
    const int64_t length = c->latents + 1;
    int32_t counts[BLOCK];
    if (AT(uint8_t, c->kinds)[f]) {
        for (int64_t i = 0; i < n; i++)
            x[i] = logarithms[mean->away[i] < 4 * MAGNITUDE_MAX ? 4 * mean->away[i]
                                                                : 16 * MAGNITUDE_MAX];
        return;
    }
    for (int64_t i = 0; i < n; i++)
        x[i] = counts[i] = 0;
    for (int32_t s = first[0]; s < first[1]; s++) {
        const Span span = AT(Span, c->spans)[s];
        const int32_t *neighbours =
            AT(int32_t, rows->neighbours) + (span.direction - 1) * rows->rows + r;
        for (int64_t i = 0; i < n; i++) {
            int64_t other = span.direction ? neighbours[i] : r + i;
            if (other < 0)
                continue;
            const int32_t *sum = sums + other * length + span.first;
            x[i] += sum[span.count] - sum[0];
            counts[i] += span.count;
        }
    }
    for (int64_t i = 0; i < n; i++)
        if (counts[i])
            x[i] = logarithms[(uint32_t)x[i] * (65536u / (uint32_t)counts[i]) >> 12];
}

/* Notes what latent k in rows r to r + n is coded as, and moves their states. */
static void note(const Contexts *c, const Rows *rows, const int32_t *coded, int64_t k, int64_t r,
                 int64_t n, int32_t *sums)
{
    int32_t *sum = sums + r * (c->latents + 1) + k;
    if (rows->next && AT(uint8_t, c->moves)[k]) {
        uint8_t *states = (uint8_t *)(uintptr_t)rows->states + r;
        for (int64_t i = 0; i < n; i++)
            states[i] = AT(uint8_t, rows->next)[2 * states[i] + ((uint32_t)coded[i] & 1)];
    }
    for (int64_t i = 0; i < n; i++, sum += c->latents + 1) {
        if (k == 0)
            sum[0] = 0;
        sum[1] = sum[0] + magnitude(coded[i]);
    }
}

/* Means and tables of latent k in rows r to r + n of one front, n at most BLOCK, by symbols and sums
   of what is known. */
static void select_tables(const Contexts *c, const Rows *rows, const int32_t *symbols,
                          const int32_t *sums, int64_t k, int64_t r, int64_t n, Mean *mean,
                          uint16_t *index)
{
    foretell(c, rows, symbols, k, r, n, mean);
    if (!AT(uint8_t, c->contextual)[k]) {
        for (int64_t i = 0; i < n; i++)
            index[i] = AT(uint16_t, c->fixed)[k];
        return;
    }
    int16_t x[BLOCK][INPUTS_MAX], activations[HIDDEN_MAX];
    int32_t column[BLOCK];
    const int64_t inputs = padded(c->inputs), hidden = padded(c->hidden);
    for (int64_t f = 0; f < inputs; f++) {
        if (f < c->inputs)
            look(c, rows, sums, mean, k, f, r, n, column);
        for (int64_t i = 0; i < n; i++)
            x[i][f] = f < c->inputs ? (int16_t)column[i] : 0;
    }
    for (int64_t h = c->hidden; h < hidden; h++)
        activations[h] = 0;
    for (int64_t i = 0; i < n; i++) {
        const int16_t *weights = AT(int16_t, c->weights);
        const int32_t *biases = AT(int32_t, c->biases) + k * c->hidden;
        for (int64_t h = 0; h < c->hidden; h++) {
            int32_t sum = biases[h] + dot(weights + h * inputs, x[i], inputs);
            sum = sum > 0 ? sum >> 7 : 0;
            activations[h] = (int16_t)(sum < ACTIVATION_MAX ? sum : ACTIVATION_MAX);
        }
        int64_t place = 0;
        for (int o = 0; o < 3; o++) {
            const int16_t *out_weights = AT(int16_t, c->out_weights) + o * hidden;
            int32_t sum = AT(int32_t, c->out_biases)[3 * k + o] + 1024;
            sum += dot(out_weights, activations, hidden);
            int64_t level = sum > 0 ? sum >> 11 : 0;
            place = place * c->sizes[o] + (level < c->sizes[o] ? level : c->sizes[o] - 1);
        }
        place = 2 * PHASES * place + mean->away[i] % PHASES;
        index[i] = AT(uint16_t, c->bank)[place + (mean->away[i] < PHASES ? 0 : NO_ZERO)];
        if (alone(c, rows, k, r + i))
            index[i] = AT(uint16_t, c->fixed)[k];
    }
}

/* Calls body for every block of latents in the order in which they are coded: latent k, rows r to
   r + n. */
#define EACH_BLOCK(c, rows, body)                                                                 \
    do {                                                                                          \
        const int64_t *first_ = AT(int64_t, (rows)->first);                                       \
        for (int64_t f_ = 0; f_ < (rows)->fronts; f_++)                                           \
            for (int64_t k = 0; k < (c)->latents; k++)                                            \
                for (int64_t r = first_[f_]; r < first_[f_ + 1]; r += BLOCK) {                    \
                    int64_t n = first_[f_ + 1] - r < BLOCK ? first_[f_ + 1] - r : BLOCK;          \
                    body                                                                          \
                }                                                                                 \
    } while (0)

/* The inputs of all latents in the order in which they are coded, inputs[rows * L * F], the symbols
   as they are coded, and how far their means are from zero: what a network is trained on. */
EXPORT void rdedge_context_inputs(const Contexts *c, const Rows *rows, const int32_t *symbols,
                                  int32_t *sums, int32_t *coded, int32_t *away,
                                  int16_t *inputs)
{
    Mean mean;
    int32_t x[BLOCK];
    int64_t at = 0;
    EACH_BLOCK(c, rows, {
        foretell(c, rows, symbols, k, r, n, &mean);
        for (int64_t f = 0; f < c->inputs; f++) {
            look(c, rows, sums, &mean, k, f, r, n, x);
            for (int64_t i = 0; i < n; i++)
                inputs[(at + i) * c->inputs + f] = (int16_t)x[i];
        }
        for (int64_t i = 0; i < n; i++) {
            coded[at + i] = residual(symbols[at + i], &mean, i);
            away[at + i] = mean.away[i];
        }
        note(c, rows, coded + at, k, r, n, sums);
        at += n;
    });
}

/* Symbols as they are coded, and the table of each; all in the order of coding. */
EXPORT void rdedge_context_tables(const Contexts *c, const Rows *rows, const int32_t *symbols,
                                  int32_t *sums, int32_t *coded, uint16_t *index)
{
    Mean mean;
    int64_t at = 0;
    EACH_BLOCK(c, rows, {
        select_tables(c, rows, symbols, sums, k, r, n, &mean, index + at);
        for (int64_t i = 0; i < n; i++)
            coded[at + i] = residual(symbols[at + i], &mean, i);
        note(c, rows, coded + at, k, r, n, sums);
        at += n;
    });
}

/* Decodes all latents, in that order, from a stream that was started on. coded: room for as many;
   sums: for rows * (L + 1), here and below. */
EXPORT void rdedge_context_decode(const Contexts *c, const Rows *rows, Decoding *decoding,
                                  const Model *model, int32_t *sums, int32_t *coded,
                                  int32_t *symbols)
{
    Mean mean;
    uint16_t index[BLOCK];
    Model chosen = *model;
    int64_t at = 0;
    chosen.index = (uint64_t)(uintptr_t)index;
    EACH_BLOCK(c, rows, {
        select_tables(c, rows, symbols, sums, k, r, n, &mean, index);
        chosen.period = n;
        rdedge_rans_decode_some(decoding, &chosen, n, coded + at);
        for (int64_t i = 0; i < n; i++)
            symbols[at + i] = restored(coded[at + i], &mean, i);
        note(c, rows, coded + at, k, r, n, sums);
        at += n;
    });
}

/* What a symbol costs with a table, in 2^-20 bits, an escape's bytes included. */
static int64_t cost_of(const Table *table, const int32_t *costs, int32_t symbol)
{
    uint32_t k = (uint32_t)symbol - (uint32_t)table->minimum;
    if (k < table->regular)
        return costs[table->first + k];
    return costs[table->first + table->regular] + (8 << 20) * (int64_t)escape_bytes(table, symbol);
}

/* Which of a symbol, the next nearer to zero and zero is worth its bits: the smallest of equals. */
static int32_t lowered(const Table *table, const int32_t *costs, float scaled, double weight,
                       int32_t nearest, const Mean *mean, int64_t i)
{
    const int32_t sign = nearest < 0 ? -1 : 1, largest = sign * nearest;
    const double at = scaled < 0 ? -(double)scaled : (double)scaled;
    double least = at * at + weight * (double)cost_of(table, costs, residual(0, mean, i));
    int32_t best = 0;
    for (int32_t m = largest > 1 ? largest - 1 : 1; m <= largest; m++) {
        double off = at - m;
        double cost = (double)cost_of(table, costs, residual(sign * m, mean, i));
        double sum = off * off + weight * cost;
        if (sum < least)
            least = sum, best = sign * m;
    }
    return best;
}

/* Lowers symbols where the bits saved are worth the error, latent after latent, each with the table
   that those before it select. symbols: rounded to the nearest, in coding order; scaled: the latents
   in quantiser steps, in that order; free: uint8_t[L], which latents may be lowered. weight: of
   2^-20 bits, in squared steps. coded, index: of the result. */
EXPORT void rdedge_context_quantise(const Contexts *c, const Rows *rows, const Table *tables,
                                    const int32_t *costs, const float *scaled, const uint8_t *free,
                                    double weight, int32_t *symbols, int32_t *sums,
                                    int32_t *coded, uint16_t *index)
{
    Mean mean;
    int64_t at = 0;
    EACH_BLOCK(c, rows, {
        select_tables(c, rows, symbols, sums, k, r, n, &mean, index + at);
        for (int64_t i = 0; i < n; i++) {
            if (free[k])
                symbols[at + i] = lowered(tables + index[at + i], costs, scaled[at + i], weight,
                                          symbols[at + i], &mean, i);
            coded[at + i] = residual(symbols[at + i], &mean, i);
        }
        note(c, rows, coded + at, k, r, n, sums);
        at += n;
    });
}
