/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/follow.h"

#include "engine/hash.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "policyd/maillog.h"

#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    SLICE = 8 * 1024, /* bytes that are read and told at a time: a lookup may wait for one */
    ROOM = SLICE + MAILLOG_LINE_MAX,
    TELL_US = 500, /* so long lines are told, then the loop's other work has its turn */
    SLICES = 8,    /* one behind the other, each a round of the loop */
    REST_MS = 1,   /* after that: who is busy all the time has to wait for a processor itself */
    MARK_BYTES = 64,
    LOOK_MS = 100,       /* how often a file that is at its end is looked at */
    LAST_LINE_MS = 1000, /* so long an old file may get more lines when a new one is there */
    COLD_TRIES = 20,     /* looks that wait for the disk without blocking; then it is waited for */
};

struct follow {
    struct event *timer;
    char *path;
    struct follow_events events;
    int fd;        /* -1: none is open */
    bool was_away; /* it was not there at the start, so all of it is new */
    bool idle;     /* all was told when it was looked at last */
    bool more;     /* there are whole lines in data */
    bool skipping; /* in the middle of a line that is too long */
    bool said;     /* that the file cannot be read */
    unsigned cold; /* tries for bytes that were not in memory */
    int slices;    /* since the last rest */
    int64_t old_since_looks;
    struct follow_place place; /* behind the last line that was told */
    int64_t read_to;           /* offset behind what is in data */
    char data[ROOM];           /* from place.offset on; a line that is not whole stays */
    size_t length;
};

/* ------------------------------------------------------------------- places */

static uint64_t
mark_of(const char *bytes, size_t length)
{
    static const uint8_t key[HASH_KEY_SIZE] = "postpool follow";

    return hash_sip(key, bytes, length);
}

/* The mark of a place in an open file; 0: it cannot be read there. */
static uint64_t
mark_in(int fd, int64_t offset)
{
    char bytes[MARK_BYTES];
    size_t length = offset < MARK_BYTES ? (size_t)offset : MARK_BYTES;
    ssize_t n = pread(fd, bytes, length, offset - (int64_t)length);

    return n == (ssize_t)length ? mark_of(bytes, length) : 0;
}

static bool
is_place_in(int fd, const struct follow_place *place)
{
    struct stat st;

    return fstat(fd, &st) == 0 && (uint64_t)st.st_ino == place->inode &&
           st.st_size >= place->offset && mark_in(fd, place->offset) == place->mark;
}

/* ------------------------------------------------------------------ opening */

static int
open_file(const char *path)
{
    return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
}

static void
say_unreadable(struct follow *follow, int why)
{
    if (!follow->said)
        log_warn("feedback: %s: %s -- no results are seen until it can be read", follow->path,
                 strerror(why));
    follow->said = true;
}

static void
use(struct follow *follow, int fd, int64_t offset)
{
    struct stat st;
    char last;

    if (fstat(fd, &st) < 0)
        memset(&st, 0, sizeof(st));
    follow->fd = fd;
    follow->place.inode = (uint64_t)st.st_ino;
    follow->place.offset = follow->read_to = offset;
    follow->place.mark = mark_in(fd, offset);
    follow->length = 0;
    follow->more = false;
    /* what is left of a line would be told as one, and a stranger may have written it */
    follow->skipping = offset > 0 && pread(fd, &last, 1, offset - 1) == 1 && last != '\n';
}

static void
say_readable(struct follow *follow)
{
    if (follow->said)
        log_info("feedback: %s can be read again", follow->path);
    follow->said = false;
}

/* The file that path was renamed to: one beside it, with that inode.  Returns a descriptor, or -1.
 */
static int
open_renamed(const struct follow *follow, const struct follow_place *place)
{
    const char *slash = strrchr(follow->path, '/');
    char *folder = slash != NULL && slash != follow->path
                       ? mem_strndup(follow->path, (size_t)(slash - follow->path))
                       : mem_strdup(slash != NULL ? "/" : ".");
    DIR *dir = opendir(folder);
    struct dirent *entry;
    int found = -1;

    while (found < 0 && dir != NULL && (entry = readdir(dir)) != NULL) {
        char *path;

        if ((uint64_t)entry->d_ino != place->inode)
            continue;
        path = mem_printf("%s/%s", folder, entry->d_name);
        found = open_file(path);
        free(path);
        if (found >= 0 && !is_place_in(found, place)) {
            close(found);
            found = -1;
        }
    }
    if (dir != NULL)
        closedir(dir);
    free(folder);
    return found;
}

/* Go on where place says, in the file that it was, under whatever name. */
static void
resume(struct follow *follow, const struct follow_place *place)
{
    int fd = open_file(follow->path), why = errno, old;

    if (fd >= 0 && is_place_in(fd, place)) {
        use(follow, fd, place->offset);
        return;
    }
    old = open_renamed(follow, place);
    if (old >= 0) {
        if (fd >= 0)
            close(fd);
        use(follow, old, place->offset);
        return;
    }
    if (fd < 0) {
        say_unreadable(follow, why);
        return;
    }
    log_warn("feedback: %s is another file than before, and what it was cannot be found -- results "
             "between the two are not seen",
             follow->path);
    use(follow, fd, 0);
}

static void
open_at_end(struct follow *follow)
{
    int fd = open_file(follow->path);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0) {
        follow->was_away |= errno == ENOENT;
        say_unreadable(follow, errno);
        if (fd >= 0)
            close(fd);
        return;
    }
    use(follow, fd, follow->was_away ? 0 : st.st_size);
}

/* ------------------------------------------------------------------ reading */

static ssize_t
read_some(struct follow *follow)
{
    struct iovec iov = {follow->data + follow->length, ROOM - follow->length};
    ssize_t n = -1;

    if (iov.iov_len > SLICE)
        iov.iov_len = SLICE;
    errno = EOPNOTSUPP;
#ifdef RWF_NOWAIT
    if (follow->cold < COLD_TRIES)
        n = preadv2(follow->fd, &iov, 1, follow->read_to, RWF_NOWAIT);
    if (n < 0 && errno == EAGAIN) {
        follow->cold++;
        posix_fadvise(follow->fd, follow->read_to, SLICE, POSIX_FADV_WILLNEED);
        return -1;
    }
#endif
    if (n < 0 && (errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL))
        n = preadv(follow->fd, &iov, 1, follow->read_to);
    follow->cold = 0;
    return n;
}

/* Tell the whole lines in data, or as many as there is time for, and keep the rest. */
static void
tell_lines(struct follow *follow)
{
    char *start = follow->data, *end = follow->data + follow->length, *newline;
    int64_t began_us = clock_us(CLOCK_MONOTONIC);

    follow->more = false;
    while ((newline = memchr(start, '\n', (size_t)(end - start))) != NULL) {
        size_t length = (size_t)(newline - start);
        size_t behind = (size_t)(newline + 1 - follow->data);
        size_t mark_length = behind < MARK_BYTES ? behind : MARK_BYTES;

        follow->place.offset += (int64_t)length + 1;
        follow->place.mark =
            (int64_t)mark_length == follow->place.offset || mark_length == MARK_BYTES
                ? mark_of(newline + 1 - mark_length, mark_length)
                : mark_in(follow->fd, follow->place.offset);
        if (!follow->skipping)
            follow->events.on_line(follow->events.arg, start, length, &follow->place);
        follow->skipping = false;
        start = newline + 1;
        if (clock_us(CLOCK_MONOTONIC) - began_us > TELL_US) {
            follow->more = true;
            break;
        }
    }
    follow->length = (size_t)(end - start);
    memmove(follow->data, start, follow->length);
    if (!follow->more &&
        follow->length >= MAILLOG_LINE_MAX) { /* no log has such lines: pass it over */
        follow->place.offset += (int64_t)follow->length;
        follow->place.mark = mark_in(follow->fd, follow->place.offset);
        follow->length = 0;
        follow->skipping = true;
    }
}

/* At the end of the file: has path become another one? */
static void
look_around(struct follow *follow)
{
    struct stat here, named;
    int fd;

    if (fstat(follow->fd, &here) < 0 || stat(follow->path, &named) < 0) {
        follow->old_since_looks = 0;
        return;
    }
    if (named.st_ino == here.st_ino && named.st_dev == here.st_dev) {
        follow->old_since_looks = 0;
        say_readable(follow);
        return;
    }
    if (++follow->old_since_looks * LOOK_MS < LAST_LINE_MS)
        return; /* who writes may still have the old one open */
    follow->old_since_looks = 0;
    fd = open_file(follow->path);
    if (fd < 0) { /* the old one stays open: there is nothing to go back to */
        say_unreadable(follow, errno);
        return;
    }
    close(follow->fd);
    use(follow, fd, 0);
}

static void
again(struct follow *follow, int ms)
{
    struct timeval time = {ms / 1000, ms % 1000 * 1000};

    event_add(follow->timer, &time);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct follow *follow = arg;
    ssize_t n;

    (void)fd;
    (void)what;
    if (follow->fd < 0) {
        if (follow->place.inode != 0)
            resume(follow, &(struct follow_place){follow->place.inode, follow->place.offset,
                                                  follow->place.mark});
        else
            open_at_end(follow);
        again(follow, LOOK_MS);
        return;
    }
    if (follow->idle && !is_place_in(follow->fd, &follow->place)) {
        log_info("feedback: %s was cut, and is read from its beginning", follow->path);
        use(follow, follow->fd, 0);
    }
    follow->idle = false;
    n = follow->more ? 0 : read_some(follow);
    if (n > 0 || follow->more) {
        follow->read_to += n;
        follow->length += (size_t)n;
        tell_lines(follow);
        follow->old_since_looks = 0;
        follow->slices = (follow->slices + 1) % SLICES;
        again(follow, follow->slices == 0 ? REST_MS : 0);
        return;
    }
    if (n == 0) {
        follow->idle = true;
        follow->events.on_idle(follow->events.arg);
        look_around(follow);
    } else if (follow->cold == 0) {
        say_unreadable(follow, errno);
        close(follow->fd);
        follow->fd = -1; /* resume() opens it again */
    }
    again(follow, n < 0 && follow->cold > 0 ? 1 : LOOK_MS);
}

/* --------------------------------------------------------------- the interface */

struct follow *
follow_new(struct event_base *base, const char *path, const struct follow_place *from,
           const struct follow_events *events)
{
    struct follow *follow = mem_new(sizeof(*follow));

    follow->path = mem_strdup(path);
    follow->events = *events;
    follow->fd = -1;
    follow->timer = event_new(base, -1, 0, on_timer, follow);
    if (follow->timer == NULL)
        abort(); /* as mem_new() does */
    if (from != NULL && from->inode != 0)
        follow->place = *from;
    again(follow, 0);
    return follow;
}

void
follow_free(struct follow *follow)
{
    if (follow == NULL)
        return;
    event_free(follow->timer);
    if (follow->fd >= 0)
        close(follow->fd);
    free(follow->path);
    free(follow);
}

int64_t
follow_lag_bytes(const struct follow *follow)
{
    struct stat st;

    if (follow->fd < 0 || follow->said || fstat(follow->fd, &st) < 0)
        return -1;
    return st.st_size - follow->place.offset;
}
