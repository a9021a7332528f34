/*
 * SPDX-License-Identifier: MIT
 */
#include "transport-maps/files.h"

#include "lib/err.h"
#include "lib/file.h"
#include "lib/mem.h"
#include "transport-maps/site.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char *
table_path(const struct site *site, size_t i)
{
    return mem_printf("%s/postpool/%s", site->dir, table_names[i]);
}

static char *
copy_of(const char *text)
{
    return text != NULL ? mem_strdup(text) : NULL;
}

struct files
files_present(const struct site *site)
{
    struct files files = {
        .main = mem_strdup(site->main_text),
        .master = mem_strdup(site->master_text),
    };

    for (size_t i = 0; i < TABLE_COUNT; i++) {
        char *path = table_path(site, i);

        file_read(path, &files.tables[i], NULL);
        free(path);
    }
    return files;
}

struct files
files_copy(const struct files *files)
{
    struct files copy = {.main = copy_of(files->main), .master = copy_of(files->master)};

    for (size_t i = 0; i < TABLE_COUNT; i++)
        copy.tables[i] = copy_of(files->tables[i]);
    return copy;
}

void
files_clear(struct files *files)
{
    free(files->main);
    free(files->master);
    for (size_t i = 0; i < TABLE_COUNT; i++)
        free(files->tables[i]);
    *files = (struct files){0};
}

/* No text is wanted, or this one. */
static bool
has(const char *now, const char *wanted)
{
    return wanted == NULL || (now != NULL && strcmp(now, wanted) == 0);
}

bool
files_have(const struct files *now, const struct files *wanted)
{
    for (size_t i = 0; i < TABLE_COUNT; i++)
        if (!has(now->tables[i], wanted->tables[i]))
            return false;
    return has(now->main, wanted->main) && has(now->master, wanted->master);
}

static int
write_one(const char *path, char **now, const char *wanted, struct err *err)
{
    int r;

    if (has(*now, wanted))
        return 0;
    r = file_write(path, wanted, err);
    if (r == 0) {
        free(*now);
        *now = mem_strdup(wanted);
    }
    return r;
}

static int
make_directory(const struct site *site, struct err *err)
{
    char *path = mem_printf("%s/postpool", site->dir);
    int r = 0;

    if (mkdir(path, 0755) == 0) {
        if (chmod(path, 0755) < 0) /* whatever the umask is, Postfix's users must get in */
            r = err_set(err, -errno, "%s: %s", path, strerror(errno));
    } else if (errno != EEXIST) {
        r = err_set(err, -errno, "%s: cannot be made: %s", path, strerror(errno));
    }
    free(path);
    return r;
}

int
files_write(const struct site *site, struct files *now, const struct files *wanted, struct err *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < TABLE_COUNT; i++) {
        char *path = table_path(site, i);

        if (wanted->tables[i] != NULL)
            r = make_directory(site, err);
        if (r == 0)
            r = write_one(path, &now->tables[i], wanted->tables[i], err);
        free(path);
    }
    if (r == 0)
        r = write_one(site->master_path, &now->master, wanted->master, err);
    if (r == 0)
        r = write_one(site->main_path, &now->main, wanted->main, err);
    return r;
}

int
files_remove_tables(const struct site *site, struct files *now, const struct files *wanted,
                    struct err *err)
{
    bool any = false;
    int r = 0;

    for (size_t i = 0; r == 0 && i < TABLE_COUNT; i++) {
        char *path = table_path(site, i);

        if (wanted->tables[i] == NULL && now->tables[i] != NULL) {
            r = file_remove(path, err);
            free(now->tables[i]);
            now->tables[i] = NULL;
        }
        any |= wanted->tables[i] != NULL;
        free(path);
    }
    if (r == 0 && !any) {
        char *path = mem_printf("%s/postpool", site->dir);

        if (rmdir(path) < 0 && errno == ENOTEMPTY)
            r = 1;
        free(path);
    }
    return r;
}
