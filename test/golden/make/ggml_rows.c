// What ggml makes of rows of floats; the program that ../compare-ggml.mjs asks for.
//
//   cc -O2 -fopenmp -I <llama.cpp>/ggml/include ggml_rows.c <build>/ggml/src/libggml-base.a -lm -lpthread -lstdc++ -o ggml_rows
//   ggml_rows <type id> <n_per_row> <in.f32> <out.bin> [imatrix.f32 or -] [back.f32]
//
// Writes ggml_quantize_chunk of the rows to out.bin, and what the type's to_float reads in it to back.f32. Prints the best
// speed over eight rows.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ggml.h"

static float * load(const char * path, size_t * count) {
    FILE * file = fopen(path, "rb");
    if (!file) exit(1);
    fseek(file, 0, SEEK_END);
    *count = ftell(file) / 4;
    rewind(file);
    float * values = malloc(*count * 4);
    if (fread(values, 4, *count, file) != *count) exit(1);
    fclose(file);
    return values;
}

static void save(const char * path, const void * data, size_t bytes) {
    FILE * file = fopen(path, "wb");
    if (!file || fwrite(data, 1, bytes, file) != bytes) exit(1);
    fclose(file);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + 1e-9 * t.tv_nsec;
}

int main(int argc, char ** argv) {
    const int type = atoi(argv[1]);
    const size_t length = atol(argv[2]);
    size_t count, columns;
    const float * x = load(argv[3], &count);
    const float * imatrix = argc > 5 && strcmp(argv[5], "-") ? load(argv[5], &columns) : NULL;
    const size_t rows = count / length, row_size = ggml_row_size(type, length);
    char * out = calloc(rows, row_size);
    ggml_quantize_init(type);
    double best = 1e30;
    for (size_t row = 0; row < rows; row += 8) {
        const size_t part = rows - row < 8 ? rows - row : 8;
        const double start = now();
        ggml_quantize_chunk(type, x, out, row * length, part, length, imatrix);
        const double time = now() - start;
        if (part == 8 && time < best) best = time;
    }
    save(argv[4], out, rows * row_size);
    if (argc > 6) {
        float * back = malloc(count * 4);
        ggml_get_type_traits(type)->to_float(out, back, count);
        save(argv[6], back, count * 4);
    }
    printf("%g weights/s\n", 8 * length / best);
    return 0;
}
