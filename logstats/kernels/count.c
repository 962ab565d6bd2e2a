/* Counts requests: from lines, or from the texts of their fields, to the tables of a report, without a row of anything in
   between.

   A request is counted if each of its values is certain, in the sense of the functions that read columns of them. Any
   other is left to its caller, and nothing of it is counted. All memory is the caller's, who has checked that it is as
   large as is said at each pointer. Lines, minutes and keys are counted from 0 within one call, unless it is said
   otherwise. */

#include "intern.h"

enum { TIME, REQUEST, METHOD, TARGET, STATUS, SIZE, USER, CLIENT, ROLES }; /* what the columns are */
enum { LEFT, COUNTED, WAITING };                                           /* states of a row */

#define CLASSES 10            /* of statuses; 0 is a request without one */
#define MOST 0x10000000000    /* greatest size, so that no sum overflows */
#define ROOM 1024             /* bytes of a key, at most, for which there is room */
#define TOGETHER 32           /* requests whose memory is prefetched together */
#define BUCKET_BITS 11        /* of a place among the buckets */
#define KNOWN_BITS 18         /* of a place among the known users */
#define LONGEST_USER 27       /* bytes of a user that is remembered */
#define REQUEST_BITS 14       /* of a place among the known request lines */
#define LONGEST_REQUEST 59    /* bytes of a request line that is remembered */
#define BLOCK 256             /* lines that are cut at once: their fields are still near when they are counted */
#define CELL_BITS 6           /* the first bits of a duration, by which its bucket is found */

/* A user that was hashed before. */
typedef struct {
    uint32_t found; /* register << 6 | rank, or 0 */
    uint8_t size, text[LONGEST_USER];
} user;

/* A request line that was named before. */
typedef struct {
    uint32_t name; /* its number among the names, or 0 */
    uint8_t size, text[LONGEST_REQUEST];
} request_line;

/* The requests of one key and class of status. */
typedef struct {
    int64_t key, status_class, requests, bytes, timed, ns, ns_min, ns_max;
} key_cell;

/* The requests of one minute and class of status. */
typedef struct {
    int64_t minute, status_class, requests, bytes;
} minute_cell;

typedef struct {
    /* The rows: a column for each role (NULL if the lines have none), which rows may be counted (NULL: all), the line of
       each row. */
    const column *columns[ROLES];
    const uint8_t *fit;
    const uint32_t *lines;
    int64_t rows;
    /* Durations, of which a row has at most one; as in `duration_of`, the unit of each; and which looks it may have, NULL
       for any: a table of 16 times the digits before a point plus those behind it, and of no value in its first place. The
       longest one has so many nanoseconds that those of all rows together fit into 64 bits. */
    const column *const *durations;
    const int64_t *powers;
    const uint8_t *const *looks;
    int64_t duration_count, longest;
    /* Columns whose texts must have a form: as in `fits`, its table and its kind. */
    const column *const *shaped;
    const uint8_t *const *tables;
    const int64_t *kinds;
    int64_t shaped_count;
    /* As in `read_time`; and the first time and the last that there are, in microseconds since 1970. */
    const uint8_t *form;
    int64_t form_size, earliest, latest;
    /* Buckets of durations: the greatest duration of each in nanoseconds, in order; and the first bucket that a duration
       with these first bits may be in. */
    const int64_t *bounds;
    const uint16_t *cells;
    /* What C is not certain about, by number: `METHOD path`, or 0 and a whole request line; the names of the first
       `decided` of them, as texts of some buffers; their numbers among `names`, 0 if that is not known. `templates` says
       whether `template_of` may decide about paths. */
    table *targets;
    const view *decisions;
    const uint8_t *const *buffers;
    uint32_t *target_names;
    int64_t decided, templates;
    int64_t events; /* whether a line without a request, or without a status, may be something else */
    /* Users that were hashed before, 2^KNOWN_BITS, and request lines that were named, 2^REQUEST_BITS, all initially zero;
       and a random number. */
    user *users;
    request_line *request_lines;
    uint64_t seed;
    /* Names, `METHOD endpoint` (or ` endpoint` without a method), by number; and for each, up to their limit, the number
       of its key plus one, initially zero. */
    table *names;
    uint32_t *name_keys;
    /* Keys, which are the names that occur in this call. For each, up to as many as rows: its name, the line of its first
       request, and CLASSES numbers of its cells, plus one. `text` has TOGETHER * ROOM bytes. */
    uint32_t *key_names, *key_first, *key_cells;
    uint8_t *text;
    /* Minutes since 1970, at most one for each row: the same. `slots` are zeros, a power of two of at least twice the
       number of rows. */
    int64_t *minutes;
    uint32_t *minute_first, *minute_cells, *slots;
    uint64_t slot_mask;
    /* What was found, each with room for all rows. A code is the number of a key or minute, shifted by BUCKET_BITS, plus
       the place of a bucket (0: exactly 0 ms); that of a user is the number of a minute, shifted by 20, plus register <<
       6 | rank. `statuses` has room for 1000. */
    uint8_t *states;
    key_cell *by_key;
    minute_cell *by_minute;
    uint64_t *key_codes, *minute_codes, *user_codes;
    int64_t *statuses;
    int64_t counted, key_count, key_cell_count, minute_cell_count, minute_count, timed, user_count, first, last;
} requests;

/* What is known of one request. */
typedef struct {
    int64_t row, time, status, size, ns, bucket; /* the bucket is negative without a duration */
    const column *user;                          /* NULL if it has none */
    user *users;                                 /* where it would be remembered, */
    request_line *lines;                         /* and its request line; NULL if that is not to be */
    view text;                                   /* as in `targets`, or its name if it `is_name`; in `text` */
    uint64_t hash;
    uint32_t name, key, minute; /* the name is 0 if it is not known yet */
    int is_name;
} request;

/* The bucket of a duration. */
static int64_t bucket_of(const requests *in, int64_t ns) {
    if (!ns)
        return 0;
    double value = (double)ns;
    uint64_t pattern = word((const uint8_t *)&value);
    int64_t at = in->cells[(pattern >> (52 - CELL_BITS)) - (1023ull << CELL_BITS)];
    while (ns > in->bounds[at])
        at++;
    return at + 1;
}

/* How a number looks: 16 times its digits before a point plus those behind it; 0 if it is not one of up to 15 digits. */
static int look_of(const column *in, int64_t row) {
    const view *text = in->views + row;
    const uint8_t *bytes = bytes_of(text, in->buffers);
    int digits[2] = {0, 0}, behind = 0;
    for (uint32_t i = 0; i < text->size; i++) {
        if ((uint8_t)(bytes[i] - '0') < 10)
            digits[behind]++;
        else if (bytes[i] != '.' || behind++)
            return 0;
    }
    return digits[0] < 16 && digits[1] < 16 ? 16 * digits[0] + digits[1] : 0;
}

/* Read the duration. Returns 0 if it is not certain. */
static int read_duration(const requests *in, int64_t row, request *to) {
    to->bucket = -1;
    to->ns = 0;
    for (int64_t i = 0; i < in->duration_count; i++) {
        int64_t value;
        uint8_t state = duration_of(in->durations[i], row, in->powers[i], in->longest, &value);
        if (state == UNCERTAIN || (state == VALUE && to->bucket >= 0))
            return 0;
        int look = in->looks[i] && state == VALUE ? look_of(in->durations[i], row) : 0;
        if (in->looks[i] && ((state == VALUE && !look) || !in->looks[i][look]))
            return 0;
        if (state == VALUE) {
            to->ns = value;
            to->bucket = 0;
        }
    }
    if (to->bucket == 0)
        to->bucket = bucket_of(in, to->ns);
    return 1;
}

static int number_of(const column *of, int64_t row, int64_t least, int64_t most, int64_t *value) {
    *value = 0;
    return !of || integer_of(of, row, least, most, value) != UNCERTAIN;
}

static int is_shaped(const requests *in, int64_t row) {
    for (int64_t i = 0; i < in->shaped_count; i++) {
        const column *of = in->shaped[i];
        const view *text = of->views + row;
        if (!is_missing(of, row) && !fits(text, bytes_of(text, of->buffers), in->tables[i], in->kinds[i]))
            return 0;
    }
    return 1;
}

static int is_method(const uint8_t *text, uint32_t size) {
    int good = size > 0 && size <= 32;
    for (uint32_t i = 0; good && i < size; i++)
        good = (uint8_t)((text[i] | 32) - 'a') < 26 || (i && (text[i] == '_' || text[i] == '-'));
    return good;
}

/* Name a request whose method and path are known by its endpoint, or by the path if that is to be decided. Returns the
   size of the name; 0 if there is no room for it. */
static uint32_t name_parts(const requests *in, const uint8_t *method, uint32_t method_size, const uint8_t *path,
                           uint32_t path_size, int *is_name, uint8_t *to) {
    uint32_t begin = method_size + 1;
    if (begin + 3 * (path_size + 1) > ROOM) /* a template is at most three times as long as its path, plus three bytes */
        return 0;
    for (uint32_t i = 0; i < method_size; i++)
        to[i] = method[i];
    to[method_size] = ' ';
    int64_t size = in->templates ? template_of(path, path_size, to + begin) : -1;
    *is_name = size >= 0;
    if (*is_name)
        return begin + (uint32_t)size;
    __builtin_memcpy(to + begin, path, path_size);
    return begin + path_size;
}

/* Whether a request line ends in a version without a name, as in `GET / 1.1`: another format has that. */
static int has_bare_version(const uint8_t *bytes, uint32_t size) {
    if (size > 4 && bytes[size - 2] == '.')
        return bytes[size - 4] == ' ' && bytes[size - 3] == '1' && (bytes[size - 1] | 1) == '1';
    return size > 2 && bytes[size - 2] == ' ' && (bytes[size - 1] | 1) == '3';
}

/* Name the request, in `to`. Returns 0 if it is not certain. */
static int read_name(const requests *in, request *it, uint8_t *to) {
    const column *whole = in->columns[REQUEST], *of = in->columns[TARGET], *by = in->columns[METHOD];
    const uint8_t *bytes;
    uint32_t size = 0, method, tail, path;
    it->is_name = 0;
    if (whole) {
        const view *text = whole->views + it->row;
        uint32_t length = is_missing(whole, it->row) ? 0 : text->size;
        bytes = length ? bytes_of(text, whole->buffers) : to;
        if (split_request(bytes, length, &method, &tail) && path_of(bytes + method + 1, tail - method - 1, &path)) {
            size = name_parts(in, bytes, method, bytes + method + 1, path, &it->is_name, to);
        } else if (length < ROOM && (length || !in->events) && !has_bare_version(bytes, length)) {
            to[0] = 0;
            __builtin_memcpy(to + 1, bytes, length);
            size = 1 + length;
        }
    } else if (!is_missing(of, it->row) && !is_missing(by, it->row)) {
        bytes = bytes_of(of->views + it->row, of->buffers);
        const uint8_t *verb = bytes_of(by->views + it->row, by->buffers);
        if (is_method(verb, by->views[it->row].size) && path_of(bytes, of->views[it->row].size, &path))
            size = name_parts(in, verb, by->views[it->row].size, bytes, path, &it->is_name, to);
    }
    it->text = view_of(to, 0, 0, size);
    const table *known = it->is_name ? in->names : in->targets;
    it->hash = hash_of_view(&it->text, (const uint8_t *const *)&to, known->seed);
    __builtin_prefetch(known->slots + (it->hash & known->mask));
    return size > 0;
}

/* Find the place of a request line among those that were named before. */
static void look_for_line(const requests *in, request *it) {
    const column *whole = in->columns[REQUEST];
    it->name = 0;
    it->lines = 0;
    if (!whole || is_missing(whole, it->row) || whole->views[it->row].size > LONGEST_REQUEST)
        return;
    uint64_t hash = hash_of_view(whole->views + it->row, whole->buffers, in->seed);
    it->lines = in->request_lines + (hash & ((1 << REQUEST_BITS) - 2)); /* two lines have one place */
    __builtin_prefetch(it->lines);
    __builtin_prefetch(it->lines + 1);
}

/* Find the name of a request line that was named before. */
static void find_line(const requests *in, request *it) {
    if (!it->lines)
        return;
    const view *text = in->columns[REQUEST]->views + it->row;
    const uint8_t *bytes = bytes_of(text, in->columns[REQUEST]->buffers);
    for (int i = 0; i < 2; i++)
        if (it->lines[i].name && it->lines[i].size == text->size && same(it->lines[i].text, bytes, text->size))
            it->name = it->lines[i].name;
}

/* Remember the name of a request line. */
static void keep_line(const requests *in, const request *it) {
    if (!it->lines || !it->name)
        return;
    const view *text = in->columns[REQUEST]->views + it->row;
    const uint8_t *bytes = bytes_of(text, in->columns[REQUEST]->buffers);
    request_line *to = it->lines + (it->lines[0].name && (!it->lines[1].name || it->row & 1));
    to->name = it->name;
    to->size = (uint8_t)text->size;
    __builtin_memcpy(to->text, bytes, text->size);
}

/* Find the name of a request of which the text is known; 0 if that is to be decided, or if there is no room. */
static void find_name(requests *in, request *it, const uint8_t *text) {
    if (it->is_name) {
        it->name = number_in(in->names, &it->text, &text, it->hash);
    } else {
        uint32_t number = number_in(in->targets, &it->text, &text, it->hash);
        if (!number || number > in->decided)
            return;
        uint32_t *name = in->target_names + number - 1;
        const view *decided = in->decisions + number - 1;
        if (!*name)
            *name = number_in(in->names, decided, in->buffers, hash_of_view(decided, in->buffers, in->names->seed));
        it->name = *name;
    }
    keep_line(in, it);
}

/* The key of a name, which may be a new one. */
static uint32_t key_of(requests *in, uint32_t name) {
    uint32_t *key = in->name_keys + name - 1;
    if (!*key) {
        uint32_t new = (uint32_t)in->key_count++;
        in->key_names[new] = name;
        in->key_first[new] = UINT32_MAX;
        for (int i = 0; i < CLASSES; i++)
            in->key_cells[(int64_t)new * CLASSES + i] = 0;
        *key = new + 1;
    }
    return *key - 1;
}

/* The number of the minute of a request, which may be a new one. */
static uint32_t find_minute(requests *in, int64_t time) {
    int64_t minute = time / 60000000 - (time % 60000000 < 0);
    uint64_t at = mixed((uint64_t)minute ^ in->seed, 0x9e3779b97f4a7c15) & in->slot_mask;
    while (in->slots[at] && in->minutes[in->slots[at] - 1] != minute)
        at = (at + 1) & in->slot_mask;
    if (!in->slots[at]) {
        uint32_t number = (uint32_t)in->minute_count++;
        in->slots[at] = number + 1;
        in->minutes[number] = minute;
        in->minute_first[number] = UINT32_MAX;
        for (int i = 0; i < CLASSES; i++)
            in->minute_cells[number * CLASSES + i] = 0;
    }
    return in->slots[at] - 1;
}

/* Find the place of a user among those that were hashed before. */
static void look_for_user(requests *in, request *it) {
    it->user = in->columns[USER];
    if (!it->user || is_missing(it->user, it->row))
        it->user = in->columns[CLIENT];
    if (it->user && is_missing(it->user, it->row))
        it->user = 0;
    if (!it->user)
        return;
    uint64_t hash = hash_of_view(it->user->views + it->row, it->user->buffers, in->seed);
    it->users = in->users + (hash & ((1 << KNOWN_BITS) - 2)); /* two users have one place */
    __builtin_prefetch(it->users);
}

/* The register and rank of a user that is remembered; 0 if it is not. */
static uint32_t find_user(const request *it) {
    const view *text = it->user->views + it->row;
    const uint8_t *bytes = bytes_of(text, it->user->buffers);
    const user *known = it->users;
    for (int i = 0; i < 2; i++)
        if (known[i].found && known[i].size == text->size && same(known[i].text, bytes, text->size))
            return known[i].found;
    return 0;
}

/* Remember the register and rank of a user, unless it is too long. */
static void remember_user(const request *it, uint32_t found) {
    const view *text = it->user->views + it->row;
    const uint8_t *bytes = bytes_of(text, it->user->buffers);
    user *known = it->users + (it->users->found && (!it->users[1].found || it->row & 1));
    if (text->size > LONGEST_USER)
        return;
    known->found = found;
    known->size = (uint8_t)text->size;
    for (uint32_t i = 0; i < text->size; i++)
        known->text[i] = bytes[i];
}

/* Add the users of some requests that are counted: those that are not remembered are hashed together. */
static void add_users(requests *in, const request *some, int64_t count) {
    const uint8_t *texts[TOGETHER];
    uint32_t sizes[TOGETHER], found[TOGETHER];
    int64_t new = 0, of[TOGETHER], places[TOGETHER]; /* the new ones: of which request, and the places of their codes */
    for (int64_t i = 0; i < count; i++) {
        const request *it = some + i;
        if (!it->name || !it->user)
            continue;
        uint32_t known = find_user(it);
        if (!known) {
            texts[new] = bytes_of(it->user->views + it->row, it->user->buffers);
            sizes[new] = it->user->views[it->row].size;
            places[new] = in->user_count;
            of[new++] = i;
        }
        in->user_codes[in->user_count++] = (uint64_t)it->minute << 20 | known;
    }
    registers_of(texts, sizes, new, found);
    for (int64_t i = 0; i < new; i++) {
        in->user_codes[places[i]] |= found[i];
        remember_user(some + of[i], found[i]);
    }
}

/* Count a request of which everything is known. */
static void add(requests *in, const request *it) {
    uint32_t line = in->lines[it->row], minute = it->minute, key = it->key;
    int64_t class = it->status / 100;
    uint32_t *place = in->key_cells + (int64_t)key * CLASSES + class;
    if (!*place) {
        key_cell new = {key, class, 0, 0, 0, 0, INT64_MAX, INT64_MIN};
        in->by_key[in->key_cell_count++] = new;
        *place = (uint32_t)in->key_cell_count;
    }
    key_cell *of_key = in->by_key + *place - 1;
    of_key->requests++;
    of_key->bytes += it->size;
    if (it->bucket >= 0) {
        of_key->timed++;
        of_key->ns += it->ns;
        of_key->ns_min = it->ns < of_key->ns_min ? it->ns : of_key->ns_min;
        of_key->ns_max = it->ns > of_key->ns_max ? it->ns : of_key->ns_max;
        in->key_codes[in->timed] = (uint64_t)key << BUCKET_BITS | (uint64_t)it->bucket;
        if (in->minute_codes)
            in->minute_codes[in->timed] = (uint64_t)minute << BUCKET_BITS | (uint64_t)it->bucket;
        in->timed++;
    }
    if (line < in->key_first[key])
        in->key_first[key] = line;
    place = in->minute_cells + (int64_t)minute * CLASSES + class;
    if (!*place) {
        minute_cell new = {in->minutes[minute], class, 0, 0};
        in->by_minute[in->minute_cell_count++] = new;
        *place = (uint32_t)in->minute_cell_count;
    }
    in->by_minute[*place - 1].requests++;
    in->by_minute[*place - 1].bytes += it->size;
    if (line < in->minute_first[minute])
        in->minute_first[minute] = line;
    in->statuses[it->status]++;
    in->first = it->time < in->first ? it->time : in->first;
    in->last = it->time > in->last ? it->time : in->last;
    in->counted++;
}

/* The time that was read last, and its text. */
typedef struct {
    int64_t time;
    const uint8_t *text;
    uint32_t size;
} moment;

/* Read everything of a request but its key. Returns 0 if that is not certain. */
static int read_request(const requests *in, request *it, moment *last) {
    const column *times = in->columns[TIME];
    if ((in->fit && !in->fit[it->row]) || is_missing(times, it->row))
        return 0;
    const view *text = times->views + it->row;
    const uint8_t *bytes = bytes_of(text, times->buffers);
    if (!last->text || last->size != text->size || !same(last->text, bytes, text->size)) {
        last->text = 0;
        if (!read_time(bytes, bytes + text->size, in->form, in->form + in->form_size, &last->time) ||
            last->time < in->earliest || last->time > in->latest)
            return 0;
        last->text = bytes;
        last->size = text->size;
    }
    it->time = last->time;
    return number_of(in->columns[STATUS], it->row, 100, 999, &it->status) && (it->status || !in->events) &&
           number_of(in->columns[SIZE], it->row, 0, MOST, &it->size) && read_duration(in, it->row, it) &&
           is_shaped(in, it->row);
}

/* Find the keys of some requests and count them. Memory is prefetched a step ahead of its use, for all together. */
static void count_some(requests *in, request *some, int64_t count) {
    int64_t unnamed = 0;
    uint8_t of[TOGETHER]; /* the requests without a name */
    for (int64_t i = 0; i < count; i++) {
        find_line(in, some + i);
        if (some[i].name)
            __builtin_prefetch(in->name_keys + some[i].name - 1);
        else if (read_name(in, some + i, in->text + i * ROOM))
            of[unnamed++] = (uint8_t)i;
    }
    for (int64_t i = 0; i < unnamed; i++) {
        const table *known = some[of[i]].is_name ? in->names : in->targets;
        __builtin_prefetch(known->texts + known->slots[some[of[i]].hash & known->mask].number);
    }
    for (int64_t i = 0; i < unnamed; i++) {
        const request *it = some + of[i];
        const table *known = it->is_name ? in->names : in->targets;
        uint32_t number = known->slots[it->hash & known->mask].number;
        const view *text = known->texts + number;
        if (text->size > INLINE && number)
            __builtin_prefetch(known->segments[text->buffer] + text->from);
        if (!it->is_name && number)
            __builtin_prefetch(in->target_names + number - 1);
    }
    for (int64_t i = 0; i < unnamed; i++) {
        in->states[some[of[i]].row] = WAITING;
        find_name(in, some + of[i], in->text + of[i] * ROOM);
    }
    for (int64_t i = 0; i < count; i++) {
        if (!some[i].name)
            continue;
        in->states[some[i].row] = COUNTED;
        some[i].key = key_of(in, some[i].name);
        some[i].minute = find_minute(in, some[i].time);
        __builtin_prefetch(in->key_cells + (int64_t)some[i].key * CLASSES + some[i].status / 100);
        look_for_user(in, some + i);
    }
    for (int64_t i = 0; i < count; i++) {
        uint32_t cell = some[i].name ? in->key_cells[(int64_t)some[i].key * CLASSES + some[i].status / 100] : 0;
        if (cell)
            __builtin_prefetch(in->by_key + cell - 1);
    }
    for (int64_t i = 0; i < count; i++)
        if (some[i].name)
            add(in, some + i);
    add_users(in, some, count);
}

/* Count the requests that wait. Those that wait afterwards need more room in `targets` or `names`, or the decision about
   a target that has a number. */
void count_requests(requests *in) {
    moment last = {0, 0, 0};
    request some[TOGETHER];
    int64_t count = 0;
    for (int64_t row = 0; row < in->rows; row++) {
        request *it = some + count;
        it->row = row;
        if (in->states[row] == WAITING) {
            in->states[row] = LEFT;
            if (read_request(in, it, &last)) {
                look_for_line(in, it);
                count++;
            }
        }
        if (count == TOGETHER || row + 1 == in->rows) {
            count_some(in, some, count);
            count = 0;
        }
    }
}

/* Lines, and a program that cuts them, as in `cut`, into columns that have room for BLOCK texts. */
typedef struct {
    const uint8_t *bytes;
    int64_t size;
    const int64_t *starts, *ends;
    int64_t lines;
    const step *steps;
    int64_t step_count;
    const uint8_t *literals;
    view *const *views;
} text_lines;

/* Count the requests of the lines that wait: the same, where `states` are those of lines, and the columns are those of
   the program. If few of the lines can be counted, the others are left. */
void count_text(requests *in, const text_lines *of) {
    uint8_t *states = in->states, of_rows[BLOCK];
    uint32_t numbers[BLOCK], rows[BLOCK], lines[BLOCK];
    int64_t starts[BLOCK], ends[BLOCK], seen = 0, left = 0;
    in->states = of_rows;
    in->lines = lines;
    for (int64_t line = 0; line < of->lines;) {
        int64_t count = 0;
        for (; line < of->lines && count < BLOCK; line++) {
            if (states[line] != WAITING)
                continue;
            states[line] = LEFT;
            starts[count] = of->starts[line];
            ends[count] = of->ends[line];
            numbers[count++] = (uint32_t)line;
        }
        if (seen >= 8 * BLOCK && left > seen / 2)
            continue;
        in->rows = cut(of->bytes, of->size, starts, ends, count, of->steps, of->step_count, of->literals, of->views, rows);
        for (int64_t row = 0; row < in->rows; row++) {
            lines[row] = numbers[rows[row]];
            of_rows[row] = WAITING;
        }
        count_requests(in);
        seen += count;
        left += count - in->rows;
        for (int64_t row = 0; row < in->rows; row++) {
            states[lines[row]] = of_rows[row];
            left += of_rows[row] == LEFT;
        }
    }
    in->states = states;
}
