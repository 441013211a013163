/* Values that repeat themselves (FORMAT.md 4.11): which tables code a symbol, by what stood before it;
   the same integers as in counts_numpy.py. */
#include "rans.h"

#define REACH 512
#define ORDERS 4
#define ENTRIES_MAX 63
#define PREDICTORS_MAX 14
#define LEVELS 256
#define OUTSIDE LEVELS
#define TOTAL 65536
#define HIT 52428
#define MISS 13107
#define KEPT 63488
#define BACK 2048

static const uint32_t BEFORE[ORDERS] = {48, 16, 10, 8};

typedef struct {
    uint64_t frequencies; /* uint16_t[C * (n + 2) * (n + 1)], less 1 */
    uint64_t lags;        /* int32_t[lag_count] */
    uint64_t priors;      /* uint32_t[predictors] */
    int64_t symbols, minimum, channels, lag_count;
} Counts;

/* A channel on its way through a packet. */
typedef struct {
    uint64_t entries; /* uint8_t[room]: those that came */
    int64_t known;
    uint64_t weights[PREDICTORS_MAX];
} Channel;

typedef struct {
    uint32_t predicted[PREDICTORS_MAX][ENTRIES_MAX];
    uint32_t likely[ENTRIES_MAX];
    uint64_t rest; /* of those that were not asked for yet */
} Next;

static void predict(const Counts *c, const Channel *channel, int64_t which, Next *next)
{
    const int64_t size = c->symbols + 1, t = channel->known, count = 2 + ORDERS + c->lag_count;
    const uint16_t *rows = AT(uint16_t, c->frequencies) + which * (size + 1) * size;
    const uint8_t *entries = AT(uint8_t, channel->entries);
    uint32_t seen[ORDERS][ENTRIES_MAX] = {{0}}, total[ORDERS] = {0};
    for (int64_t i = 0; i < size; i++) {
        next->predicted[0][i] = (uint32_t)rows[i] + 1;
        next->predicted[1][i] = (uint32_t)rows[(t ? (1 + entries[t - 1]) * size : 0) + i] + 1;
    }
    for (int64_t j = t > REACH ? t - REACH : 0; j < t; j++)
        for (int64_t order = 0; order < ORDERS; order++) {
            if (order && (j < order || entries[j - order] != entries[t - order]))
                break;
            seen[order][entries[j]]++;
            total[order]++;
        }
    for (int64_t order = 0; order < ORDERS; order++) {
        const uint32_t *base = next->predicted[order ? 1 + order : 0];
        const uint32_t under = (total[order] << 4) + BEFORE[order];
        for (int64_t i = 0; i < size; i++)
            next->predicted[2 + order][i] =
                (uint32_t)((((uint64_t)seen[order][i] << 20) + (uint64_t)BEFORE[order] * base[i]) / under);
    }
    for (int64_t k = 0; k < c->lag_count; k++) {
        const int64_t lag = AT(int32_t, c->lags)[k];
        uint32_t *to = next->predicted[2 + ORDERS + k];
        for (int64_t i = 0; i < size; i++)
            to[i] = t >= lag ? next->predicted[2][i] * MISS >> 16 : next->predicted[1 + ORDERS][i];
        if (t >= lag)
            to[entries[t - lag]] += HIT;
    }
    next->rest = 0;
    for (int64_t i = 0; i < size; i++) {
        uint64_t sum = 0;
        for (int64_t e = 0; e < count; e++)
            sum += channel->weights[e] * next->predicted[e][i];
        next->likely[i] = (uint32_t)(sum >> 16) + 1;
        next->rest += next->likely[i];
    }
}

/* The likeliest entry that was not asked for yet, and the table of whether it is that. */
static int64_t ask(Next *next, int64_t size, uint16_t *table)
{
    int64_t best = 0;
    for (int64_t i = 1; i < size; i++)
        if (next->likely[i] > next->likely[best])
            best = i;
    const uint64_t yes_exactly = ((uint64_t)next->likely[best] << 16) / next->rest;
    const uint32_t yes = yes_exactly < 1 ? 1 : yes_exactly > TOTAL - 1 ? TOTAL - 1 : (uint32_t)yes_exactly;
    const uint32_t rare = yes <= TOTAL / 2 ? yes : TOTAL - yes;
    int32_t octave = 0;
    while (rare >> (octave + 1))
        octave++;
    const uint32_t level = 8 * (uint32_t)octave + ((rare << 3 >> octave) & 7);
    *table = (uint16_t)(2 * yes <= TOTAL ? level : LEVELS - 1 - level);
    next->rest -= next->likely[best];
    next->likely[best] = 0;
    return best;
}

static void learn(const Counts *c, Channel *channel, const Next *next, int64_t entry)
{
    const int64_t count = 2 + ORDERS + c->lag_count;
    uint64_t did[PREDICTORS_MAX], sum = 0;
    for (int64_t e = 0; e < count; e++)
        sum += did[e] = channel->weights[e] * next->predicted[e][entry];
    for (int64_t e = 0; e < count; e++)
        channel->weights[e] = did[e] * KEPT / sum + ((uint64_t)AT(uint32_t, c->priors)[e] * BACK >> 16);
    ((uint8_t *)(uintptr_t)channel->entries)[channel->known++] = (uint8_t)entry;
}

/* One sample's symbols, int32_t[C * times], to decisions and the table of each; taken: how many each
   symbol takes. Room for (n + 1) of each symbol. Returns how many there are. */
EXPORT int64_t rdedge_counts_tables(const Counts *c, Channel *channels, int64_t times,
                                    const int32_t *symbols, int32_t *decisions, uint16_t *index,
                                    int32_t *taken)
{
    const int64_t n = c->symbols;
    int64_t done = 0;
    Next next;
    for (int64_t which = 0; which < c->channels; which++)
        for (int64_t t = 0; t < times; t++) {
            const int64_t value = *symbols++ - c->minimum;
            const int64_t entry = value >= 0 && value < n ? value : n, start = done;
            predict(c, channels + which, which, &next);
            for (int64_t place = 0; place < n; place++) {
                const int64_t asked = ask(&next, n + 1, index + done);
                decisions[done++] = asked == entry;
                if (asked == entry)
                    break;
            }
            if (entry == n) {
                index[done] = OUTSIDE;
                decisions[done++] = (int32_t)(uint32_t)(uint64_t)value;
            }
            *taken++ = (int32_t)(done - start);
            learn(c, channels + which, &next, entry);
        }
    return done;
}

/* The symbols of all samples, int32_t[samples * C * times], from a stream that was started on. */
EXPORT void rdedge_counts_decode(const Counts *c, Channel *channels, int64_t samples, int64_t times,
                                 Decoding *decoding, const Model *model, int32_t *symbols)
{
    const int64_t n = c->symbols;
    uint16_t table;
    int32_t answer;
    Next next;
    Model chosen = *model;
    chosen.index = (uint64_t)(uintptr_t)&table;
    chosen.period = 1;
    for (int64_t s = 0; s < samples; s++)
        for (int64_t which = 0; which < c->channels; which++)
            for (int64_t t = 0; t < times; t++) {
                int64_t entry = 0, left = (n + 1) * n / 2;
                predict(c, channels + which, which, &next);
                for (int64_t place = 0;; place++) {
                    if (place == n) {
                        entry = left;
                        break;
                    }
                    entry = ask(&next, n + 1, &table);
                    rdedge_rans_decode_some(decoding, &chosen, 1, &answer);
                    if (answer == 1)
                        break;
                    left -= entry;
                }
                int64_t value = entry;
                if (entry == n) {
                    table = OUTSIDE;
                    rdedge_rans_decode_some(decoding, &chosen, 1, &answer);
                    value = answer;
                }
                learn(c, channels + which, &next, entry);
                *symbols++ = (int32_t)(uint32_t)(uint64_t)(value + c->minimum);
            }
}
