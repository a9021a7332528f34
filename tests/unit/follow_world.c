/*
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/follow_world.h"

#include <errno.h>
#include <event2/event.h>
#include <sys/uio.h>
#include <unistd.h>

struct follow_world follow_world;

static char folder[] = "/tmp/postpool-test-XXXXXX";

static void
on_line(void *arg, const char *line, size_t length)
{
    (void)arg;
    buf_add(&follow_world.told, line, length);
    buf_puts(&follow_world.told, "\n");
    follow_where(follow_world.follow, &follow_world.place);
    if (--follow_world.wanted == 0)
        event_base_loopbreak(follow_world.base);
}

static void
on_idle(void *arg)
{
    (void)arg;
    if (follow_world.wanted == 0)
        event_base_loopbreak(follow_world.base);
}

void
follow_world_begin(const struct follow_place *from)
{
    const struct follow_events events = {on_line, on_idle, NULL};

    follow_world.base = event_base_new();
    follow_world.follow = follow_new(follow_world.base, follow_world.path, from, &events);
}

void
follow_world_wait(size_t count)
{
    follow_world.wanted = count;
    event_base_dispatch(follow_world.base);
}

void
follow_world_end(void)
{
    follow_free(follow_world.follow);
    event_base_free(follow_world.base);
}

void
follow_world_put(const char *name, const char *mode, const char *text)
{
    FILE *file = fopen(name, mode);

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* Time passes quickly here: all waits are of this module. */
int __real_event_add(struct event *event, const struct timeval *time);
int __wrap_event_add(struct event *event, const struct timeval *time);

int
__wrap_event_add(struct event *event, const struct timeval *time)
{
    enum { FASTER = 50 };
    struct timeval quick = {0, (time->tv_sec * 1000000 + time->tv_usec) / FASTER};

    return __real_event_add(event, &quick);
}

ssize_t __real_pread64(int fd, void *bytes, size_t size, off64_t at);
ssize_t __wrap_pread64(int fd, void *bytes, size_t size, off64_t at);
ssize_t __real_preadv64v2(int fd, const struct iovec *iov, int count, off64_t at, int flags);
ssize_t __wrap_preadv64v2(int fd, const struct iovec *iov, int count, off64_t at, int flags);

ssize_t
__wrap_pread64(int fd, void *bytes, size_t size, off64_t at)
{
    if (follow_world.failing > 0) {
        follow_world.failing--;
        errno = EIO;
        return -1;
    }
    return __real_pread64(fd, bytes, size, at);
}

ssize_t
__wrap_preadv64v2(int fd, const struct iovec *iov, int count, off64_t at, int flags)
{
    if (follow_world.blind > 0) {
        follow_world.blind--;
        return 0;
    }
    return __real_preadv64v2(fd, iov, count, at, flags);
}

/* What follow.c logged, a line each. */
static struct buf said;

void __wrap_log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void __wrap_log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void
say(const char *format, va_list ap)
{
    char *line = mem_vprintf(format, ap);

    buf_printf(&said, "%s\n", line);
    free(line);
}

void
__wrap_log_warn(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    say(format, ap);
    va_end(ap);
}

void
__wrap_log_info(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    say(format, ap);
    va_end(ap);
}

int
follow_world_logged(const char *text)
{
    const char *at = buf_text(&said);
    int count = 0;

    for (; (at = strstr(at, text)) != NULL; at++)
        count++;
    return count;
}

void
follow_world_look(int times)
{
    while (times-- > 0)
        event_base_loop(follow_world.base, EVLOOP_ONCE);
}

int
follow_world_make(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return 1;
    follow_world.path = mem_printf("%s/mail.log", folder);
    follow_world.old_path = mem_printf("%s/mail.log.1", folder);
    return 0;
}

int
follow_world_remove(void **state)
{
    (void)state;
    unlink(follow_world.path);
    unlink(follow_world.old_path);
    rmdir(folder);
    free(follow_world.path);
    free(follow_world.old_path);
    buf_clear(&follow_world.told);
    buf_clear(&said);
    return 0;
}

int
follow_world_setup(void **state)
{
    (void)state;
    unlink(follow_world.path);
    unlink(follow_world.old_path);
    buf_clear(&said);
    buf_clear(&follow_world.told);
    follow_world.place = (struct follow_place){0};
    return 0;
}
