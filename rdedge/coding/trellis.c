/* A quantiser that weighs bits against error (FORMAT.md 4.7): a trellis of up to 8 states. Steps and
   distances as float32 and float64 without fused multiply-add, each sum in one order, so that
   trellis.py makes the same symbols with NumPy, bit for bit. */
#include "rans.h"

#include <math.h>

#define STATES_MAX 8
#define SYMBOL_MAX 0x3fffffff /* the largest whose double is an int32 */
#define TRELLIS_LIMIT 1073741824.0f
#define SCALAR_LIMIT 2147483648.0f
#define VARINT_BYTE (8 << 20)
#define SCALED 0
#define EXACT 2

/* Addresses are 64 bits on every machine, as in rans.c. */
typedef struct {
    int64_t rows;
    int64_t length;       /* L, latents in a row */
    uint64_t y;           /* float[rows * L] */
    uint64_t kinds;       /* uint8_t[L]: SCALED, NEAREST, EXACT or STEADY */
    uint64_t index;       /* uint16_t: the table of each latent, or two, for quantisers 0 and 1 */
    int64_t index_stride; /* from row to row; 0 where all rows have the same */
    int64_t index_each;   /* 1 or 2 tables a latent */
    uint64_t tables;      /* Table[T] */
    uint64_t costs;       /* int64_t[all entries], in 2^-20 bits */
    double weight;        /* lambda * 2^-20: what one unit of cost weighs */
    float inverse_step;
    float unused;
    uint64_t symbols;     /* int32_t[rows * L] */
} Job;

/* The best symbol of each of four subsets, quantiser 0 even and odd, quantiser 1 even and odd, and
   for each state which of its two predecessors is better. */
typedef struct {
    int32_t best[4];
    uint32_t second; /* bit s: the second predecessor of state s */
} Step;

static int64_t far_cost(const Table *table, const int64_t *costs, int64_t symbol)
{
    int64_t k = symbol - table->minimum;
    if (k >= 0 && k < (int64_t)table->regular)
        return costs[table->first + k];
    return costs[table->first + table->regular] + (int64_t)VARINT_BYTE * escape_bytes(table, symbol);
}

INLINE float magnitude_of(float v) { return v < 0.0f ? -v : v; }

/* As quantiser.c does it, to the nearest; 0 where there is no symbol. */
INLINE int fixed_symbol(float y, float inverse_step, int32_t *symbol)
{
    float v = y * inverse_step, magnitude = magnitude_of(v) + 0.5f;
    if (!(magnitude < SCALAR_LIMIT))
        return 0;
    *symbol = v < 0.0f ? -(int32_t)magnitude : (int32_t)magnitude;
    return 1;
}

/* In a quantiser's own units, of symbol k: even multiples, or odd ones and zero. */
INLINE int32_t multiple(int32_t k, int32_t q)
{
    return 2 * k - q * ((k > 0) - (k < 0));
}

INLINE double weigh(double a, int32_t point, int64_t cost, double weight)
{
    double d = a - (double)point;
    return d * d + weight * (double)cost;
}

/* Quantiser q's best symbols and what they cost, the even one and the odd one: of each the largest
   point not above |v|, the smallest above it, and zero; the first of equals. */
INLINE void look_around(float v, int32_t q, const Table *table, const int64_t *costs, double weight,
                        int32_t best[2], double least[2])
{
    float magnitude = magnitude_of(v);
    double a = (double)magnitude;
    int32_t m = (int32_t)magnitude, sign = v < 0.0f ? -1 : 1;
    int32_t j = m >> 2 << 1, t = m & 3;
    int64_t around[6]; /* what j - 1 to j + 4 cost */
    int64_t first = (int64_t)sign * (j - 1) - table->minimum;
    int64_t last = (int64_t)sign * (j + 4) - table->minimum, regular = table->regular;
    if (first >= 0 && last >= 0 && first < regular && last < regular) {
        const int64_t *at = costs + table->first + first;
        for (int i = 0; i < 6; i++)
            around[i] = at[sign * i];
    } else {
        for (int i = 0; i < 6; i++)
            around[i] = far_cost(table, costs, (int64_t)sign * (j - 1 + i));
    }
    const int32_t lower[2] = {q && t == 3 ? 2 : 0, t >= 2 - q ? 1 : -1};
    for (int odd = 0; odd < 2; odd++) {
        int32_t k = j + lower[odd];
        double e = weigh(a, multiple(k, q), around[lower[odd] + 1], weight);
        double above = weigh(a, multiple(k + 2, q), around[lower[odd] + 3], weight);
        k = above < e ? k + 2 : k;
        e = above < e ? above : e;
        if (!odd) {
            double zero = weigh(a, 0, far_cost(table, costs, 0), weight);
            k = zero < e ? 0 : k;
            e = zero < e ? zero : e;
        }
        best[odd] = sign * k;
        least[odd] = e;
    }
}

/* Viterbi, row by row, from state 0. before: uint8_t[states * 4], for each state its two
   predecessors, the smaller first, and the subset that leads from each. steps: Step[L], scratch.
   Returns -1, or the first latent that has no symbol. */
EXPORT int64_t rdedge_trellis_quantise(const Job *job, int32_t states, const uint8_t *before,
                                       Step *steps)
{
    const int64_t each = job->index_each;
    const Table *tables = AT(Table, job->tables);
    const int64_t *costs = AT(int64_t, job->costs);
    const uint8_t *kinds = AT(uint8_t, job->kinds);
    for (int64_t row = 0; row < job->rows; row++) {
        const float *y = AT(float, job->y) + row * job->length;
        const uint16_t *index = AT(uint16_t, job->index) + row * job->index_stride;
        int32_t *symbols = (int32_t *)(uintptr_t)job->symbols + row * job->length;
        double paths[STATES_MAX], next[STATES_MAX], least[4];
        for (int32_t s = 0; s < states; s++)
            paths[s] = s ? INFINITY : 0.0;
        for (int64_t i = 0; i < job->length; i++) {
            if (kinds[i] != SCALED) {
                if (!fixed_symbol(y[i], kinds[i] == EXACT ? 1.0f : job->inverse_step, symbols + i))
                    return row * job->length + i;
                continue;
            }
            float v = y[i] * job->inverse_step;
            if (!(magnitude_of(v) < TRELLIS_LIMIT))
                return row * job->length + i;
            for (int32_t q = 0; q < 2; q++)
                look_around(v, q, tables + index[i * each + (q & (each - 1))], costs, job->weight,
                            steps[i].best + 2 * q, least + 2 * q);
            uint32_t second = 0;
            for (int32_t s = 0; s < states; s++) {
                const uint8_t *from = before + 4 * s;
                double one = paths[from[0]] + least[from[2]];
                double two = paths[from[1]] + least[from[3]];
                next[s] = two < one ? two : one;
                second |= (uint32_t)(two < one) << s;
            }
            for (int32_t s = 0; s < states; s++)
                paths[s] = next[s];
            steps[i].second = second;
        }
        int32_t state = 0;
        for (int32_t s = 1; s < states; s++)
            state = paths[s] < paths[state] ? s : state;
        for (int64_t i = job->length - 1; i >= 0; i--) {
            if (kinds[i] != SCALED)
                continue;
            uint32_t which = steps[i].second >> state & 1;
            symbols[i] = steps[i].best[before[4 * state + 2 + (int32_t)which]];
            state = before[4 * state + (int32_t)which];
        }
    }
    return -1;
}

/* Whether a symbol is one that the state machine takes; then the multiple for its state, and the
   state that follows. next: uint8_t[states * 2], by the symbol's parity. */
INLINE int step_on(int32_t k, const uint8_t *next, uint32_t *state, int32_t *times)
{
    if (k > SYMBOL_MAX || k < -SYMBOL_MAX)
        return 0;
    *times = multiple(k, (int32_t)(*state & 1));
    *state = next[2 * *state + ((uint32_t)k & 1)];
    return 1;
}

/* values[i] = float32(multiple) * steps[latent], from state 0 in each row. Returns -1, or the first symbol
   whose multiple is no int32. */
EXPORT int64_t rdedge_trellis_dequantise(const int32_t *symbols, int64_t rows, int64_t length,
                                         const uint8_t *kinds, const uint8_t *next,
                                         const float *steps, float *values)
{
    for (int64_t row = 0; row < rows; row++) {
        uint32_t state = 0;
        for (int64_t i = 0; i < length; i++) {
            int64_t at = row * length + i;
            int32_t times = symbols[at];
            if (kinds[i] == SCALED && !step_on(symbols[at], next, &state, &times))
                return at;
            values[at] = (float)times * steps[i];
        }
    }
    return -1;
}

/* parities[i]: which quantiser codes symbol i; 0 for those that the trellis leaves out. */
EXPORT int64_t rdedge_trellis_parities(const int32_t *symbols, int64_t rows, int64_t length,
                                       const uint8_t *kinds, const uint8_t *next,
                                       uint8_t *parities)
{
    for (int64_t row = 0; row < rows; row++) {
        uint32_t state = 0;
        for (int64_t i = 0; i < length; i++) {
            int64_t at = row * length + i;
            int32_t times;
            parities[at] = kinds[i] == SCALED ? (uint8_t)(state & 1) : 0;
            if (kinds[i] == SCALED && !step_on(symbols[at], next, &state, &times))
                return at;
        }
    }
    return -1;
}
