/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/engagements.h"

#include "engine/decide.h"
#include "lib/conf.h"
#include "lib/engagement.h"
#include "lib/err.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "policyd/control.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* What tells one file from the next. */
struct identity {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
};

/* Its bytes, and what they are. */
struct loaded {
    void *bytes; /* owned, of mmap(); NULL: there is none */
    size_t length;
    struct engagement engagement;
};

/* One look.  Belongs to the thread until it has written. */
struct look {
    char *path;            /* owned */
    struct identity known; /* the file that was looked at last */
    bool same;             /* it still is that one */
    int r;                 /* 0, or a negative errno: -ENOENT: there is none */
    struct err err;
    struct loaded loaded; /* where it is another, and right */
};

struct engagements {
    char *path; /* owned; "none" */
    bool hints; /* the site has them, so that somebody knows of activity */
    struct loaded now;
    struct identity known;
    char *refused; /* why the last one was; owned; NULL: it was not */
    struct event *tick;

    bool running; /* the thread */
    bool again;   /* it was asked for meanwhile */
    pthread_t thread;
    int ends[2]; /* the thread writes when it is done */
    struct event *finished;
    struct look look;
    struct control_call *calls[ENGAGEMENTS_CALLS_MAX]; /* who waits for it */
    size_t call_count;
};

/* ---------------------------------------------------------- what may take time */

static void
unload(struct loaded *loaded)
{
    if (loaded->bytes != NULL)
        munmap(loaded->bytes, loaded->length);
    *loaded = (struct loaded){0};
}

static int
read_bytes(int fd, uint8_t *bytes, size_t length)
{
    while (length > 0) {
        ssize_t n = read(fd, bytes, length);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO; /* it became shorter */
        bytes += n;
        length -= (size_t)n;
    }
    return 0;
}

/* Of a file that is open. */
static int
load(int fd, size_t length, struct loaded *ret_loaded, struct err *err)
{
    struct loaded loaded = {.length = length};
    int r;

    if (length / sizeof(uint64_t) > ENGAGEMENT_MAX + ENGAGEMENT_HEAD)
        return err_set(err, -EFBIG, "has more than %d recipients", ENGAGEMENT_MAX);
    loaded.bytes = mmap(NULL, length > 0 ? length : 1, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (loaded.bytes == MAP_FAILED)
        return err_set(err, -ENOMEM, "does not fit into memory");
    r = read_bytes(fd, loaded.bytes, length);
    if (r < 0)
        err_set(err, r, "cannot be read: %s", strerror(-r));
    else
        r = engagement_read(loaded.bytes, length, &loaded.engagement, err);
    if (r < 0) {
        unload(&loaded);
        return r;
    }
    *ret_loaded = loaded;
    return 0;
}

static bool
is_same(const struct identity *a, const struct identity *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

static int
look_at_file(struct look *look)
{
    struct identity identity, known = look->known;
    struct stat st;
    int fd, r;

    look->known = (struct identity){0}; /* what cannot be read is looked at again */
    if (strcmp(look->path, "none") == 0)
        return -ENOENT;
    fd = open(look->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return err_set(&look->err, -errno, "cannot be opened: %s", strerror(errno));
    r = fstat(fd, &st) < 0 ? -errno : S_ISREG(st.st_mode) ? 0 : -EINVAL;
    if (r < 0) {
        err_set(&look->err, r, "is no file");
    } else {
        identity = (struct identity){st.st_dev, st.st_ino, st.st_size, st.st_mtim};
        look->same = is_same(&identity, &known);
        if (!look->same)
            r = load(fd, (size_t)st.st_size, &look->loaded, &look->err);
        if (r == 0 || r == -EINVAL || r == -EFBIG)
            look->known = identity;
    }
    close(fd);
    return r;
}

/* ---------------------------------------------------------------- on the loop */

static void *
let_go(void *arg)
{
    struct loaded *loaded = arg;

    unload(loaded);
    free(loaded);
    return NULL;
}

/* Giving back a hundred megabytes takes longer than a lookup may. */
static void
unload_aside(struct loaded *loaded)
{
    struct loaded *copy;
    pthread_t thread;

    if (loaded->bytes == NULL)
        return;
    copy = mem_new(sizeof(*copy));
    *copy = *loaded;
    *loaded = (struct loaded){0};
    if (pthread_create(&thread, NULL, let_go, copy) != 0)
        let_go(copy);
    else
        pthread_detach(thread);
}

static const char *
without(const struct engagements *engagements)
{
    return engagements->hints ? "hints alone tell of activity" : "nobody is asked for activity";
}

static void
refuse(struct engagements *engagements, const struct look *look)
{
    if (engagements->refused == NULL || strcmp(engagements->refused, look->err.msg) != 0)
        log_warn("%s %s -- %s", engagements->path, look->err.msg,
                 engagements->now.bytes != NULL ? "the one before stays in use"
                                                : without(engagements));
    free(engagements->refused);
    engagements->refused = mem_strdup(look->err.msg);
}

static void
take_over(struct engagements *engagements, struct look *look)
{
    bool was = engagements->now.bytes != NULL;

    engagements->known = look->known;
    if (look->same)
        return; /* taken over or refused, as it was */
    if (look->r == -ENOENT) {
        if (was)
            log_info("%s: there is none any more, %s", engagements->path, without(engagements));
        unload_aside(&engagements->now);
    } else if (look->r < 0) {
        refuse(engagements, look);
        return;
    } else {
        unload_aside(&engagements->now);
        engagements->now = look->loaded;
        look->loaded = (struct loaded){0};
        log_info("%s: taken over, %zu recipients", engagements->path,
                 engagements->now.engagement.count);
    }
    free(engagements->refused);
    engagements->refused = NULL;
}

static void
answer_all(struct engagements *engagements)
{
    struct buf text = {0};

    if (engagements->refused != NULL)
        buf_printf(&text, "error: %s %s", engagements->path, engagements->refused);
    else if (engagements->now.bytes == NULL)
        buf_printf(&text, "error: %s: there is no such file", engagements->path);
    else
        buf_printf(&text, "%zu recipients", engagements->now.engagement.count);
    for (size_t i = 0; i < engagements->call_count; i++)
        control_answer(engagements->calls[i], buf_text(&text));
    engagements->call_count = 0;
    buf_clear(&text);
}

static void
look_begin(struct engagements *engagements, struct look *look)
{
    *look = (struct look){.path = mem_strdup(engagements->path), .known = engagements->known};
}

/* Its path is another's now if the configuration changed meanwhile. */
static bool
look_end(struct engagements *engagements, struct look *look)
{
    bool ours = strcmp(look->path, engagements->path) == 0;

    if (ours)
        take_over(engagements, look);
    unload(&look->loaded);
    free(look->path);
    look->path = NULL;
    return ours;
}

static void *
run(void *arg)
{
    struct engagements *engagements = arg;

    engagements->look.r = look_at_file(&engagements->look);
    if (write(engagements->ends[1], "", 1) != 1)
        abort(); /* an empty pipe takes a byte */
    return NULL;
}

static void
begin(struct engagements *engagements)
{
    engagements->again = false;
    look_begin(engagements, &engagements->look);
    engagements->running = pthread_create(&engagements->thread, NULL, run, engagements) == 0;
    if (engagements->running)
        return;
    free(engagements->look.path);
    for (size_t i = 0; i < engagements->call_count; i++)
        control_answer(engagements->calls[i], "error: no thread to read it in");
    engagements->call_count = 0;
}

static void
on_finished(evutil_socket_t fd, short what, void *arg)
{
    struct engagements *engagements = arg;
    char byte;

    (void)what;
    if (read(fd, &byte, 1) != 1)
        return;
    pthread_join(engagements->thread, NULL);
    engagements->running = false;
    if (!look_end(engagements, &engagements->look) || engagements->again)
        begin(engagements);
    else
        answer_all(engagements);
}

void
engagements_look(struct engagements *engagements, struct control_call *call)
{
    if (call != NULL && engagements->call_count == ENGAGEMENTS_CALLS_MAX)
        control_answer(call, "error: too many wait for it; it is looked at all the same");
    else if (call != NULL)
        engagements->calls[engagements->call_count++] = call;
    engagements->again = true;
    if (!engagements->running)
        begin(engagements);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct engagements *engagements = arg;

    (void)fd;
    (void)what;
    if (!engagements->running)
        engagements_look(engagements, NULL);
}

void
engagements_set_conf(struct engagements *engagements, const struct conf *conf)
{
    if (strcmp(engagements->path, conf->engagement_path) != 0) {
        free(engagements->path);
        engagements->path = mem_strdup(conf->engagement_path);
        engagements->known = (struct identity){0};
    }
    engagements->hints = conf->hint.header != NULL;
    engagements_look(engagements, NULL);
}

/* ------------------------------------------------------------------- questions */

int32_t
engagements_quiet_hash(const struct engagements *engagements, uint64_t hash, int32_t today)
{
    int32_t day;

    if (engagements->now.bytes == NULL)
        return engagements->hints ? DECIDE_NEVER_ACTIVE : 0;
    day = engagement_day(&engagements->now.engagement, hash);
    if (day < 0)
        return DECIDE_NEVER_ACTIVE;
    return day < today ? today - day : 0;
}

int32_t
engagements_quiet(const struct engagements *engagements, const char *recipient, int32_t today)
{
    if (engagements->now.bytes == NULL)
        return engagements_quiet_hash(engagements, 0, today);
    return engagements_quiet_hash(engagements, engagement_hash(recipient), today);
}

void
engagements_status(const struct engagements *engagements, struct buf *text, struct json *json)
{
    const struct loaded *now = &engagements->now;

    if (json != NULL) {
        json_open(json, "engagement", '{');
        json_text(json, "path", engagements->path);
        json_bool(json, "known", now->bytes != NULL);
        json_number(json, "recipients", (long long)now->engagement.count);
        json_text(json, "refused", engagements->refused);
        json_close(json, '}');
        return;
    }
    if (now->bytes != NULL)
        buf_printf(text, "engagement: %zu recipients\n", now->engagement.count);
    if (engagements->refused != NULL)
        buf_printf(text, "engagement: %s %s\n", engagements->path, engagements->refused);
}

struct engagements *
engagements_new(struct event_base *base, const struct conf *conf)
{
    static const struct timeval interval = {ENGAGEMENTS_LOOK_S, 0};
    struct engagements *engagements = mem_new(sizeof(*engagements));
    struct look look;

    engagements->path = mem_strdup(conf->engagement_path);
    engagements->hints = conf->hint.header != NULL;
    if (pipe2(engagements->ends, O_CLOEXEC | O_NONBLOCK) < 0)
        abort(); /* no descriptors left at the start */
    look_begin(engagements, &look);
    look.r = look_at_file(&look);
    look_end(engagements, &look);
    if (base == NULL)
        return engagements;
    engagements->finished = mem_must(
        event_new(base, engagements->ends[0], EV_READ | EV_PERSIST, on_finished, engagements));
    event_add(engagements->finished, NULL);
    engagements->tick = mem_must(event_new(base, -1, EV_PERSIST, on_tick, engagements));
    event_add(engagements->tick, &interval);
    return engagements;
}

void
engagements_free(struct engagements *engagements)
{
    if (engagements == NULL)
        return;
    if (engagements->running) {
        pthread_join(engagements->thread, NULL);
        unload(&engagements->look.loaded);
        free(engagements->look.path);
    }
    if (engagements->tick != NULL)
        event_free(engagements->tick);
    if (engagements->finished != NULL)
        event_free(engagements->finished);
    close(engagements->ends[0]);
    close(engagements->ends[1]);
    unload(&engagements->now);
    free(engagements->refused);
    free(engagements->path);
    free(engagements);
}
