// How llama.cpp goes on from a text, always with the likeliest token: one line of JSON with the ids of the text, the
// new ids, their pieces, ln p and the lead of the best logit over the second. Used by generate_llama_cpp.py, which says
// how it is built. Keys and values in f32, no flash attention; the text in one batch, then token by token.
// usage: generate <model.gguf> <new tokens> <text> ...
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "llama.h"

static std::string piece_of(const llama_vocab * vocab, llama_token token) {
    char buffer[256];
    const int length = llama_token_to_piece(vocab, token, buffer, sizeof buffer, 0, false);
    return std::string(buffer, length < 0 ? 0 : length);
}

static std::string quoted(const std::string & text) {
    std::string out = "\"";
    for (const unsigned char c : text) {
        char escape[8];
        snprintf(escape, sizeof escape, "\\u%04x", c);
        out += c < 0x20 || c == '"' || c == '\\' ? escape : std::string(1, c);
    }
    return out + "\"";
}

template <typename T> static std::string list(const std::vector<T> & values, const char * format) {
    std::string out = "[";
    for (const T value : values) {
        char text[32];
        snprintf(text, sizeof text, format, value);
        out += (out.size() > 1 ? ", " : "") + std::string(text);
    }
    return out + "]";
}

int main(int argc, char ** argv) {
    llama_log_set([](ggml_log_level level, const char * text, void *) { if (level == GGML_LOG_LEVEL_ERROR) fputs(text, stderr); }, nullptr);
    llama_backend_init();
    llama_model * model = llama_model_load_from_file(argv[1], llama_model_default_params());
    if (model == nullptr) return 1;
    const llama_vocab * vocab = llama_model_get_vocab(model);
    const int fresh = atoi(argv[2]), size = llama_vocab_n_tokens(vocab);
    for (int i = 3; i < argc; i++) {
        llama_context_params params = llama_context_default_params();
        params.n_ctx = 256;
        params.n_threads = params.n_threads_batch = 1;
        params.type_k = params.type_v = GGML_TYPE_F32;
        params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
        llama_context * context = llama_init_from_model(model, params);
        if (context == nullptr) return 1;
        const std::string text = argv[i];
        std::vector<llama_token> prompt(text.size() + 8), tokens;
        prompt.resize(llama_tokenize(vocab, text.data(), text.size(), prompt.data(), prompt.size(), true, true));
        std::vector<double> logprobs, margins;
        std::string continuation;
        llama_batch batch = llama_batch_get_one(prompt.data(), prompt.size());
        while (true) {
            if (llama_decode(context, batch) != 0) return 1;
            const float * logits = llama_get_logits_ith(context, -1);
            int best = 0, second = -1;
            for (int t = 1; t < size; t++) {
                if (logits[t] > logits[best]) second = best, best = t;
                else if (second < 0 || logits[t] > logits[second]) second = t;
            }
            double sum = 0;
            for (int t = 0; t < size; t++) sum += exp((double) logits[t] - logits[best]);
            tokens.push_back(best);
            logprobs.push_back(-log(sum));
            margins.push_back((double) logits[best] - logits[second]);
            continuation += piece_of(vocab, best);
            if ((int) tokens.size() == fresh || llama_vocab_is_eog(vocab, best)) break;
            batch = llama_batch_get_one(&tokens.back(), 1);
        }
        printf("{\"text\": %s, \"prompt\": %s, \"tokens\": %s, \"continuation\": %s, \"logprobs\": %s, \"margins\": %s}\n", quoted(text).c_str(),
               list(prompt, "%d").c_str(), list(tokens, "%d").c_str(), quoted(continuation).c_str(), list(logprobs, "%.6f").c_str(), list(margins, "%.6g").c_str());
        llama_free(context);
    }
    llama_model_free(model);
}
