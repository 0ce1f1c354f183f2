/*
 * One matrix product of llama.cpp's library ggml, timed turn by turn beside another program's.
 *
 *   product --format Q4_0|Q8_0|F16 --rows N --columns N --tokens N --threads N --bytes N
 *
 * --bytes is the least that all copies of the weights take together: each turn multiplies another copy, so that none lies in a
 * cache from the turn before. Weights and activations are those of engine/crates/neuron/examples/bench (turns.rs, data.rs).
 *
 * stdin          one line for each turn; its end ends the program
 * stdout         first one JSON object: tried ({name, seconds} of each buffer type that can do it, where there are several), buffer (the
 *                fastest, which takes the turns), copies, features (what ggml's kernels were compiled with), truths and values (of 64
 *                places of the product); then one {"seconds": S, "processor": S} for each turn, by the clock and
 *                of processors
 *
 * A turn is ggml_backend_graph_compute of one ggml_mul_mat: F32 activations rounded to what the kernel multiplies, and the product.
 * Threads are ggml's own and spin as long as it lets them; between turns they sleep, so that they cost the other program
 * nothing. Weights lie in huge pages where the system gives them. 64 places are compared with sums in double of the weights as they
 * are stored and the activations as they are given, before the first turn and behind the last one; TOLERANCE says how near.
 * Exit code 0, 2 for a wrong command line, 1 for everything that fails later.
 */
#define _DEFAULT_SOURCE
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "ggml-alloc.h"
#include "ggml-backend.h"
#include "ggml-cpu.h"
#include "ggml.h"

enum { BLOCK = 32, PATTERNS = 64, PLACES = 64, MOST_COPIES = 1024, MOST_BUFFERS = 8, TRIES = 3, HUGE_PAGE = 2 << 20, ACTIVATIONS_SEED = 5 };

/*
 * Of |row| |x| / sqrt(columns), the size that a product of such numbers has. Rounding activations to eight bits makes an error of 0.0039 of it
 * (uniform numbers up to m: steps of m/127, so m/254/sqrt(3) beside m/sqrt(3)); the scale's own eleven bits a tenth of that. Seven times as much.
 */
static const double TOLERANCE = 0.03;

struct request {
    enum ggml_type format;
    const char * format_name;
    int64_t rows, columns, tokens, bytes;
    int threads;
};

static int wrong(const char * what, const char * value) {
    fprintf(stderr, "product: %s: %s\n", what, value);
    return 2;
}

static _Noreturn void fail(const char * what) {
    fprintf(stderr, "product: %s\n", what);
    exit(1);
}

static void * checked(void * pointer) {
    if (pointer == NULL) fail("out of memory");
    return pointer;
}

/* A whole number from 1 to `most`; 0 when it is not one. */
static int64_t whole(const char * text, int64_t most) {
    char * end = NULL;
    errno = 0;
    const long long value = strtoll(text, &end, 10);
    return errno != 0 || end == text || *end != '\0' || value < 1 || value > most ? 0 : value;
}

static bool read_format(const char * text, struct request * request) {
    const enum ggml_type known[] = { GGML_TYPE_Q4_0, GGML_TYPE_Q8_0, GGML_TYPE_F16 };
    const char * names[] = { "Q4_0", "Q8_0", "F16" };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(text, names[i]) != 0) continue;
        request->format = known[i];
        request->format_name = names[i];
        return true;
    }
    return false;
}

static int read_request(int argc, char ** argv, struct request * request) {
    *request = (struct request) { 0 };
    for (int i = 1; i < argc; i += 2) {
        const char * option = argv[i];
        if (i + 1 == argc) return wrong("option without a value, or unknown", option);
        const char * value = argv[i + 1];
        if (strcmp(option, "--format") == 0) {
            if (!read_format(value, request)) return wrong("--format is Q4_0, Q8_0 or F16, not", value);
            continue;
        }
        int64_t threads = 0;
        int64_t * into = strcmp(option, "--rows") == 0 ? &request->rows
            : strcmp(option, "--columns") == 0         ? &request->columns
            : strcmp(option, "--tokens") == 0          ? &request->tokens
            : strcmp(option, "--bytes") == 0           ? &request->bytes
            : strcmp(option, "--threads") == 0         ? &threads
                                                       : NULL;
        if (into == NULL) return wrong("unknown option", option);
        const int64_t most = into == &request->bytes ? INT64_C(1) << 40 : into == &threads ? GGML_MAX_N_THREADS : INT64_C(1) << 24;
        *into = whole(value, most);
        if (*into == 0) return wrong(option, "a whole number of at least 1 is needed");
        if (into == &threads) request->threads = (int) threads;
    }
    if (request->format_name == NULL || request->rows == 0 || request->columns == 0 || request->tokens == 0 || request->bytes == 0 || request->threads == 0) {
        return wrong("missing option", "--format, --rows, --columns, --tokens, --bytes and --threads are needed");
    }
    if (request->columns % BLOCK != 0) return wrong("--columns", "a multiple of 32 is needed");
    return 0;
}

/* Numbers that look random, as data.rs makes them. */
static void fill(float * values, int64_t count, uint64_t seed) {
    uint64_t state = (seed * UINT64_C(0x9e3779b97f4a7c15)) | 1;
    for (int64_t i = 0; i < count; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        values[i] = (float) (state >> 40) / 16777216.0f - 0.5f;
    }
}

/*
 * A row as the engine quantises it (engine/crates/neuron/src/format.rs). In Q4_0 and F16 that is what ggml does; codes of Q8_0 are
 * made with the scale as it is stored, in F16, where ggml takes the one before rounding.
 */
static void quantise(const struct request * request, const float * values, uint8_t * row) {
    if (request->format != GGML_TYPE_Q8_0) {
        ggml_quantize_chunk(request->format, values, row, 0, 1, request->columns, NULL);
        return;
    }
    for (int64_t first = 0; first < request->columns; first += BLOCK) {
        float greatest = 0;
        for (int i = 0; i < BLOCK; i++) greatest = fmaxf(greatest, fabsf(values[first + i]));
        const ggml_fp16_t half = ggml_fp32_to_fp16(greatest / 127.0f);
        const float scale = ggml_fp16_to_fp32(half), inverse = scale > 0 ? 1.0f / scale : 0;
        memcpy(row, &half, sizeof half);
        row += sizeof half;
        for (int i = 0; i < BLOCK; i++) *row++ = (uint8_t) (int8_t) rintf(fminf(fmaxf(values[first + i] * inverse, -127.0f), 127.0f));
    }
}

/* The matrix, row after row: 64 different rows that repeat. */
static uint8_t * make_weights(const struct request * request, size_t row_bytes) {
    uint8_t * patterns = checked(malloc(PATTERNS * row_bytes));
    float * values = checked(malloc(sizeof(float) * (size_t) request->columns));
    for (int i = 0; i < PATTERNS; i++) {
        fill(values, request->columns, (uint64_t) i + 1);
        quantise(request, values, patterns + (size_t) i * row_bytes);
    }
    uint8_t * weights = checked(malloc((size_t) request->rows * row_bytes));
    for (int64_t row = 0; row < request->rows; row++) memcpy(weights + (size_t) row * row_bytes, patterns + (size_t) (row % PATTERNS) * row_bytes, row_bytes);
    free(values);
    free(patterns);
    return weights;
}

struct place {
    int64_t row, token;
    double truth, scale;
};

/* Places spread over the whole product, the first and the last included, and what stands there in double. */
static void find_truths(const struct request * request, const uint8_t * weights, size_t row_bytes, const float * x, struct place * places) {
    float * row = checked(malloc(sizeof(float) * (size_t) request->columns));
    for (int i = 0; i < PLACES; i++) {
        struct place * place = &places[i];
        place->row = i * (request->rows - 1) / (PLACES - 1);
        place->token = i * 29 % PLACES * (request->tokens - 1) / (PLACES - 1);
        ggml_get_type_traits(request->format)->to_float(weights + (size_t) place->row * row_bytes, row, request->columns);
        const float * of_token = x + place->token * request->columns;
        double dot = 0, row_square = 0, x_square = 0;
        for (int64_t j = 0; j < request->columns; j++) {
            dot += (double) row[j] * of_token[j];
            row_square += (double) row[j] * row[j];
            x_square += (double) of_token[j] * of_token[j];
        }
        place->truth = dot;
        place->scale = sqrt(row_square * x_square / (double) request->columns);
    }
    free(row);
}

static void check(const struct request * request, const float * out, const struct place * places) {
    for (int i = 0; i < PLACES; i++) {
        const double is = out[places[i].token * request->rows + places[i].row];
        if (fabs(is - places[i].truth) <= TOLERANCE * places[i].scale) continue;
        fprintf(stderr, "product: row %lld, token %lld: %.9g instead of %.9g\n", (long long) places[i].row, (long long) places[i].token, is, places[i].truth);
        exit(1);
    }
}

/* Copies of the weights in one buffer, with a graph for each; all graphs write the same output. */
struct side {
    const char * name;
    struct ggml_context * context;
    ggml_backend_buffer_t buffer;
    struct ggml_cgraph * graphs[MOST_COPIES];
    int copies;
    double seconds;
};

struct machine {
    ggml_backend_t backend;
    ggml_threadpool_t threads;
    struct ggml_tensor * x;
    struct ggml_tensor * out;
};

/* Pages of 2 MiB, from before the memory is first written. A refusal changes nothing but the speed. */
static void want_huge_pages(ggml_backend_buffer_t buffer) {
    const uintptr_t start = (uintptr_t) ggml_backend_buffer_get_base(buffer);
    const uintptr_t first = (start + HUGE_PAGE - 1) & ~(uintptr_t) (HUGE_PAGE - 1);
    const uintptr_t end = start + ggml_backend_buffer_get_size(buffer);
#ifdef MADV_HUGEPAGE
    if (first < end) madvise((void *) first, end - first, MADV_HUGEPAGE);
#else
    (void) first, (void) end;
#endif
}

static struct ggml_context * new_context(void) {
    const struct ggml_init_params sizes = { .mem_size = (MOST_COPIES + 2) * (2 * ggml_tensor_overhead() + ggml_graph_overhead_custom(16, false)), .no_alloc = true };
    return checked(ggml_init(sizes));
}

/* Whether this device multiplies such weights where they lie in `type`: asked as llama.cpp asks before it loads a model. */
static bool can_multiply(ggml_backend_dev_t device, ggml_backend_buffer_type_t type, const struct request * request) {
    struct ggml_context * context = new_context();
    struct ggml_tensor * weights = ggml_new_tensor_2d(context, request->format, request->columns, request->rows);
    struct ggml_tensor * product = ggml_mul_mat(context, weights, ggml_new_tensor_2d(context, GGML_TYPE_F32, request->columns, request->tokens));
    weights->buffer = checked(ggml_backend_buft_alloc_buffer(type, 0));
    const bool can = ggml_backend_dev_supports_op(device, product);
    ggml_backend_buffer_free(weights->buffer);
    ggml_free(context);
    return can;
}

static struct side load(ggml_backend_buffer_type_t type, const struct request * request, const uint8_t * weights, size_t bytes, const struct machine * machine) {
    struct side side = { .name = ggml_backend_buft_name(type), .context = new_context(), .seconds = INFINITY };
    side.copies = (int) ((request->bytes + (int64_t) bytes - 1) / (int64_t) bytes);
    if (side.copies > MOST_COPIES) fail("--bytes: more than 1024 copies of the weights; give fewer bytes, or larger weights");
    struct ggml_tensor * copies[MOST_COPIES];
    for (int i = 0; i < side.copies; i++) copies[i] = ggml_new_tensor_2d(side.context, request->format, request->columns, request->rows);
    side.buffer = checked(ggml_backend_alloc_ctx_tensors_from_buft(side.context, type));
    ggml_backend_buffer_set_usage(side.buffer, GGML_BACKEND_BUFFER_USAGE_WEIGHTS);
    want_huge_pages(side.buffer);
    for (int i = 0; i < side.copies; i++) {
        ggml_backend_tensor_set(copies[i], weights, 0, bytes);
        struct ggml_tensor * product = ggml_mul_mat(side.context, copies[i], machine->x);
        if (ggml_backend_tensor_alloc(machine->out->buffer, product, machine->out->data) != GGML_STATUS_SUCCESS) fail("ggml cannot place the product");
        side.graphs[i] = ggml_new_graph_custom(side.context, 16, false);
        ggml_build_forward_expand(side.graphs[i], product);
    }
    return side;
}

static void unload(struct side * side) {
    ggml_backend_buffer_free(side->buffer);
    ggml_free(side->context);
}

static double now(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (double) time.tv_sec + (double) time.tv_nsec * 1e-9;
}

/* Seconds by the clock, and those that the threads had processors. */
struct taken {
    double seconds, processor;
};

static struct taken turn(const struct machine * machine, const struct side * side, int64_t number) {
    ggml_threadpool_resume(machine->threads);
    const struct taken start = { now(CLOCK_MONOTONIC), now(CLOCK_PROCESS_CPUTIME_ID) };
    if (ggml_backend_graph_compute(machine->backend, side->graphs[number % side->copies]) != GGML_STATUS_SUCCESS) fail("ggml cannot compute the product");
    const struct taken taken = { now(CLOCK_MONOTONIC) - start.seconds, now(CLOCK_PROCESS_CPUTIME_ID) - start.processor };
    ggml_threadpool_pause(machine->threads);
    return taken;
}

/* The buffer types that this processor can multiply from: those that llama.cpp asks for first, and the plain one. */
static int buffer_types(ggml_backend_dev_t device, const struct request * request, ggml_backend_buffer_type_t * types) {
    ggml_backend_reg_t registry = ggml_backend_dev_backend_reg(device);
    ggml_backend_dev_get_extra_bufts_t extra = (ggml_backend_dev_get_extra_bufts_t) ggml_backend_reg_get_proc_address(registry, "ggml_backend_dev_get_extra_bufts");
    int count = 0;
    for (ggml_backend_buffer_type_t * at = extra != NULL ? extra(device) : NULL; at != NULL && *at != NULL && count < MOST_BUFFERS - 1; at++) {
        if (can_multiply(device, *at, request)) types[count++] = *at;
    }
    types[count++] = ggml_backend_dev_buffer_type(device);
    return count;
}

static void print_features(ggml_backend_dev_t device) {
    ggml_backend_get_features_t features = (ggml_backend_get_features_t) ggml_backend_reg_get_proc_address(ggml_backend_dev_backend_reg(device), "ggml_backend_get_features");
    printf("\"features\":[");
    const char * between = "";
    for (struct ggml_backend_feature * at = features != NULL ? features(ggml_backend_dev_backend_reg(device)) : NULL; at != NULL && at->name != NULL; at++) {
        if (strcmp(at->value, "0") == 0) continue;
        printf("%s\"%s\"", between, at->name);
        between = ",";
    }
    printf("],");
}

static void print_places(const struct request * request, const float * out, const struct place * places) {
    printf("\"truths\":[");
    for (int i = 0; i < PLACES; i++) printf("%s%.9g", i ? "," : "", places[i].truth);
    printf("],\"values\":[");
    for (int i = 0; i < PLACES; i++) printf("%s%.9g", i ? "," : "", (double) out[places[i].token * request->rows + places[i].row]);
    printf("]");
}

static void quiet(enum ggml_log_level level, const char * text, void * unused) {
    (void) unused;
    if (level == GGML_LOG_LEVEL_ERROR) fputs(text, stderr);
}

int main(int argc, char ** argv) {
    struct request request;
    const int misread = read_request(argc, argv, &request);
    if (misread != 0) return misread;
    ggml_log_set(quiet, NULL);

    ggml_backend_dev_t device = checked(ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU));
    struct machine machine = { .backend = checked(ggml_backend_dev_init(device, NULL)) };
    struct ggml_threadpool_params threads = ggml_threadpool_params_default(request.threads);
    threads.poll = 100;
    threads.paused = true;
    machine.threads = checked(ggml_threadpool_new(&threads));
    ggml_backend_cpu_set_n_threads(machine.backend, request.threads);
    ggml_backend_cpu_set_threadpool(machine.backend, machine.threads);

    struct ggml_context * shared = new_context();
    machine.x = ggml_new_tensor_2d(shared, GGML_TYPE_F32, request.columns, request.tokens);
    machine.out = ggml_new_tensor_2d(shared, GGML_TYPE_F32, request.rows, request.tokens);
    ggml_backend_buffer_t tables = checked(ggml_backend_alloc_ctx_tensors(shared, machine.backend));
    want_huge_pages(tables);
    float * out = machine.out->data;
    fill(machine.x->data, request.columns * request.tokens, ACTIVATIONS_SEED);

    const size_t row_bytes = ggml_row_size(request.format, request.columns);
    uint8_t * weights = make_weights(&request, row_bytes);
    struct place places[PLACES];
    find_truths(&request, weights, row_bytes, machine.x->data, places);

    ggml_backend_buffer_type_t types[MOST_BUFFERS];
    const int count = buffer_types(device, &request, types);
    struct side sides[MOST_BUFFERS];
    for (int i = 0; i < count; i++) {
        sides[i] = load(types[i], &request, weights, (size_t) request.rows * row_bytes, &machine);
        /* Numbers that are none: what was not computed is found. */
        memset(out, 0xff, ggml_nbytes(machine.out));
        turn(&machine, &sides[i], 0);
        check(&request, out, places);
    }
    free(weights);
    /* Taking turns too, so that other work on the machine does not choose. */
    for (int i = 0; count > 1 && i < TRIES * count; i++) {
        struct side * side = &sides[i % count];
        side->seconds = fmin(side->seconds, turn(&machine, side, 1 + i / count).seconds);
    }
    int chosen = 0;
    printf("{\"tried\":[");
    for (int i = 0; count > 1 && i < count; i++) {
        printf("%s{\"name\":\"%s\",\"seconds\":%.6f}", i ? "," : "", sides[i].name, sides[i].seconds);
        if (sides[i].seconds < sides[chosen].seconds) chosen = i;
    }
    for (int i = 0; i < count; i++) {
        if (i != chosen) unload(&sides[i]);
    }
    struct side best = sides[chosen];
    if (count > 1) turn(&machine, &best, 0);
    check(&request, out, places);
    printf("],\"copies\":%d,\"buffer\":\"%s\",", best.copies, best.name);
    print_features(device);
    print_places(&request, out, places);
    printf("}\n");
    fflush(stdout);

    char line[64];
    for (int64_t number = 1; fgets(line, sizeof line, stdin) != NULL; number++) {
        const struct taken taken = turn(&machine, &best, number);
        printf("{\"seconds\":%.6f,\"processor\":%.6f}\n", taken.seconds, taken.processor);
        fflush(stdout);
    }
    check(&request, out, places);

    unload(&best);
    ggml_backend_buffer_free(tables);
    ggml_free(shared);
    ggml_backend_free(machine.backend);
    ggml_threadpool_free(machine.threads);
    return 0;
}
