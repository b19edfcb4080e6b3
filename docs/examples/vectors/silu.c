/* A SiLU in C, judged by the vectors that `numixology vectors write DIR --format raw
 * --dtype float32` wrote, and its results written for `numixology vectors compare DIR RESULTS`.
 *
 *     cc -std=c99 -O2 -o silu silu.c -lm
 *     mkdir RESULTS && ./silu DIR RESULTS
 *
 * It reads index.tsv, so it needs no JSON, and expects a little-endian machine, as the files are.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is judged. exp of a large number is infinite, and x divided by that is 0, as it should be.
 */
static float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

static float silu(float x) { return x / (1.0f + expf(-x)); }

/* 1 - sigmoid(x) would lose its digits where x is large; sigmoid(-x) does not. */
static float silu_slope(float x) { return sigmoid(x) * (1.0f + x * sigmoid(-x)); }

/* The rest is what any backend needs. */

enum { PASS = 0, FAIL = 1, USAGE = 2, UNSUPPORTED = 4 };

static void stop(int status, const char *message, const char *what) {
    fprintf(stderr, "silu: %s %s\n", message, what);
    exit(status);
}

/* `length` bytes of a file from `offset`. */
static void *load(const char *folder, const char *name, long offset, long length) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    void *bytes = malloc(length > 0 ? (size_t)length : 1);
    FILE *file = fopen(path, "rb");
    if (bytes == NULL || file == NULL || fseek(file, offset, SEEK_SET) != 0 ||
        fread(bytes, 1, (size_t)length, file) != (size_t)length)
        stop(USAGE, "cannot read", path);
    fclose(file);
    return bytes;
}

/* A result has a file of its own, named by its key. */
static void save(const char *folder, const char *key, const float *values, long count) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.bin", folder, key);
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(values, sizeof *values, (size_t)count, file) != (size_t)count ||
        fclose(file) != 0)
        stop(USAGE, "cannot write", path);
}

/* The largest error, in roundings of each number's scale. */
static double error_of(const float *got, const double *true_, const double *scale, long count) {
    const double unit = 0x1p-24, overflow = 0x1.ffffffp127; /* float32, as the manifest says */
    double worst = 0;
    for (long i = 0; i < count; i++) {
        double farthest = fabs(true_[i]) + 8 * scale[i] * unit;
        if (got[i] == true_[i] || (isnan(got[i]) && isnan(true_[i])) ||
            (isinf(got[i]) && (got[i] > 0) == (true_[i] > 0) && farthest >= overflow))
            continue;
        double error = fabs(got[i] - true_[i]) / scale[i] / unit;
        if (!(error <= worst)) /* NaN is larger than everything */
            worst = isnan(error) ? INFINITY : error;
    }
    return worst;
}

int main(int argc, char **argv) {
    if (argc != 3)
        stop(USAGE, "usage: silu", "VECTORS RESULTS");
    char path[4096], line[4096];
    snprintf(path, sizeof path, "%s/index.tsv", argv[1]);
    FILE *index = fopen(path, "r");
    if (index == NULL)
        stop(USAGE, "cannot read", path);

    float *x = NULL, *cotangent = NULL; /* of the case whose lines are being read */
    int tensors = 0, failures = 0;
    double worst = 0;
    while (fgets(line, sizeof line, index) != NULL) {
        /* case role name file offset length dtype shape bound scale_offset settings */
        char name[256], role[16], input[128], file[64], dtype[16];
        long offset, length, scale_offset = 0;
        double bound = 0;
        if (line[0] == '#')
            continue;
        int fields = sscanf(line, "%255s %15s %127s %63s %ld %ld %15s %*s %lf %ld", name, role,
                            input, file, &offset, &length, dtype, &bound, &scale_offset);
        if (fields < 7)
            stop(USAGE, "cannot understand the line", line);
        if (strncmp(name, "silu.", 5) != 0)
            continue;
        int given = strcmp(role, "input") == 0 || strcmp(role, "cotangent") == 0;
        if (given && strcmp(dtype, "float32") != 0)
            stop(UNSUPPORTED, "this SiLU is for float32, and not for", dtype);

        if (strcmp(role, "input") == 0) {
            free(x);
            x = load(argv[1], file, offset, length);
        } else if (strcmp(role, "cotangent") == 0) {
            free(cotangent);
            cotangent = load(argv[1], file, offset, length);
        } else if (strcmp(role, "output") == 0 || strcmp(role, "gradient") == 0) {
            int forward = strcmp(role, "output") == 0;
            long count = length / (long)sizeof(double);
            double *true_ = load(argv[1], file, offset, length);
            double *scale = load(argv[1], file, scale_offset, length);
            float *got = malloc((size_t)count * sizeof *got + 1);
            if (got == NULL || x == NULL || cotangent == NULL)
                stop(USAGE, "nothing to calculate with for", name);
            for (long i = 0; i < count; i++)
                got[i] = forward ? silu(x[i]) : cotangent[i] * silu_slope(x[i]);

            char key[512];
            snprintf(key, sizeof key, forward ? "%s.output" : "%s.gradient.%s", name, input);
            save(argv[2], key, got, count);
            double error = error_of(got, true_, scale, count);
            if (error > bound) {
                printf("%s is off by %g roundings, and may be by %g\n", key, error, bound);
                failures++;
            }
            worst = fmax(worst, error / bound);
            tensors++;
            free(true_);
            free(scale);
            free(got);
        }
    }
    fclose(index);
    free(x);
    free(cotangent);
    if (tensors == 0)
        stop(UNSUPPORTED, "no vectors for silu in", argv[1]);
    printf("silu: %d tensors, %d failures, at most %.2g of the bound\n", tensors, failures, worst);
    return failures ? FAIL : PASS;
}
