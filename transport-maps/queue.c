/*
 * SPDX-License-Identifier: MIT
 */
#include "transport-maps/queue.h"

#include "lib/err.h"
#include "lib/mem.h"
#include "transport-maps/run.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <regex.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TAG "[+]pp=[a-z0-9-]{1,32}[.][a-z2-7]{12,16}[.][a-z2-7]{8}"

enum {
    /*
     * The envelope stands at a queue file's beginning; a sender that a milter
     * changed stands at its end.
     */
    CHUNK = 65536,
    DEPTH_MAX = 16, /* of hashed queue directories */
};

struct tagged {
    regex_t pattern;
    size_t count;
};

/* One message of "postqueue -j", as a line of JSON. */
static void
on_message(void *arg, const char *line)
{
    struct tagged *tagged = arg;

    if (regexec(&tagged->pattern, line, 0, NULL, 0) == 0)
        tagged->count++;
}

static int
ask_postqueue(const char *dir, struct tagged *tagged, struct err *err)
{
    const char *argv[] = {"postqueue", "-c", dir, "-j", NULL};
    struct run_result result = {0};
    int r = run(argv, on_message, tagged, &result, err);

    if (r == 0 && result.status != 0) {
        char *complaint = run_complaint(&result);

        r = err_set(err, -EIO, "the queue cannot be read: %s", complaint);
        free(complaint);
    }
    run_result_clear(&result);
    return r;
}

static bool
has_tag(const struct tagged *tagged, int fd, off_t offset)
{
    static char chunk[CHUNK + 1];
    ssize_t length = pread(fd, chunk, CHUNK, offset);

    if (length <= 0)
        return false;
    for (ssize_t i = 0; i < length; i++) {
        if (chunk[i] == '\0')
            chunk[i] = ' ';
    }
    chunk[length] = '\0';
    return regexec(&tagged->pattern, chunk, 0, NULL, 0) == 0;
}

/* Search the queue files under the open directory fd, which this closes. */
static int
search(struct tagged *tagged, int fd, int depth)
{
    DIR *dir = fdopendir(fd);
    struct dirent *entry;
    int r = 0;

    if (dir == NULL) {
        close(fd);
        return -errno;
    }
    while (r == 0 && (entry = readdir(dir)) != NULL) {
        struct stat status;
        int file;

        if (entry->d_name[0] == '.')
            continue;
        file = openat(dirfd(dir), entry->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (file < 0) {
            r = errno == ENOENT ? 0 : -errno;
        } else if (fstat(file, &status) == 0 && S_ISDIR(status.st_mode) && depth < DEPTH_MAX) {
            r = search(tagged, file, depth + 1);
        } else {
            if (has_tag(tagged, file, 0) ||
                (status.st_size > CHUNK && has_tag(tagged, file, status.st_size - CHUNK)))
                tagged->count++;
            close(file);
        }
    }
    closedir(dir);
    return r;
}

static int
search_queues(const char *queue_directory, struct tagged *tagged, struct err *err)
{
    static const char *const queues[] = {"incoming", "active", "deferred", "hold"};
    int r = 0;

    for (size_t i = 0; r == 0 && i < sizeof(queues) / sizeof(queues[0]); i++) {
        char *path = mem_printf("%s/%s", queue_directory, queues[i]);
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        /* Postfix makes its queues when they are needed. */
        if (fd >= 0)
            r = search(tagged, fd, 0);
        else if (errno != ENOENT)
            r = -errno;
        if (r < 0)
            err_set(err, r, "%s: cannot be searched for tagged mail: %s", path, strerror(-r));
        free(path);
    }
    return r;
}

int
queue_count_tagged(const char *dir, const char *queue_directory, size_t *ret_count, struct err *err)
{
    /* A '"' inside the sender is written '\"' in JSON. */
    const char *pattern = dir != NULL ? "\"sender\": *\"([^\"\\]|\\\\.)*" TAG : TAG;
    struct tagged tagged = {0};
    int r;

    if (regcomp(&tagged.pattern, pattern, REG_EXTENDED | REG_ICASE | REG_NOSUB) != 0)
        return err_set(err, -ENOMEM, "the queue cannot be read: no memory");
    r = dir != NULL ? ask_postqueue(dir, &tagged, err)
                    : search_queues(queue_directory, &tagged, err);
    if (r == 0)
        *ret_count = tagged.count;
    regfree(&tagged.pattern);
    return r;
}
