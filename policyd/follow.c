/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/follow.h"

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/maillog.h"
#include "lib/mem.h"
#include "policyd/follow_files.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    SLICE = 8 * 1024, /* bytes that are read and told at a time: a lookup may wait for one */
    ROOM = FOLLOW_MARK_BYTES + MAILLOG_LINE_MAX + SLICE,
    TELL_US = 500, /* so long lines are told, then the loop's other work has its turn */
    SLICES = 8,    /* one behind the other, each a round of the loop */
    REST_MS = 1,   /* after that: who is busy all the time has to wait for a processor itself */
    LOOK_MS = 100, /* how often a file that is at its end is looked at */
    LAST_LINE_MS = 1000, /* so long an old file may get more lines when a new one is there */
    AT_ONCE = -1,
    COLD_TRIES = 20, /* looks that wait for the disk without blocking; then it is waited for */
};

struct follow {
    struct event *timer;
    char *path;
    struct follow_events events;
    int fd;        /* -1: none is open */
    bool was_away; /* it was not there at the start, so all of it is new */
    bool more;     /* there are whole lines in data */
    bool skipping; /* in the middle of a line that is too long */
    bool said;     /* that the file cannot be read */
    unsigned cold; /* tries for bytes that were not in memory */
    int slices;    /* since the last rest */
    int next; /* while path is another file, and that is still read: the one behind it; or -1 */
    int64_t old_since_looks;
    struct follow_place from; /* while no file is open: where to go on; all zero: nowhere yet */
    uint64_t inode;
    int64_t offset;          /* behind the last line that was told */
    int64_t size;            /* of the file when it was looked at last */
    struct follow_place end; /* of the file before, while nothing was told of this one */
    char data[ROOM]; /* what stands before offset, for its mark; then what is not told yet */
    size_t before;   /* bytes of the first; all there are, FOLLOW_MARK_BYTES or more */
    size_t length;   /* of both */
};

/* ------------------------------------------------------------------ opening */

static void
say_unreadable(struct follow *follow, int why)
{
    if (!follow->said)
        log_warn("feedback: %s: %s -- no results are seen until it can be read", follow->path,
                 strerror(why));
    follow->said = true;
}

static void
say_readable(struct follow *follow)
{
    if (follow->said)
        log_info("feedback: %s can be read again", follow->path);
    follow->said = false;
}

static void
close_next(struct follow *follow)
{
    if (follow->next >= 0)
        close(follow->next);
    follow->next = -1;
}

/* Go on in fd, which becomes ours, at offset. */
static void
use(struct follow *follow, int fd, int64_t offset)
{
    struct follow_place end;
    struct stat st;
    ssize_t n;

    if (fstat(fd, &st) < 0)
        memset(&st, 0, sizeof(st));
    follow_where(follow, &end);
    if (follow->fd >= 0 && follow->fd != fd)
        close(follow->fd);
    follow->end = end;
    follow->fd = fd;
    follow->inode = (uint64_t)st.st_ino;
    follow->size = st.st_size;
    follow->offset = offset;
    follow->before = offset < FOLLOW_MARK_BYTES ? (size_t)offset : FOLLOW_MARK_BYTES;
    n = pread(fd, follow->data, follow->before, offset - (int64_t)follow->before);
    if (n < (ssize_t)follow->before)
        follow->before = 0; /* it cannot be read: that is said soon */
    follow->length = follow->before;
    follow->more = false;
    /* what is left of a line would be told as one, and a stranger may have written it */
    follow->skipping = follow->before > 0 && follow->data[follow->before - 1] != '\n';
    follow->old_since_looks = 0;
    close_next(follow);
}

/* A disk that fails tells nothing of whether it is the same file. */
static bool
can_be_read(int fd, int64_t offset)
{
    char byte;

    return pread(fd, &byte, 1, offset > 0 ? offset - 1 : 0) >= 0;
}

/* Go on where it was, in the file that has that place, under whatever name. */
static void
resume(struct follow *follow)
{
    int fd = follow_files_find(follow->path, &follow->from);

    if (fd >= 0) {
        use(follow, fd, follow->from.offset);
        return;
    }
    if (errno != ENOENT) {
        say_unreadable(follow, errno);
        return;
    }
    fd = follow_files_open(follow->path);
    if (fd < 0 || !can_be_read(fd, follow->from.offset)) {
        say_unreadable(follow, errno);
        if (fd >= 0)
            close(fd);
        return;
    }
    if (follow->from.offset > 0)
        log_warn("feedback: %s is another file than before, and what it was cannot be found -- "
                 "results between the two are not seen",
                 follow->path);
    use(follow, fd, 0);
}

static void
open_at_end(struct follow *follow)
{
    int fd = follow_files_open(follow->path);
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

static void
open_it(struct follow *follow)
{
    if (follow->from.inode != 0)
        resume(follow);
    else
        open_at_end(follow);
}

static void
close_it(struct follow *follow)
{
    follow_where(follow, &follow->from);
    close_next(follow);
    close(follow->fd);
    follow->fd = -1;
}

/* ------------------------------------------------------------------ reading */

static bool
is_more_behind(const struct follow *follow, int64_t at)
{
    struct stat st;

    return fstat(follow->fd, &st) == 0 && st.st_size > at;
}

static ssize_t
read_some(struct follow *follow)
{
    int64_t at = follow->offset + (int64_t)(follow->length - follow->before);
    struct iovec iov = {follow->data + follow->length, ROOM - follow->length};
    ssize_t n = -1;

    if (iov.iov_len > SLICE)
        iov.iov_len = SLICE;
    errno = EOPNOTSUPP;
#ifdef RWF_NOWAIT
    if (follow->cold < COLD_TRIES)
        n = preadv2(follow->fd, &iov, 1, at, RWF_NOWAIT);
    /* "that is all" is what some kernels say instead (preadv2(2), BUGS) */
    if ((n < 0 && errno == EAGAIN) || (n == 0 && is_more_behind(follow, at))) {
        follow->cold++;
        posix_fadvise(follow->fd, at, SLICE, POSIX_FADV_WILLNEED);
        return -1;
    }
#endif
    if (n < 0 && (errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL))
        n = preadv(follow->fd, &iov, 1, at);
    follow->cold = 0;
    return n;
}

/*
 * Does the file still have what was read of it?  Asked behind a read: what came by that, too, is
 * then of the file as it was.  Returns 1, 0, or a negative errno: it cannot be told.
 */
static int
is_as_it_was(struct follow *follow)
{
    char bytes[FOLLOW_MARK_BYTES + MAILLOG_LINE_MAX];
    size_t length = follow->length < sizeof(bytes) ? follow->length : sizeof(bytes);
    int64_t at = follow->offset - (int64_t)follow->before;
    ssize_t n = pread(follow->fd, bytes, length, at);
    struct stat st;

    if (n < 0)
        return -errno;
    if (n != (ssize_t)length || memcmp(bytes, follow->data, length) != 0)
        return 0;
    if (fstat(follow->fd, &st) == 0)
        follow->size = st.st_size;
    return 1;
}

/* It was cut, and maybe copied before: the rest of what it was stands in that copy. */
static void
go_on_elsewhere(struct follow *follow)
{
    struct follow_place place;
    bool all_told = follow->size <= follow->offset;
    int copy;

    follow_where(follow, &place);
    copy = follow->offset > 0 ? follow_files_find_copy(follow->path, &place) : -1;
    if (copy >= 0) {
        log_info("feedback: %s was copied and cut", follow->path);
        use(follow, copy, place.offset);
        return;
    }
    if (all_told)
        log_info("feedback: %s was cut, and is read from its beginning", follow->path);
    else
        log_warn("feedback: %s was cut before it was read to its end, and there is no copy -- "
                 "results between the two are not seen",
                 follow->path);
    use(follow, follow->fd, 0);
}

/* What was told goes, save what the mark is made of. */
static void
let_go(struct follow *follow)
{
    size_t over = follow->before > FOLLOW_MARK_BYTES ? follow->before - FOLLOW_MARK_BYTES : 0;

    follow->before -= over;
    follow->length -= over;
    memmove(follow->data, follow->data + over, follow->length);
}

/* Tell the whole lines in data, or as many as there is time for, and keep the rest. */
static void
tell_lines(struct follow *follow)
{
    int64_t began_us = clock_us(CLOCK_MONOTONIC);
    char *end = follow->data + follow->length;

    follow->more = false;
    while (!follow->more) {
        char *start = follow->data + follow->before;
        char *newline = memchr(start, '\n', (size_t)(end - start));
        size_t length;

        if (newline == NULL)
            break;
        length = (size_t)(newline - start);
        follow->before += length + 1;
        follow->offset += (int64_t)length + 1;
        if (!follow->skipping)
            follow->events.on_line(follow->events.arg, start, length);
        follow->skipping = false;
        follow->more = clock_us(CLOCK_MONOTONIC) - began_us > TELL_US;
    }
    if (!follow->more && follow->length - follow->before >= MAILLOG_LINE_MAX) {
        follow->offset += (int64_t)(follow->length - follow->before); /* no log has such lines */
        follow->before = follow->length;
        follow->skipping = true;
    }
    let_go(follow);
}

/* At the end of the file: is there another one behind it, and is it used now? */
static bool
look_around(struct follow *follow)
{
    struct stat here, named, next;
    bool there = stat(follow->path, &named) == 0;
    int fd;

    if (fstat(follow->fd, &here) < 0) {
        follow->old_since_looks = 0;
        return false;
    }
    if (there && named.st_ino == here.st_ino && named.st_dev == here.st_dev) {
        follow->old_since_looks = 0;
        close_next(follow);
        say_readable(follow);
        return false;
    }
    if (follow->next < 0) /* kept open: it may be renamed and packed before its turn comes */
        follow->next = follow_files_next(follow->path, follow->fd);
    if (follow->next < 0 && !there) { /* it comes with the first line that is written to it */
        follow->old_since_looks = 0;
        return false;
    }
    if (++follow->old_since_looks * LOOK_MS < LAST_LINE_MS)
        return false; /* who writes may still have the old one open */
    follow->old_since_looks = 0;
    fd = follow->next;
    follow->next = -1;
    if (there && fd >= 0 && fstat(fd, &next) == 0 && next.st_ino == named.st_ino &&
        next.st_dev == named.st_dev) {
        /* it may have been copied and cut meanwhile: then its copy comes first */
        int first = follow_files_next(follow->path, follow->fd);

        if (first >= 0) {
            close(fd);
            fd = first;
        }
    }
    if (fd < 0) /* the old one stays open: there is nothing to go back to */
        say_unreadable(follow, errno);
    else
        use(follow, fd, 0);
    return fd >= 0;
}

static void
cannot_read(struct follow *follow, int why)
{
    say_unreadable(follow, why);
    close_it(follow);
}

/* Returns when the next step is due, in milliseconds; AT_ONCE: another file was taken up. */
static int
step(struct follow *follow)
{
    ssize_t n;

    if (follow->fd < 0) {
        open_it(follow);
        return LOOK_MS;
    }
    n = follow->more ? 0 : read_some(follow);
    if (n >= 0 && !follow->more) {
        int same = is_as_it_was(follow);

        if (same == 0) {
            go_on_elsewhere(follow);
            return AT_ONCE;
        }
        if (same < 0) {
            cannot_read(follow, -same);
            return LOOK_MS;
        }
    }
    if (n > 0 || follow->more) {
        follow->length += (size_t)n;
        tell_lines(follow);
        follow->old_since_looks = 0;
        follow->slices = (follow->slices + 1) % SLICES;
        return follow->slices == 0 ? REST_MS : 0;
    }
    if (n == 0) {
        follow->events.on_idle(follow->events.arg);
        return look_around(follow) ? AT_ONCE : LOOK_MS;
    }
    if (follow->cold > 0)
        return 1;
    cannot_read(follow, errno);
    return LOOK_MS;
}

static void
again(struct follow *follow, int ms)
{
    struct timeval time = {ms / 1000, ms % 1000 * 1000};

    event_add(follow->timer, &time);
}

/* A file that was just taken up is read from at once: at its beginning nobody can tell that it was
 * cut. */
static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct follow *follow = arg;
    int ms = step(follow);

    (void)fd;
    (void)what;
    if (ms == AT_ONCE)
        ms = step(follow);
    again(follow, ms == AT_ONCE ? 0 : ms);
}

/* --------------------------------------------------------------- the interface */

struct follow *
follow_new(struct event_base *base, const char *path, const struct follow_place *from,
           const struct follow_events *events)
{
    struct follow *follow = mem_new(sizeof(*follow));

    follow->path = mem_strdup(path);
    follow->events = *events;
    follow->fd = follow->next = -1;
    follow->timer = event_new(base, -1, 0, on_timer, follow);
    if (follow->timer == NULL)
        abort(); /* as mem_new() does */
    if (from != NULL)
        follow->from = *from;
    else
        open_it(follow); /* what is written from now on is behind its end */
    again(follow, 0);
    return follow;
}

void
follow_free(struct follow *follow)
{
    if (follow == NULL)
        return;
    event_free(follow->timer);
    close_next(follow);
    if (follow->fd >= 0)
        close(follow->fd);
    free(follow->path);
    free(follow);
}

void
follow_where(const struct follow *follow, struct follow_place *ret_place)
{
    size_t length = follow->before < FOLLOW_MARK_BYTES ? follow->before : FOLLOW_MARK_BYTES;

    if (follow->fd < 0 || (follow->offset == 0 && follow->end.inode != 0)) {
        *ret_place = follow->fd < 0 ? follow->from : follow->end;
        return;
    }
    ret_place->inode = follow->inode;
    ret_place->offset = follow->offset;
    ret_place->mark = follow_files_mark(follow->data + follow->before - length, length);
}

int64_t
follow_lag_bytes(const struct follow *follow)
{
    struct stat here, named;
    int64_t bytes;

    if (follow->fd < 0 || follow->said || fstat(follow->fd, &here) < 0)
        return -1;
    bytes = here.st_size - follow->offset;
    if (stat(follow->path, &named) == 0 &&
        (named.st_ino != here.st_ino || named.st_dev != here.st_dev))
        bytes += named.st_size; /* its turn comes behind this one */
    return bytes;
}
