/*
 * SPDX-License-Identifier: MIT
 */
#include "lib/conf_file.h"

#include "lib/conf_scan.h"
#include "lib/file.h"
#include "lib/mem.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { INCLUDES_MAX = 10 }; /* files in one another; libconfig has the same limit */

/*
 * A name of an included file, or of one that includes it: a scan sees one file.
 * Returns out, with the line up to where the name ends.
 */
static const char *
twice(const config_t *config, char *out, size_t size)
{
    const char *file = config_error_file(config), *line;
    char *full = NULL, *text = NULL;

    if (file != NULL) /* before libconfig 1.7.3 as it stands in the @include */
        full = mem_printf("%s/%s", config_get_include_dir(config), file);
    if (full == NULL || (file_read(full, &text, NULL) < 0 && file_read(file, &text, NULL) < 0))
        text = mem_strdup("");
    line = text;
    for (int i = 1; i < config_error_line(config); i++) {
        line += strcspn(line, "\n");
        line += *line == '\n';
    }
    line += strspn(line, " \t");
    snprintf(out, size, "the same name twice in one group; every name may stand once: %.*s",
             (int)strcspn(line, " \t\r\n=:{"), line);
    free(text);
    free(full);
    return out;
}

static void
syntax_problem(struct conf_reader *reader, const config_t *config)
{
    const char *file = config_error_file(config);
    const char *text = config_error_text(config);
    char where[512], duplicate[200];

    if (file == NULL)
        file = reader->file;
    if (config_error_type(config) == CONFIG_ERR_FILE_IO) {
        conf_problems_add(reader->problems, false, file, "cannot be read");
        return;
    }
    snprintf(where, sizeof(where), "%s:%d", file, config_error_line(config));
    if (text != NULL && strcmp(text, "duplicate setting name") == 0)
        text = twice(config, duplicate, sizeof(duplicate));
    else if (text != NULL && strcmp(text, "syntax error") == 0)
        text =
            "syntax error at or before this line; a setting is NAME = VALUE; with a semicolon at "
            "its end";
    conf_problems_add(reader->problems, false, where, text != NULL ? text : "syntax error");
}

/* A file on its way through conf_scan(). */
struct scanned {
    struct conf_reader *reader; /* not ours */
    const char *file;           /* its name, for problems */
    const char *folder;         /* where libconfig looks for includes */
    int depth;                  /* how many files include this one */
};

static bool scan_file(const struct scanned *scanned, const char *path);

static void
on_scan_problem(void *arg, unsigned line, const char *text)
{
    const struct scanned *scanned = arg;
    char where[512];

    snprintf(where, sizeof(where), "%s:%u", scanned->file, line);
    conf_problems_add(scanned->reader->problems, false, where, text);
}

static bool
on_scan_include(void *arg, unsigned line, const char *path)
{
    const struct scanned *scanned = arg;
    struct scanned inner;
    char text[600];
    char *full;
    bool fine;

    if (scanned->depth == INCLUDES_MAX) {
        snprintf(text, sizeof(text),
                 "@include \"%.400s\" is %d files deep; does it include itself?", path,
                 scanned->depth);
        on_scan_problem(arg, line, text);
        return false;
    }
    full = mem_printf("%s/%s", scanned->folder, path);
    fine = access(full, R_OK) == 0;
    if (!fine) {
        snprintf(text, sizeof(text), "@include \"%.200s\": %.200s: %s", path, full,
                 strerror(errno));
        on_scan_problem(arg, line, text);
    }
    inner = (struct scanned){scanned->reader, path, scanned->folder, scanned->depth + 1};
    fine = fine && scan_file(&inner, full);
    free(full);
    return fine;
}

static bool
scan_text(const struct scanned *scanned, const char *text)
{
    struct conf_scan scan = {on_scan_problem, on_scan_include, (void *)scanned};

    return conf_scan(&scan, text);
}

/* Look at the file at path, and at those that it includes. */
static bool
scan_file(const struct scanned *scanned, const char *path)
{
    char *text = NULL;
    bool fine;
    int r = file_read(path, &text, NULL);

    if (r < 0) {
        conf_problems_add(scanned->reader->problems, false, scanned->file,
                          r == -EILSEQ ? "holds a byte 0; it must be text" : strerror(-r));
        return false;
    }
    fine = scan_text(scanned, text);
    free(text);
    return fine;
}

bool
conf_file_parse(struct conf_reader *reader, config_t *config, const char *text)
{
    const char *file = reader->file;
    char *copy = mem_strdup(file);
    struct scanned scanned = {reader, file, dirname(copy), 0};
    bool fine = text != NULL ? scan_text(&scanned, text) : scan_file(&scanned, file);

    config_set_include_dir(config, scanned.folder);
    if (fine) {
        fine = (text != NULL ? config_read_string(config, text) : config_read_file(config, file)) ==
               CONFIG_TRUE;
        if (!fine)
            syntax_problem(reader, config);
    }
    free(copy);
    return fine;
}
