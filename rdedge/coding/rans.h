/* What other files use of the entropy coder in rans.c. */
#ifndef RDEDGE_RANS_H
#define RDEDGE_RANS_H
#include <stdint.h>

#if defined(__GNUC__)
#define EXPORT __attribute__((visibility("default")))
#define INLINE static inline __attribute__((always_inline))
#else
#define INLINE static inline
#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT
#endif
#endif

#define AT(type, address) ((const type *)(uintptr_t)(address))

typedef struct {
    int32_t minimum;
    uint32_t regular; /* entries other than the escape, which is the last */
    uint32_t first;   /* of this table's entries among all */
    uint32_t likeliest; /* the sum of the frequencies before the first entry of the largest one */
} Table;

/* What the escapes stream holds for a symbol outside its table (FORMAT.md 4.3). */
INLINE uint64_t escape_value(const Table *table, int64_t symbol)
{
    int64_t above = symbol - ((int64_t)table->minimum + table->regular);
    return above >= 0 ? 2 * (uint64_t)above
                      : 2 * (uint64_t)((int64_t)table->minimum - 1 - symbol) + 1;
}

/* How many bytes it takes there. */
INLINE int32_t escape_bytes(const Table *table, int64_t symbol)
{
    int32_t bytes = 1;
    for (uint64_t value = escape_value(table, symbol); value >= 0x80; value >>= 7)
        bytes++;
    return bytes;
}

/* Addresses are 64 bits on every machine, so that Python can fill this in without a compiler. */
typedef struct {
    uint64_t encode;  /* EncodeEntry[all entries] */
    uint64_t decode;  /* DecodeEntry[all entries] */
    uint64_t tables;  /* Table[T] */
    uint64_t buckets; /* DecodeEntry[T << bucket_bits]: the entry that holds a bucket's first slot */
    uint64_t index;   /* uint16_t[period] */
    int64_t period;
    int64_t bucket_bits;
} Model;

typedef struct Decoding Decoding;

/* The next n symbols, with the model's index from its start, to symbols[0] on. */
EXPORT void rdedge_rans_decode_some(Decoding *d, const Model *model, int64_t n, int32_t *symbols);

#endif
