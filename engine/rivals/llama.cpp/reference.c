/*
 * What llama.cpp computes for one model file and given token ids: the judge of our own forward pass.
 *
 *   reference --model FILE --tokens 1,5,9 [--greedy N] [--kv f32|f16] [--threads N] [--batch N] [--no-repack]
 *             [--logits FILE] [--step-logits FILE]
 *
 * The prompt is evaluated in batches of at most --batch tokens (1: as in decoding), then --greedy tokens are
 * chosen by largest logit (the smallest id among equals) and fed back one at a time; an end-of-text token does
 * not stop it.
 *
 * --logits       raw logits, little-endian f32, [prompt length][vocabulary], row i follows prompt token i
 * --step-logits  the same for the fed-back tokens: row i follows greedy token i, [greedy][vocabulary]
 * stdout         one JSON object: vocabulary, prompt, tokens (greedy ids), margins (largest minus second-largest
 *                logit behind each greedy id), kv, threads, batch, repack
 *
 * Flash attention is off and K and V are stored as --kv says, so that f32 leaves no rounding between positions.
 * Exit code 0, 2 for a wrong command line, 1 for everything that fails later. llama.cpp aborts the process on
 * some malformed files, so run this in a process of its own.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "llama.h"

struct request {
    const char * model;
    const char * logits;
    const char * step_logits;
    llama_token * prompt;
    int32_t prompt_length;
    int32_t greedy;
    int32_t threads;
    int32_t batch;
    enum ggml_type kv;
    bool repack;
};

static void quiet(enum ggml_log_level level, const char * text, void * unused) {
    (void) unused;
    if (level == GGML_LOG_LEVEL_ERROR) fputs(text, stderr);
}

static int wrong(const char * what, const char * value) {
    fprintf(stderr, "reference: %s: %s\n", what, value);
    return 2;
}

/* A whole number in [least, 2^31); -1 when it is not one. */
static int32_t whole(const char * text, long least) {
    char * end = NULL;
    errno = 0;
    const long value = strtol(text, &end, 10);
    return errno != 0 || end == text || *end != '\0' || value < least || value > INT32_MAX ? -1 : (int32_t) value;
}

/* "1,5,9" into ids; their number, or -1. The array is the caller's. */
static int32_t read_ids(const char * text, llama_token ** into) {
    int32_t count = 1;
    for (const char * at = text; *at; at++) count += *at == ',';
    *into = malloc(sizeof(llama_token) * (size_t) count);
    if (*into == NULL) return -1;
    const char * at = text;
    for (int32_t i = 0; i < count; i++) {
        char * end = NULL;
        errno = 0;
        const long id = strtol(at, &end, 10);
        if (errno != 0 || end == at || id < 0 || id > INT32_MAX || *end != (i + 1 < count ? ',' : '\0')) return -1;
        (*into)[i] = (llama_token) id;
        at = end + 1;
    }
    return count;
}

static int read_request(int argc, char ** argv, struct request * request) {
    *request = (struct request) { .threads = 1, .batch = 512, .kv = GGML_TYPE_F32, .repack = true };
    for (int i = 1; i < argc; i++) {
        const char * option = argv[i];
        if (strcmp(option, "--no-repack") == 0) {
            request->repack = false;
            continue;
        }
        if (i + 1 == argc) return wrong("option without a value, or unknown", option);
        const char * value = argv[++i];
        if (strcmp(option, "--model") == 0) request->model = value;
        else if (strcmp(option, "--logits") == 0) request->logits = value;
        else if (strcmp(option, "--step-logits") == 0) request->step_logits = value;
        else if (strcmp(option, "--tokens") == 0) {
            if ((request->prompt_length = read_ids(value, &request->prompt)) < 0) return wrong("token ids are whole numbers joined by commas, not", value);
        } else if (strcmp(option, "--greedy") == 0) {
            if ((request->greedy = whole(value, 0)) < 0) return wrong("--greedy is a whole number, not", value);
        } else if (strcmp(option, "--threads") == 0) {
            if ((request->threads = whole(value, 1)) < 0) return wrong("--threads is a whole number of at least 1, not", value);
        } else if (strcmp(option, "--batch") == 0) {
            if ((request->batch = whole(value, 1)) < 0) return wrong("--batch is a whole number of at least 1, not", value);
        } else if (strcmp(option, "--kv") == 0) {
            if (strcmp(value, "f32") == 0) request->kv = GGML_TYPE_F32;
            else if (strcmp(value, "f16") == 0) request->kv = GGML_TYPE_F16;
            else return wrong("--kv is f32 or f16, not", value);
        } else return wrong("unknown option", option);
    }
    if (request->model == NULL) return wrong("missing option", "--model FILE");
    if (request->prompt_length == 0) return wrong("missing option", "--tokens 1,5,9");
    return 0;
}

/* Largest logit (the smallest id among equals), and its lead over the second largest. */
static llama_token best(const float * logits, int32_t vocabulary, float * margin) {
    llama_token first = 0;
    float second = -1.0f / 0.0f;
    for (llama_token id = 1; id < vocabulary; id++) {
        if (logits[id] > logits[first]) {
            second = logits[first];
            first = id;
        } else if (logits[id] > second) {
            second = logits[id];
        }
    }
    *margin = logits[first] - second;
    return first;
}

/* Evaluates ids at positions from.., each with its logits. */
static bool evaluate(struct llama_context * context, struct llama_batch * batch, const llama_token * ids, int32_t count, int32_t from) {
    batch->n_tokens = count;
    for (int32_t i = 0; i < count; i++) {
        batch->token[i] = ids[i];
        batch->pos[i] = from + i;
        batch->n_seq_id[i] = 1;
        batch->seq_id[i][0] = 0;
        batch->logits[i] = 1;
    }
    return llama_decode(context, *batch) == 0;
}

static bool save(FILE * file, const float * row, int32_t vocabulary) {
    return file == NULL || fwrite(row, sizeof(float), (size_t) vocabulary, file) == (size_t) vocabulary;
}

static bool close_saved(FILE * file) {
    return file == NULL || fclose(file) == 0;
}

static void print_ids(const char * name, const llama_token * ids, int32_t count) {
    printf("\"%s\":[", name);
    for (int32_t i = 0; i < count; i++) printf("%s%d", i ? "," : "", ids[i]);
    printf("],");
}

static int fail(const char * what, const char * value) {
    fprintf(stderr, "reference: %s: %s\n", what, value);
    return 1;
}

static int run(const struct request * request, struct llama_context * context, int32_t vocabulary) {
    FILE * logits = request->logits ? fopen(request->logits, "wb") : NULL;
    if (request->logits && logits == NULL) return fail("cannot write", request->logits);
    FILE * steps = request->step_logits ? fopen(request->step_logits, "wb") : NULL;
    if (request->step_logits && steps == NULL) return fail("cannot write", request->step_logits);

    llama_token * tokens = calloc((size_t) request->greedy + 1, sizeof(llama_token));
    float * margins = calloc((size_t) request->greedy + 1, sizeof(float));
    if (tokens == NULL || margins == NULL) return fail("out of memory for greedy tokens", request->model);
    struct llama_batch batch = llama_batch_init(request->batch, 0, 1);

    const float * last = NULL;
    for (int32_t from = 0; from < request->prompt_length; from += request->batch) {
        const int32_t left = request->prompt_length - from;
        const int32_t count = left < request->batch ? left : request->batch;
        if (!evaluate(context, &batch, request->prompt + from, count, from)) return fail("llama_decode failed in the prompt", request->model);
        for (int32_t i = 0; i < count; i++) {
            last = llama_get_logits_ith(context, i);
            if (!save(logits, last, vocabulary)) return fail("cannot write", request->logits);
        }
    }
    for (int32_t step = 0; step < request->greedy; step++) {
        tokens[step] = best(last, vocabulary, &margins[step]);
        if (!evaluate(context, &batch, &tokens[step], 1, request->prompt_length + step)) return fail("llama_decode failed while generating", request->model);
        last = llama_get_logits_ith(context, 0);
        if (!save(steps, last, vocabulary)) return fail("cannot write", request->step_logits);
    }
    if (!close_saved(logits)) return fail("cannot write", request->logits);
    if (!close_saved(steps)) return fail("cannot write", request->step_logits);

    printf("{\"vocabulary\":%d,", vocabulary);
    print_ids("prompt", request->prompt, request->prompt_length);
    print_ids("tokens", tokens, request->greedy);
    printf("\"margins\":[");
    for (int32_t i = 0; i < request->greedy; i++) printf("%s%.6g", i ? "," : "", (double) margins[i]);
    printf("],\"kv\":\"%s\",\"threads\":%d,\"batch\":%d,\"repack\":%s}\n", request->kv == GGML_TYPE_F32 ? "f32" : "f16", request->threads,
           request->batch, request->repack ? "true" : "false");

    llama_batch_free(batch);
    free(tokens);
    free(margins);
    return 0;
}

int main(int argc, char ** argv) {
    struct request request;
    const int misread = read_request(argc, argv, &request);
    if (misread != 0) return misread;

    llama_log_set(quiet, NULL);
    llama_backend_init();

    struct llama_model_params model_options = llama_model_default_params();
    model_options.use_extra_bufts = request.repack;
    struct llama_model * model = llama_model_load_from_file(request.model, model_options);
    if (model == NULL) return fail("llama.cpp cannot load", request.model);
    const int32_t vocabulary = llama_vocab_n_tokens(llama_model_get_vocab(model));
    for (int32_t i = 0; i < request.prompt_length; i++) {
        if (request.prompt[i] >= vocabulary) return fail("a token id lies outside the vocabulary of", request.model);
    }

    struct llama_context_params options = llama_context_default_params();
    options.n_ctx = (uint32_t) (request.prompt_length + request.greedy);
    options.n_batch = (uint32_t) request.batch;
    options.n_ubatch = (uint32_t) request.batch;
    options.n_threads = request.threads;
    options.n_threads_batch = request.threads;
    options.type_k = request.kv;
    options.type_v = request.kv;
    options.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
    struct llama_context * context = llama_init_from_model(model, options);
    if (context == NULL) return fail("llama.cpp cannot make a context for", request.model);

    const int status = run(&request, context, vocabulary);
    llama_free(context);
    llama_model_free(model);
    llama_backend_free();
    free(request.prompt);
    return status;
}
