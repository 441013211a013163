/* The states of one lane below 2^16, for rans.c (FORMAT.md 4.2); spread.py does the same. */
#ifndef RDEDGE_SPREAD_H
#define RDEDGE_SPREAD_H
#include "rans.h"

#define PRECISION 16
#define TOTAL 65536u

/* How many of low to high - 1 are `first` and a multiple of 2^bits, first below 2^bits, high at most
   TOTAL. */
INLINE uint32_t within(uint32_t low, uint32_t high, uint32_t first, int bits)
{
    uint32_t up = (1u << bits) - 1 - first;
    return ((high + up) >> bits) - ((low + up) >> bits);
}

/* The states under TOTAL of one lane. Where an entry takes the slots c to c + f - 1 as they are, a
   state of 0 becomes c, though its symbol is worth log2(TOTAL / f) bits. So there its slots are
   spread: those y whose 16 bits, the other way round and less the place of the likeliest entry, are
   among low to low + f - 1. This is the one of them that has x smaller ones, x below f. */
static uint32_t spread(uint32_t x, uint32_t low, uint32_t f)
{
    uint32_t y = 0, first = 0;
    for (int bit = PRECISION - 1; bit >= 0; bit--) {
        uint32_t n = within(low, low + f, first, PRECISION - bit);
        if (x >= n) {
            x -= n;
            y |= 1u << bit;
            first += 1u << (PRECISION - 1 - bit);
        }
    }
    return y;
}

/* The other way: how many smaller ones y has. */
static uint32_t gather(uint32_t y, uint32_t low, uint32_t f)
{
    uint32_t x = 0, first = 0;
    for (int bit = PRECISION - 1; bit >= 0; bit--)
        if (y >> bit & 1) {
            x += within(low, low + f, first, PRECISION - bit);
            first += 1u << (PRECISION - 1 - bit);
        }
    return x;
}

/* 16 bits the other way round. */
static uint32_t mirrored(uint32_t y)
{
    y = (y & 0x5555u) << 1 | (y >> 1 & 0x5555u);
    y = (y & 0x3333u) << 2 | (y >> 2 & 0x3333u);
    y = (y & 0x0F0Fu) << 4 | (y >> 4 & 0x0F0Fu);
    return (y & 0x00FFu) << 8 | y >> 8;
}

INLINE uint32_t from_likeliest(uint32_t start, const Table *table)
{
    return (start - table->likeliest) & (TOTAL - 1);
}

#endif
