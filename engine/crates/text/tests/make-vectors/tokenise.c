// What llama.cpp makes of texts: the reference that the vectors come from. Built by make.py against libllama.
//
// tokenise VOCABULARY.gguf < REQUESTS
//   A request is one byte of flags (1: add special tokens, 2: parse them), four bytes of length (little-endian), the text.
//   For each a line: the ids, with commas.
// tokenise VOCABULARY.gguf pieces
//   For each token a line: its bytes in hexadecimal, the same with special tokens shown, 1 when it ends a generation else 0.
#include "llama.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void quiet(enum ggml_log_level level, const char *text, void *data) {
    (void)data;
    if (level == GGML_LOG_LEVEL_ERROR) fputs(text, stderr);
}

static void piece(const struct llama_vocab *vocab, llama_token id, bool special) {
    char bytes[4096];
    int32_t count = llama_token_to_piece(vocab, id, bytes, sizeof bytes, 0, special);
    for (int32_t i = 0; i < count; i++) printf("%02x", (unsigned char)bytes[i]);
}

int main(int argc, char **argv) {
    if (argc < 2) return 2;
    llama_log_set(quiet, NULL);
    llama_backend_init();
    struct llama_model_params params = llama_model_default_params();
    params.vocab_only = true;
    struct llama_model *model = llama_model_load_from_file(argv[1], params);
    if (!model) return 1;
    const struct llama_vocab *vocab = llama_model_get_vocab(model);
    if (argc > 2 && !strcmp(argv[2], "pieces")) {
        for (int32_t id = 0; id < llama_vocab_n_tokens(vocab); id++) {
            piece(vocab, id, false);
            putchar(' ');
            piece(vocab, id, true);
            printf(" %d\n", llama_vocab_is_eog(vocab, id));
        }
        return 0;
    }
    for (int flags; (flags = getchar()) != EOF;) {
        unsigned char size[4];
        if (fread(size, 1, 4, stdin) != 4) return 1;
        uint32_t length = size[0] | size[1] << 8 | size[2] << 16 | (uint32_t)size[3] << 24;
        char *text = malloc(length + 1);
        llama_token *ids = malloc((length + 16) * sizeof *ids);
        if (!text || !ids || fread(text, 1, length, stdin) != length) return 1;
        int32_t count = llama_tokenize(vocab, text, (int32_t)length, ids, (int32_t)length + 16, flags & 1, flags & 2);
        if (count < 0) return 1;
        for (int32_t i = 0; i < count; i++) printf(i ? ",%d" : "%d", ids[i]);
        putchar('\n');
        free(text);
        free(ids);
    }
    return 0;
}
