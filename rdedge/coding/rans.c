/* The entropy coder of FORMAT.md section 4: rANS (J. Duda, arXiv 1311.2540), 64-bit states, 32-bit
   words, frequencies that add up to 2^16, K interleaved lanes. rans_numpy.py makes the same bytes.

   Dividing by multiplying. The encoder needs q = x div f for x < 2^63 and 1 <= f < 2^16. Let s be the
   least integer with f <= 2^s, and R = ceil(2^(63+s) / f) = (2^(63+s) + e) / f with 0 <= e < f.
   Then R < 2^64 (s = 0: R = 2^63; else f >= 2^(s-1) + 1, so 2^(63+s) / f <= 2^64 / (1 + 2^(1-s))
   <= 2^64 - 2^47), 2x < 2^64, and with x = q f + r

       x R / 2^(63+s) = x / f + x e / (f 2^(63+s)) < q + (r + 1) / f <= q + 1,

   because x e < 2^63 2^s. So q = floor(2x R / 2^64) >> s, exactly: one wide multiplication and a
   shift. */
#include "rans.h"
#include "spread.h"

#include <string.h>

#if defined(__GNUC__)
#define LIKELY(condition) __builtin_expect(!!(condition), 1)
#else
#define LIKELY(condition) (condition)
#endif

#define ABI 10
#define LOWER ((uint64_t)1 << 31)
#define UPPER ((uint64_t)1 << 63)
#define LANES_MAX 4096
#define CHUNK 16 /* symbols decoded between two looks at how many words are left */

/* What decoding can find wrong; rans.py has the same numbers. */
enum { OK, STATE_SHORT, STATE_FORM, WORDS_SHORT, WORDS_LEFT, START_STATE, ESCAPE_SHORT,
       ESCAPE_LEFT, ESCAPE_FORM };

typedef struct {
    uint64_t reciprocal; /* R above */
    uint16_t frequency;
    uint16_t start;
    uint32_t shift; /* s above */
} EncodeEntry;

typedef struct {
    uint16_t frequency;
    uint16_t start;
    int32_t symbol;
} DecodeEntry;

INLINE uint32_t load32(const uint8_t *p)
{
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
#else
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
#endif
}

INLINE void store32(uint8_t *p, uint32_t v)
{
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    memcpy(p, &v, 4);
#else
    p[0] = (uint8_t)v, p[1] = (uint8_t)(v >> 8), p[2] = (uint8_t)(v >> 16), p[3] = (uint8_t)(v >> 24);
#endif
}

INLINE uint64_t high_product(uint64_t a, uint64_t b)
{
#if defined(__SIZEOF_INT128__)
    __extension__ typedef unsigned __int128 uint128;
    return (uint64_t)((uint128)a * b >> 64);
#else
    uint64_t al = (uint32_t)a, ah = a >> 32, bl = (uint32_t)b, bh = b >> 32;
    uint64_t middle = ah * bl + (al * bl >> 32);
    uint64_t other = al * bh + (uint32_t)middle;
    return ah * bh + (middle >> 32) + (other >> 32);
#endif
}

EXPORT int32_t rdedge_abi(void)
{
    return ABI;
}

/* Fills entries for all tables, one after the other. frequencies: all entries of all tables. */
EXPORT void rdedge_rans_prepare_encode(const Table *tables, int64_t count,
                                       const uint16_t *frequencies, EncodeEntry *entries)
{
    for (int64_t t = 0; t < count; t++) {
        uint32_t start = 0;
        for (uint32_t k = 0; k <= tables[t].regular; k++) {
            uint32_t f = frequencies[tables[t].first + k], shift = 0;
            EncodeEntry *entry = entries + tables[t].first + k;
            while (f > (uint32_t)1 << shift)
                shift++;
            /* ceil(2^(63+s) / f) in two digits of base 2^32: the high part is 2^(31+s) <= 2^47. */
            uint64_t high = (uint64_t)1 << (31 + shift);
            uint64_t rest = (high % f << 32) + f - 1;
            entry->reciprocal = (high / f << 32) + rest / f;
            entry->frequency = (uint16_t)f;
            entry->start = (uint16_t)start;
            entry->shift = shift;
            start += f;
        }
    }
}

EXPORT void rdedge_rans_prepare_decode(const Table *tables, int64_t count,
                                       const uint16_t *frequencies, int64_t bucket_bits,
                                       DecodeEntry *entries, DecodeEntry *buckets)
{
    uint32_t width = TOTAL >> bucket_bits;
    for (int64_t t = 0; t < count; t++) {
        uint32_t start = 0, slot = 0;
        for (uint32_t k = 0; k <= tables[t].regular; k++) {
            uint32_t f = frequencies[tables[t].first + k];
            DecodeEntry *entry = entries + tables[t].first + k;
            entry->frequency = (uint16_t)f;
            entry->start = (uint16_t)start;
            entry->symbol = (int32_t)((uint32_t)tables[t].minimum + k);
            start += f;
            for (; slot < start; slot += width)
                *buckets++ = *entry;
        }
    }
}

/* Ways through the loops; constants at every call, so that each way is compiled for itself. */
enum {
    ONE_TABLE = 1, /* index[0] for all */
    ONE_LANE = 2,  /* the state stays in a register; a refill is foreseen better than computed */
    PLENTY = 4     /* at least as many words as symbols are left: refill without a branch */
};

/* One step of the encoder: a word if the state would leave [0, 2^63), without a branch. */
INLINE uint64_t encode_step(uint64_t x, const EncodeEntry *entry, uint8_t **words)
{
    uint64_t f = entry->frequency;
    uint64_t emit = (x >> 47) >= f;
    store32(*words - 4, (uint32_t)x);
    *words -= emit << 2;
    x >>= emit << 5;
    uint64_t q = high_product(x << 1, entry->reciprocal) >> entry->shift;
    return x + entry->start + q * (TOTAL - f);
}

/* Puts the varint of a symbol outside its table before *escapes. */
static void put_escape(int32_t symbol, const Table *table, uint8_t **escapes)
{
    uint64_t value = escape_value(table, symbol);
    uint8_t bytes[5];
    int n = 0;
    for (; value >= 0x80; value >>= 7)
        bytes[n++] = (uint8_t)(value | 0x80);
    bytes[n++] = (uint8_t)value;
    *escapes -= n;
    memcpy(*escapes, bytes, (size_t)n);
}

INLINE const EncodeEntry *find_entry(const EncodeEntry *entries, const Table *table,
                                     int32_t symbol, uint8_t **escapes)
{
    uint32_t k = (uint32_t)symbol - (uint32_t)table->minimum;
    if (!LIKELY(k < table->regular)) {
        k = table->regular;
        put_escape(symbol, table, escapes);
    }
    return entries + table->first + k;
}

INLINE void encode_all(const Model *m, const int32_t *symbols, int64_t n, int64_t mask,
                       uint64_t *states, uint8_t **words, uint8_t **escapes, int how)
{
    const EncodeEntry *entries = AT(EncodeEntry, m->encode);
    const Table *tables = AT(Table, m->tables);
    const uint16_t *index = AT(uint16_t, m->index);
    const Table only = tables[index[0]];
    uint8_t *w = *words;
    uint8_t *e = *escapes;
    uint64_t x = states[0];
    int64_t i = n;
    while (i > 0) {
        /* From i down to the start of the period: no division for the cyclic index. */
        int64_t run = how & ONE_TABLE ? i : (i - 1) % m->period + 1;
        for (int64_t j = run - 1; j >= 0; j--) {
            i--;
            const Table *table = how & ONE_TABLE ? &only : tables + index[j];
            const EncodeEntry *entry = find_entry(entries, table, symbols[i], &e);
            if (how & ONE_LANE && !LIKELY(x >= entry->frequency))
                x = spread((uint32_t)x, from_likeliest(entry->start, table), entry->frequency);
            else if (how & ONE_LANE)
                x = encode_step(x, entry, &w);
            else
                states[i & mask] = encode_step(states[i & mask], entry, &w);
        }
    }
    if (how & ONE_LANE)
        states[0] = x;
    *words = w;
    *escapes = e;
}

/* Codes symbols[n] into out: the stream, so that it ends at out + stream_bytes, and the escapes, so
   that they end 5 n bytes later. Returns where the stream starts, or -1 without room (stream_bytes
   must be at least 2 n + n / 4096 + 8 lanes + 64); escapes_start gets where the escapes start.

   A step multiplies a state by at most (2^16 / f) (1 + 2^-15) once it is at least f 2^15, which it
   is whenever a word was emitted before; so n symbols take at most 16 n + n 2^-14 bits, plus the
   64 bits of each state. */
EXPORT int64_t rdedge_rans_encode(const Model *model, const int32_t *symbols, int64_t n,
                                  int64_t lanes, uint8_t *out, int64_t stream_bytes,
                                  int64_t *escapes_start)
{
    uint64_t states[LANES_MAX];
    uint8_t *w = out + stream_bytes;
    uint8_t *e = w + 5 * n;
    if (stream_bytes < 2 * n + n / 4096 + 8 * lanes + 64 || lanes < 1 || lanes > LANES_MAX)
        return -1;
    for (int64_t k = 0; k < lanes; k++)
        states[k] = lanes == 1 ? 0 : LOWER;
    if (lanes == 1 && model->period == 1)
        encode_all(model, symbols, n, 0, states, &w, &e, ONE_TABLE | ONE_LANE);
    else if (lanes == 1)
        encode_all(model, symbols, n, 0, states, &w, &e, ONE_LANE);
    else if (model->period == 1)
        encode_all(model, symbols, n, lanes - 1, states, &w, &e, ONE_TABLE);
    else
        encode_all(model, symbols, n, lanes - 1, states, &w, &e, 0);
    if (lanes > 1) {
        for (int64_t k = lanes - 1; k >= 0; k--) {
            w -= 8;
            store32(w, (uint32_t)states[k]);
            store32(w + 4, (uint32_t)(states[k] >> 32));
        }
    } else {
        int bytes = w < out + stream_bytes ? 5 : 0;
        while (bytes < 8 && states[0] >> (8 * bytes))
            bytes++;
        for (int k = bytes - 1; k >= 0; k--)
            *--w = (uint8_t)(states[0] >> (8 * k));
    }
    *escapes_start = e - out;
    return w - out;
}

/* Reads the value of an escaped symbol. Returns OK or what is wrong. */
static int get_escape(const Table *table, const uint8_t **escapes, const uint8_t *end,
                      int32_t *symbol)
{
    const uint8_t *p = *escapes;
    uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
        if (p == end)
            return ESCAPE_SHORT;
        value |= (uint64_t)(*p & 0x7F) << shift;
        if (*p++ < 0x80)
            break;
        if (shift == 28)
            return ESCAPE_FORM;
    }
    if (p[-1] == 0 && p - *escapes > 1)
        return ESCAPE_FORM;
    int64_t away = (int64_t)(value >> 1);
    int64_t wide = value & 1 ? (int64_t)table->minimum - 1 - away
                             : (int64_t)table->minimum + table->regular + away;
    if (wide < INT32_MIN || wide > INT32_MAX)
        return ESCAPE_FORM;
    *symbol = (int32_t)wide;
    *escapes = p;
    return OK;
}

typedef struct {
    const uint8_t *word, *words_end;
    const uint8_t *escape, *escapes_end;
    int escape_fault; /* the first; decoding goes on, since a fault of the states comes before it */
} Input;

/* The entry after a bucket's own that holds the slot. */
static const DecodeEntry *later_entry(const DecodeEntry *entries, const Table *table,
                                      const DecodeEntry *bucket, uint32_t slot)
{
    const DecodeEntry *entry =
        entries + table->first + ((uint32_t)bucket->symbol - (uint32_t)table->minimum);
    do
        entry++;
    while (slot - entry->start >= entry->frequency);
    return entry;
}

/* n symbols, the first with index[j], lane i & mask and place i of symbols. */
INLINE void decode_run(const Model *m, int32_t *symbols, int64_t i, int64_t j, int64_t n,
                       int64_t mask, uint64_t *states, Input *in, int how)
{
    const DecodeEntry *entries = AT(DecodeEntry, m->decode);
    const DecodeEntry *buckets = AT(DecodeEntry, m->buckets);
    const Table *tables = AT(Table, m->tables);
    const uint16_t *index = AT(uint16_t, m->index);
    const int bits = (int)m->bucket_bits;
    const uint8_t *w = in->word;
    uint64_t x = states[0];
    for (int64_t k = 0; k < n; k++, i++) {
        uint32_t t = index[how & ONE_TABLE ? 0 : j + k];
        if (!(how & ONE_LANE))
            x = states[i & mask];
        const int spread_out = how & ONE_LANE && !LIKELY(x >= TOTAL);
        uint32_t slot = (uint32_t)x & (TOTAL - 1);
        if (spread_out)
            slot = (mirrored(slot) + tables[t].likeliest) & (TOTAL - 1);
        const DecodeEntry *entry =
            buckets + ((uint64_t)t << bits) + (slot >> (PRECISION - bits));
        if (!LIKELY(slot - entry->start < entry->frequency))
            entry = later_entry(entries, tables + t, entry, slot);
        if (spread_out)
            x = gather((uint32_t)x, from_likeliest(entry->start, tables + t), entry->frequency);
        else
            x = entry->frequency * (x >> PRECISION) + (slot - entry->start);
        if (how & PLENTY) {
            uint64_t refill = x < LOWER;
            x = x << (refill << 5) | (load32(w) & (0 - refill));
            w += refill << 2;
        } else if (x < LOWER && w < in->words_end) {
            x = x << 32 | load32(w);
            w += 4;
        }
        if (!(how & ONE_LANE))
            states[i & mask] = x;
        symbols[i] = entry->symbol;
        if (!LIKELY((uint16_t)(entry->start + entry->frequency) != 0) && !in->escape_fault)
            in->escape_fault =
                get_escape(tables + t, &in->escape, in->escapes_end, symbols + i);
    }
    if (how & ONE_LANE)
        states[0] = x;
    in->word = w;
}

/* Symbols begin to end of the stream; the first of them with index[0]. */
INLINE void decode_all(const Model *m, int32_t *symbols, int64_t begin, int64_t end, int64_t lanes,
                       uint64_t *states, Input *in, int how)
{
    int64_t i = begin, j = 0;
    while (i < end) {
        int64_t run = end - i;
        int64_t words = (in->words_end - in->word) >> 2;
        if (!(how & ONE_TABLE) && run > m->period - j)
            run = m->period - j;
        if (how & ONE_LANE) {
            decode_run(m, symbols, i, j, run, 0, states, in, how);
        } else if (words >= CHUNK) {
            if (run > words)
                run = words;
            decode_run(m, symbols, i, j, run, lanes - 1, states, in, how | PLENTY);
        } else {
            if (run > CHUNK && words)
                run = CHUNK;
            decode_run(m, symbols, i, j, run, lanes - 1, states, in, how);
        }
        i += run;
        j += run;
        if (j == m->period || how & ONE_TABLE)
            j = 0;
    }
}

/* A stream that is being decoded: what codes the next symbols may follow from those before. */
struct Decoding {
    uint64_t states[LANES_MAX];
    Input in;
    int64_t lanes;
    int64_t done; /* symbols so far */
};

EXPORT int64_t rdedge_rans_decoding_bytes(void)
{
    return (int64_t)sizeof(Decoding);
}

/* Starts on the stream data[bytes] and its escapes. Returns OK or what is wrong. */
EXPORT int32_t rdedge_rans_decode_start(Decoding *d, const uint8_t *data, int64_t bytes,
                                        const uint8_t *escapes, int64_t escape_bytes,
                                        int64_t lanes)
{
    int64_t head = 8 * lanes;
    if (lanes == 1)
        head = bytes <= 8 ? bytes : 5 + ((bytes - 5) & 3);
    if (lanes < 1 || lanes > LANES_MAX || bytes < head)
        return STATE_SHORT;
    if ((bytes - head) & 3)
        return WORDS_SHORT;
    if (lanes == 1) {
        uint64_t x = 0;
        for (int64_t k = head - 1; k >= 0; k--)
            x = x << 8 | data[k];
        d->states[0] = x;
        if (head && !data[head - 1] && !(head == 5 && bytes > 8))
            return STATE_FORM;
        if (x >= UPPER || (bytes > 8 && x < LOWER))
            return STATE_FORM;
    } else {
        for (int64_t k = 0; k < lanes; k++) {
            d->states[k] = load32(data + 8 * k) | (uint64_t)load32(data + 8 * k + 4) << 32;
            if (d->states[k] < LOWER || d->states[k] >= UPPER)
                return STATE_FORM;
        }
    }
    d->in = (Input){data + head, data + bytes, escapes, escapes + escape_bytes, OK};
    d->lanes = lanes;
    d->done = 0;
    return OK;
}

EXPORT void rdedge_rans_decode_some(Decoding *d, const Model *model, int64_t n, int32_t *symbols)
{
    int64_t begin = d->done, end = begin + n;
    Input in = d->in; /* a copy, so that its fields can stay in registers */
    symbols -= begin;
    if (d->lanes == 1 && model->period == 1)
        decode_all(model, symbols, begin, end, 1, d->states, &in, ONE_TABLE | ONE_LANE);
    else if (d->lanes == 1)
        decode_all(model, symbols, begin, end, 1, d->states, &in, ONE_LANE);
    else if (model->period == 1)
        decode_all(model, symbols, begin, end, d->lanes, d->states, &in, ONE_TABLE);
    else
        decode_all(model, symbols, begin, end, d->lanes, d->states, &in, 0);
    d->in = in;
    d->done = end;
}

/* Whether the stream ends where the symbols do. Returns OK or what is wrong. */
EXPORT int32_t rdedge_rans_decode_end(const Decoding *d)
{
    if (d->in.word != d->in.words_end)
        return WORDS_LEFT;
    for (int64_t k = 0; k < d->lanes; k++)
        if (d->states[k] != (d->lanes == 1 ? 0 : LOWER))
            return START_STATE;
    if (d->in.escape_fault)
        return d->in.escape_fault;
    if (d->in.escape != d->in.escapes_end)
        return ESCAPE_LEFT;
    return OK;
}

/* Decodes n symbols, all that the stream holds. Returns OK or what is wrong. */
EXPORT int32_t rdedge_rans_decode(const Model *model, const uint8_t *data, int64_t bytes,
                                  const uint8_t *escapes, int64_t escape_bytes, int64_t n,
                                  int64_t lanes, int32_t *symbols)
{
    Decoding d;
    int32_t fault = rdedge_rans_decode_start(&d, data, bytes, escapes, escape_bytes, lanes);
    if (fault)
        return fault;
    rdedge_rans_decode_some(&d, model, n, symbols);
    return rdedge_rans_decode_end(&d);
}
