/* Prediction of symbols from their neighbours (FORMAT.md 4.6), in integers that wrap around at 2^32:
   prediction.py does the same with NumPy. */
#include <stdint.h>

#if defined(__GNUC__)
#define EXPORT __attribute__((visibility("default")))
#elif defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT
#endif

/* The median of left, above and left + above - corner. */
static int32_t guess(int32_t left, int32_t above, int32_t corner)
{
    int64_t plane = (int64_t)left + above - corner;
    int32_t low = left < above ? left : above, high = left < above ? above : left;
    return plane < low ? low : plane > high ? high : (int32_t)plane;
}

/* One latent of an image of height * width rows, each `period` symbols after the one before.
   undo 0: symbols become what is left of them; 1: the other way. */
EXPORT void rdedge_predict(int32_t *symbols, int64_t height, int64_t width, int64_t period,
                           int32_t undo)
{
    int64_t line = width * period;
    for (int64_t n = 0; n < height * width; n++) {
        /* Forwards to undo; backwards to do it, so that neighbours are still as they were. */
        int64_t i = undo ? n : height * width - 1 - n, y = i / width, x = i % width;
        int32_t *s = symbols + i * period;
        int32_t p = 0;
        if (y && x)
            p = guess(s[-period], s[-line], s[-line - period]);
        else if (x)
            p = s[-period];
        else if (y)
            p = s[-line];
        *s = (int32_t)(undo ? (uint32_t)*s + (uint32_t)p : (uint32_t)*s - (uint32_t)p);
    }
}
