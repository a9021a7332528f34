/*
 * SPDX-License-Identifier: MIT
 */
#include "lib/file.h"

#include "lib/err.h"
#include "lib/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LOCK_LOOK_MS = 50 };

static int
read_all(int fd, struct buf *text)
{
    char chunk[65536];
    ssize_t length;

    while ((length = read(fd, chunk, sizeof(chunk))) != 0) {
        if (length < 0 && errno == EINTR)
            continue;
        if (length < 0)
            return -errno;
        if (memchr(chunk, '\0', (size_t)length) != NULL)
            return -EILSEQ;
        if (text->length + (size_t)length > FILE_SIZE_MAX)
            return -EFBIG;
        buf_add(text, chunk, (size_t)length);
    }
    return 0;
}

int
file_read(const char *path, char **ret_text, struct err *err)
{
    struct buf text = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int r = fd >= 0 ? read_all(fd, &text) : -errno;

    if (fd >= 0)
        close(fd);
    if (r == -EILSEQ)
        err_set(err, r, "%s: has a NUL byte in it", path);
    else if (r < 0)
        err_set(err, r, "%s: %s", path, strerror(-r));
    else
        *ret_text = buf_take(&text);
    buf_clear(&text);
    return r;
}

static int
write_all(int fd, const char *bytes, size_t left)
{
    while (left > 0) {
        ssize_t length = write(fd, bytes, left);

        if (length < 0 && errno == EINTR)
            continue;
        if (length < 0)
            return -errno;
        bytes += length;
        left -= (size_t)length;
    }
    return fsync(fd) < 0 ? -errno : 0;
}

/* What is to be in a file. */
struct content {
    const char *bytes;
    size_t length;
    bool closed; /* a new file is for the owner of its directory, not for everybody */
};

/* Whose the new file is to be: that of the old one, else as its directory has it.  0 or -errno. */
static int
find_owner(const char *path, const struct content *content, struct stat *ret)
{
    char *copy;
    int r;

    if (stat(path, ret) == 0)
        return 0;
    r = -errno;
    if (r == -ENOENT && content->closed) {
        copy = mem_strdup(path);
        r = stat(dirname(copy), ret) == 0 ? 0 : -errno;
        free(copy);
    } else if (r == -ENOENT) {
        ret->st_uid = geteuid();
        ret->st_gid = getegid();
        r = 0;
    }
    ret->st_mode = content->closed ? 0640 : 0644;
    return r;
}

/* Give the new file the owner and mode of the old one, then what is to be in it. */
static int
fill(int fd, const char *path, const struct content *content)
{
    struct stat old;
    int r = find_owner(path, content, &old);

    if (r < 0)
        return r;
    if ((old.st_uid != geteuid() || old.st_gid != getegid()) &&
        fchown(fd, old.st_uid, old.st_gid) < 0 && !(content->closed && errno == EPERM))
        return -errno;
    if (fchmod(fd, old.st_mode & 07777) < 0)
        return -errno;
    return write_all(fd, content->bytes, content->length);
}

/* That of path; or a negative errno. */
static int
open_directory(const char *path)
{
    char *copy = mem_strdup(path);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = fd >= 0 ? fd : -errno;

    free(copy);
    return r;
}

/* Make a rename in the directory of path last through a crash. */
static int
sync_directory(const char *path)
{
    int fd = open_directory(path);
    int r = fd < 0 ? fd : fsync(fd) == 0 ? 0 : -errno;

    if (fd >= 0)
        close(fd);
    return r;
}

/* Always the same, so that what a crash leaves is found again. */
static char *
new_name(const char *target)
{
    return mem_printf("%s.postpool-new", target);
}

static int
replace(const char *path, const struct content *content, struct err *err)
{
    char *real = realpath(path, NULL);
    const char *target = real != NULL ? real : path;
    char *name = new_name(target);
    int fd;
    int r;

    unlink(name); /* of a run that was ended in the middle */
    fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    r = fd >= 0 ? fill(fd, target, content) : -errno;
    if (fd >= 0 && close(fd) < 0 && r == 0)
        r = -errno;
    if (r == 0 && rename(name, target) < 0)
        r = -errno;
    if (r == 0)
        r = sync_directory(target);
    else if (fd >= 0)
        unlink(name);
    if (r < 0)
        err_set(err, r, "%s: cannot be written: %s", path, strerror(-r));
    free(name);
    free(real);
    return r;
}

int
file_write(const char *path, const char *text, struct err *err)
{
    return replace(path, &(struct content){text, strlen(text), false}, err);
}

int
file_write_bytes(const char *path, const void *bytes, size_t length, struct err *err)
{
    return replace(path, &(struct content){bytes, length, true}, err);
}

int
file_lock(const char *path, int wait_ms, struct err *err)
{
    static const struct timespec pause = {0, LOCK_LOOK_MS * 1000000L};
    int fd = open_directory(path);

    if (fd < 0)
        return err_set(err, fd, "%s: its directory cannot be opened: %s", path, strerror(-fd));
    while (flock(fd, LOCK_EX | LOCK_NB) < 0 && (errno == EWOULDBLOCK || errno == EINTR)) {
        if (wait_ms <= 0) {
            close(fd);
            return err_set(err, -EBUSY, "%s: another program is at it", path);
        }
        nanosleep(&pause, NULL);
        wait_ms -= LOCK_LOOK_MS;
    }
    return fd; /* also where the file system has no locks for directories */
}

int
file_remove(const char *path, struct err *err)
{
    char *name = new_name(path);

    unlink(name);
    free(name);
    if (unlink(path) < 0 && errno != ENOENT)
        return err_set(err, -errno, "%s: cannot be removed: %s", path, strerror(errno));
    return 0;
}
