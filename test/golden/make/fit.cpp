// What llama.cpp allocates for a model, without allocating it: bytes of weights, of the context and of compute
// buffers, one line for each `context,type` given. Used by fit.py, which says how it is built.
#include <cstdio>
#include <cstring>

#include "../src/llama-ext.h"
#include "ggml-backend.h"
#include "llama.h"

static ggml_type type_of(const char * name) {
    if (!strcmp(name, "q8_0")) return GGML_TYPE_Q8_0;
    if (!strcmp(name, "q4_0")) return GGML_TYPE_Q4_0;
    return GGML_TYPE_F16;
}

int main(int argc, char ** argv) {
    llama_log_set([](ggml_log_level level, const char * text, void *) { if (level == GGML_LOG_LEVEL_ERROR) fputs(text, stderr); }, nullptr);
    llama_backend_init();
    llama_model_params mparams = llama_model_default_params();
    mparams.no_alloc = true;
    mparams.load_mode = LLAMA_LOAD_MODE_NONE;
    llama_model * model = llama_model_load_from_file(argv[1], mparams);
    if (model == nullptr) return 1;
    for (int i = 2; i < argc; i++) {
        char name[16];
        int context;
        if (sscanf(argv[i], "%d,%15s", &context, name) != 2) return 2;
        llama_context_params cparams = llama_context_default_params();
        cparams.n_ctx = context;
        cparams.swa_full = false; // as llama.cpp's programs have it
        cparams.type_k = cparams.type_v = type_of(name);
        llama_context * ctx = llama_init_from_model(model, cparams);
        if (ctx == nullptr) {
            printf("refused\n");
            continue;
        }
        size_t weights = 0, cache = 0, compute = 0;
        for (const auto & [type, memory] : llama_get_memory_breakdown(ctx)) {
            weights += memory.model;
            cache += memory.context;
            compute += memory.compute;
        }
        printf("%zu %zu %zu\n", weights, cache, compute);
        llama_free(ctx);
    }
    llama_model_free(model);
}
