/* CRC-32C (Castagnoli, RFC 3720 appendix B.4), reflected polynomial 0x82F63B78, eight bytes a step:
   M. E. Kounavis, F. L. Berry, "A Systematic Approach to Building High Performance Software-Based
   CRC Generators", 2005. Where the processor is known at run time to have the instruction (x86-64
   with SSE 4.2), it is used: the result is the same by definition. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__GNUC__)
#define EXPORT __attribute__((visibility("default")))
#elif defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT
#endif

#define POLYNOMIAL 0x82F63B78u

/* tables: 8 x 256, made by rdedge_crc32c_prepare: no state of our own, so no race at first use.
   tables[k][b] is the CRC register after byte b and k zero bytes. */
EXPORT void rdedge_crc32c_prepare(uint32_t *tables)
{
    for (uint32_t b = 0; b < 256; b++) {
        uint32_t r = b;
        for (int bit = 0; bit < 8; bit++)
            r = (r >> 1) ^ (POLYNOMIAL & (0u - (r & 1u)));
        tables[b] = r;
    }
    for (uint32_t b = 0; b < 256; b++)
        for (int k = 1; k < 8; k++) {
            uint32_t r = tables[(k - 1) * 256 + b];
            tables[k * 256 + b] = (r >> 8) ^ tables[r & 0xFF];
        }
}

static uint32_t by_tables(const uint32_t *t, uint32_t r, const uint8_t *p, size_t n)
{
    for (; n >= 8; n -= 8, p += 8) {
        uint32_t a = r ^ ((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16
                          | (uint32_t)p[3] << 24);
        r = t[7 * 256 + (a & 0xFF)] ^ t[6 * 256 + (a >> 8 & 0xFF)] ^ t[5 * 256 + (a >> 16 & 0xFF)]
            ^ t[4 * 256 + (a >> 24)] ^ t[3 * 256 + p[4]] ^ t[2 * 256 + p[5]] ^ t[256 + p[6]]
            ^ t[p[7]];
    }
    for (; n; n--, p++)
        r = (r >> 8) ^ t[(r ^ *p) & 0xFF];
    return r;
}

#if defined(__GNUC__) && defined(__x86_64__)
#if defined(__clang__)
__attribute__((target("sse4.2,crc32")))
#else
__attribute__((target("sse4.2")))
#endif
static uint32_t by_instruction(uint32_t r, const uint8_t *p, size_t n)
{
    uint64_t wide = r;
    for (; n >= 8; n -= 8, p += 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        wide = __builtin_ia32_crc32di(wide, word);
    }
    r = (uint32_t)wide;
    for (; n; n--, p++)
        r = __builtin_ia32_crc32qi(r, *p);
    return r;
}
#endif

EXPORT uint32_t rdedge_crc32c_by_tables(const uint32_t *tables, const uint8_t *data, int64_t n)
{
    return ~by_tables(tables, 0xFFFFFFFFu, data, (size_t)n);
}

EXPORT uint32_t rdedge_crc32c(const uint32_t *tables, const uint8_t *data, int64_t n)
{
#if defined(__GNUC__) && defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2"))
        return ~by_instruction(0xFFFFFFFFu, data, (size_t)n);
#endif
    return rdedge_crc32c_by_tables(tables, data, n);
}
