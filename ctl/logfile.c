/*
 * SPDX-License-Identifier: MIT
 */
#include "ctl/logfile.h"

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { CHUNK = 2 * LOGFILE_LINE_MAX };

struct logfile {
    char *path; /* owned */
    gzFile gz;  /* owned; hands on what is not compressed as it is */
    int64_t written_ms;
    int64_t size; /* bytes, compressed; 0: not known */
    bool begun, at_end;
    bool was_long;        /* the line that was told last */
    bool skipping;        /* what comes is the rest of a line that is too long */
    size_t begin, length; /* of bytes: what is read and not handed out */
    char bytes[CHUNK];
};

static int
open_path(const char *path, struct logfile *file, struct err *err)
{
    bool is_input = strcmp(path, "-") == 0;
    int fd = is_input ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    struct stat about;
    int r = 0;

    if (fd < 0)
        return err_set(err, -errno, "%s: %s", path, strerror(errno));
    if (fstat(fd, &about) < 0)
        r = -errno;
    else if (S_ISDIR(about.st_mode))
        r = -EISDIR;
    if (r < 0) {
        close(fd);
        return err_set(err, r, "%s: %s", path, strerror(-r));
    }
    file->written_ms = is_input || !S_ISREG(about.st_mode) ? clock_ms(CLOCK_REALTIME)
                                                           : (int64_t)about.st_mtim.tv_sec * 1000;
    file->size = S_ISREG(about.st_mode) ? (int64_t)about.st_size : 0;
    file->gz = mem_must(gzdopen(fd, "r"));
    gzbuffer(file->gz, CHUNK);
    return 0;
}

int
logfile_open(const char *path, struct logfile **ret_file, struct err *err)
{
    struct logfile *file = mem_new(sizeof(*file));
    int r = open_path(path, file, err);

    if (r < 0) {
        free(file);
        return r;
    }
    file->path = mem_strdup(strcmp(path, "-") == 0 ? LOGFILE_INPUT : path);
    *ret_file = file;
    return 0;
}

void
logfile_close(struct logfile *file)
{
    if (file == NULL)
        return;
    gzclose(file->gz);
    free(file->path);
    free(file);
}

int64_t
logfile_written_ms(const struct logfile *file)
{
    return file->written_ms;
}

int
logfile_percent(const struct logfile *file)
{
    int64_t read = file->size > 0 ? gzoffset(file->gz) : -1;

    if (read < 0)
        return -1;
    return read < file->size ? (int)(read * 100 / file->size) : 100;
}

bool
logfile_was_long(const struct logfile *file)
{
    return file->was_long;
}

/* Is it compressed by what is not read here?  Its bytes would be taken for lines of no log. */
static int
check_begin(struct logfile *file, struct err *err)
{
    static const struct {
        const char *bytes;
        size_t length;
        const char *cat;
    } others[] = {{"BZh", 3, "bzcat"},
                  {"\xfd"
                   "7zXZ",
                   5, "xzcat"},
                  {"\x28\xb5\x2f\xfd", 4, "zstdcat"}};

    file->begun = true;
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
        if (file->length >= others[i].length &&
            memcmp(file->bytes, others[i].bytes, others[i].length) == 0)
            return err_set(err, -EBADMSG,
                           "%s: it is compressed, and not by gzip; read it with %s, and \"-\" for "
                           "the file",
                           file->path, others[i].cat);
    return 0;
}

/* More bytes behind those that are there.  There is room. */
static int
read_more(struct logfile *file, struct err *err)
{
    int n, code;

    memmove(file->bytes, file->bytes + file->begin, file->length);
    file->begin = 0;
    n = gzread(file->gz, file->bytes + file->length, (unsigned)(CHUNK - file->length));
    if (n > 0) {
        file->length += (size_t)n;
        return file->begun ? 0 : check_begin(file, err);
    }
    file->at_end = true;
    gzerror(file->gz, &code);
    if (code == Z_ERRNO)
        return err_set(err, -EIO, "%s: %s", file->path, strerror(errno));
    if (n < 0 || code == Z_BUF_ERROR)
        return err_set(err, -EBADMSG, "%s: it is compressed, and damaged or cut", file->path);
    return 0;
}

/* Take so many bytes, and their line end if there is one. */
static struct span
take(struct logfile *file, size_t length, bool ends)
{
    struct span line = {file->bytes + file->begin, length};

    file->begin += length + ends;
    file->length -= length + ends;
    if (length > 0 && line.start[length - 1] == '\r') /* it came by way of another system */
        line.length--;
    file->was_long = file->skipping;
    if (file->skipping)
        line.length = 0;
    file->skipping = !ends;
    return line;
}

int
logfile_next(struct logfile *file, struct span *ret_line, struct err *err)
{
    for (;;) {
        const char *start = file->bytes + file->begin;
        const char *end = memchr(start, '\n', file->length);
        bool was_skipping = file->skipping;

        if (end != NULL) {
            *ret_line = take(file, (size_t)(end - start), true);
            return 1;
        }
        if (file->length > LOGFILE_LINE_MAX) {
            take(file, file->length, false);
            continue;
        }
        if (file->at_end) {
            if (file->length == 0 && !was_skipping)
                return 0;
            *ret_line = take(file, file->length, false);
            file->skipping = false;
            return 1;
        }
        int r = read_more(file, err);
        if (r < 0)
            return r;
    }
}
