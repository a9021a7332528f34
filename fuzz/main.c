/*
 * Run a fuzz target over files, and over the files in folders.
 *
 * For compilers without libFuzzer, and for "make check": without an argument
 * the target's own corpus is replayed.  A finding ends the program.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz/fuzz.h"

#include "lib/mem.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

enum { FILE_MAX = 1 << 20 };

static const char *at; /* the file that is being run */

static void
on_abort(int number)
{
    if (at != NULL)
        fprintf(stderr, "this was %s\n", at);
    signal(number, SIG_DFL);
    raise(number);
}

static int
complain(const char *path)
{
    fprintf(stderr, "%s: %s\n", path, strerror(errno));
    return -1;
}

/* Returns 1, or -1 after a complaint. */
static int
run_file(const char *path)
{
    static uint8_t room[FILE_MAX];
    FILE *file = fopen(path, "rb");
    uint8_t *data;
    size_t size;

    if (file == NULL)
        return complain(path);
    size = fread(room, 1, sizeof(room), file);
    fclose(file);
    data = mem_array(size, 1); /* no more than the file has: a sanitizer watches its end */
    memcpy(data, room, size);
    at = path;
    LLVMFuzzerTestOneInput(data, size);
    at = NULL;
    free(data);
    return 1;
}

static int run(const char *path);

/* Returns how many files were run, or -1 after a complaint. */
static int
run_folder(const char *path)
{
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, alphasort);
    int runs = 0;

    if (count < 0)
        return complain(path);
    for (int i = 0; i < count; i++) {
        char *inside = mem_printf("%s/%s", path, entries[i]->d_name);
        int r = entries[i]->d_name[0] == '.' || runs < 0 ? 0 : run(inside);

        runs = r < 0 ? r : runs + r;
        free(inside);
        free(entries[i]);
    }
    free(entries);
    return runs;
}

static int
run(const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return complain(path);
    return S_ISDIR(st.st_mode) ? run_folder(path) : run_file(path);
}

/* SRCDIR/fuzz/corpus/TARGET; make sets srcdir for its tests. */
static char *
own_corpus(const char *program)
{
    const char *top = getenv("srcdir");
    const char *slash = strrchr(program, '/');
    const char *name = slash != NULL ? slash + 1 : program;

    if (strncmp(name, "lt-", 3) == 0)
        name += 3;
    return mem_printf("%s/fuzz/corpus/%s", top != NULL ? top : ".", name);
}

int
main(int argc, char **argv)
{
    char *corpus = argc < 2 ? own_corpus(argv[0]) : NULL;
    int total = 0;

    signal(SIGABRT, on_abort);
    for (int i = argc < 2 ? 0 : 1; i < argc; i++) {
        int runs = run(corpus != NULL ? corpus : argv[i]);

        if (runs < 0) {
            free(corpus);
            return 1;
        }
        total += runs;
    }
    printf("%s: %d inputs\n", argv[0], total);
    free(corpus);
    return total > 0 ? 0 : 1;
}
