/* Shared by all kernels. No header of a C library is needed, so any compiler will do. */

#include <stdint.h>

/* Increase this, and ABI in library.py, when the signature or the result of a function changes. */
#define ABI 15

#define INLINE 12 /* longest text, in bytes, that is stored in its view */

/* A text as Arrow lays it out (columnar format, "Variable-size Binary View Layout"), little-endian. */
typedef struct {
    uint32_t size;
    uint32_t head;         /* the first four bytes */
    uint32_t buffer, from; /* place of a longer text; in a short one, its bytes 5 to 12 */
} view;

static inline uint64_t word(const uint8_t *p) {
    uint64_t w;
    __builtin_memcpy(&w, p, 8);
    return w;
}

/* The bytes of a text, which are in the view itself up to INLINE bytes. */
static inline const uint8_t *bytes_of(const view *text, const uint8_t *const *buffers) {
    return text->size <= INLINE ? (const uint8_t *)&text->head : buffers[text->buffer] + text->from;
}

/* A column of texts: views into buffers, and a bitmap of the rows that are not null, with the offset of its first bit;
   NULL if no row is null. */
typedef struct {
    const view *views;
    const uint8_t *const *buffers;
    const uint8_t *valid;
    int64_t offset, rows;
} column;

static inline int is_null(const column *in, int64_t row) {
    int64_t bit = in->offset + row;
    return in->valid && !(in->valid[bit >> 3] >> (bit & 7) & 1);
}

/* Whether a row has no value: null, "-" or "". */
static inline int is_missing(const column *in, int64_t row) {
    const view *text = in->views + row;
    return is_null(in, row) || !text->size || (text->size == 1 && (uint8_t)text->head == '-');
}

static inline int same(const uint8_t *a, const uint8_t *b, int64_t size) {
    if (size >= 8) {
        for (int64_t at = 0; at + 8 < size; at += 8)
            if (word(a + at) != word(b + at))
                return 0;
        return word(a + size - 8) == word(b + size - 8);
    }
    while (size-- > 0)
        if (*a++ != *b++)
            return 0;
    return 1;
}

/* A hash of two words, in which every bit of both affects the low bits as well. */
static inline uint64_t mixed(uint64_t a, uint64_t b) {
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Sixteen bytes at once. */
typedef uint8_t sixteen __attribute__((vector_size(16)));

static inline sixteen load(const uint8_t *p) {
    sixteen bytes;
    __builtin_memcpy(&bytes, p, 16);
    return bytes;
}

static inline sixteen all(uint8_t byte) { return (sixteen){0} + byte; }

/* Which of sixteen comparisons came out true, the first one lowest. */
static inline uint32_t bits(sixteen hits) {
#ifdef __SSE2__
    return (uint32_t)__builtin_ia32_pmovmskb128((char __attribute__((vector_size(16))))hits);
#else
    const uint64_t each = 0x8040201008040201, sum = 0x0101010101010101;
    uint64_t halves[2];
    __builtin_memcpy(halves, &hits, 16);
    return (uint32_t)((halves[0] & each) * sum >> 56 | ((halves[1] & each) * sum >> 56) << 8);
#endif
}

/* The text that begins at a place of buffer `buffer`, whose bytes begin at `bytes`. */
static inline view view_of(const uint8_t *bytes, uint32_t buffer, uint32_t from, uint32_t size) {
    view to = {size, 0, 0, 0};
    if (size > INLINE) {
        __builtin_memcpy(&to.head, bytes + from, 4);
        to.buffer = buffer;
        to.from = from;
    } else {
        uint8_t held[INLINE] = {0};
        for (uint32_t i = 0; i < size; i++)
            held[i] = bytes[from + i];
        __builtin_memcpy(&to.head, held, INLINE);
    }
    return to;
}

/* A step of a program (`lines.c`). */
typedef struct {
    int32_t code;
    int32_t column;          /* of the variable, or -1 if it is dropped */
    int32_t literal, size;   /* in the literals */
    int32_t never, nevers;   /* in the literals, too: bytes that the variable must not contain */
    int32_t least;           /* the least length of the variable */
} step;

int64_t cut(const uint8_t *bytes, int64_t size, const int64_t *starts, const int64_t *ends, int64_t rows, const step *steps,
            int64_t count, const uint8_t *literals, view *const *columns, uint32_t *lines);

/* What the functions for columns do with one text, for those that do several things with it. Each is described where it
   is defined. They are not visible outside of the library. */
#define SHARED __attribute__((visibility("hidden")))
enum { UNCERTAIN, VALUE, MISSING }; /* state of a number; MISSING is null, "-" or "" */
SHARED int read_time(const uint8_t *at, const uint8_t *end, const uint8_t *form, const uint8_t *form_end, int64_t *micros);
SHARED uint8_t integer_of(const column *in, int64_t row, int64_t least, int64_t most, int64_t *value);
SHARED uint8_t duration_of(const column *in, int64_t row, int64_t power, int64_t most, int64_t *value);
SHARED int fits(const view *text, const uint8_t *bytes, const uint8_t *table, int64_t kind);
SHARED int split_request(const uint8_t *bytes, uint32_t size, uint32_t *method, uint32_t *tail);
SHARED int path_of(const uint8_t *target, uint32_t size, uint32_t *path);
SHARED int64_t template_of(const uint8_t *path, int64_t size, uint8_t *to);
SHARED void registers_of(const uint8_t *const *texts, const uint32_t *sizes, int64_t count, uint32_t *to);
