/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/reload.h"

#include "engine/roster.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "lib/presence.h"

#include <event2/event.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { NICE = 10 };

struct reload {
    pthread_t thread;
    char *file;
    int ends[2]; /* the thread writes when it is done */
    struct event *finished;
    reload_done_fn *done;
    void *arg; /* not ours */

    /* Belong to the thread until it has written. */
    struct conf *conf;
    struct roster *roster;
    struct conf_problems problems;
};

/* Lookups go first: this thread has time. */
static void
step_back(void)
{
    setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICE);
}

static void *
load(void *arg)
{
    struct reload *reload = arg;
    struct err err;
    bool *present;

    step_back();
    if (conf_load(reload->file, &reload->conf, &reload->problems) == 0) {
        present = mem_array(reload->conf->snapshot->address_count, sizeof(*present));
        if (presence_scan(reload->conf->snapshot, present, &err) == 0)
            reload->roster = roster_new(reload->conf->snapshot, present);
        else
            conf_problems_add(&reload->problems, false, "this host", err.msg);
        free(present);
    }
    if (write(reload->ends[1], "", 1) != 1)
        abort(); /* an empty pipe takes a byte */
    return NULL;
}

static void
reload_free(struct reload *reload)
{
    event_free(reload->finished);
    close(reload->ends[0]);
    close(reload->ends[1]);
    conf_problems_clear(&reload->problems);
    free(reload->file);
    free(reload);
}

static void
on_finished(evutil_socket_t fd, short what, void *arg)
{
    struct reload *reload = arg;

    (void)fd;
    (void)what;
    pthread_join(reload->thread, NULL);
    reload->done(reload->arg, reload->conf, reload->roster, &reload->problems);
    reload_free(reload);
}

struct reload *
reload_start(struct event_base *base, const char *file, reload_done_fn *done, void *arg)
{
    struct reload *reload = mem_new(sizeof(*reload));

    reload->file = mem_strdup(file);
    reload->done = done;
    reload->arg = arg;
    if (pipe2(reload->ends, O_CLOEXEC | O_NONBLOCK) < 0)
        goto fail;
    if (pthread_create(&reload->thread, NULL, load, reload) != 0) {
        close(reload->ends[0]);
        close(reload->ends[1]);
        goto fail;
    }
    reload->finished = event_new(base, reload->ends[0], EV_READ, on_finished, reload);
    event_add(reload->finished, NULL);
    return reload;

fail:
    free(reload->file);
    free(reload);
    return NULL;
}

void
reload_cancel(struct reload *reload)
{
    if (reload == NULL)
        return;
    pthread_join(reload->thread, NULL);
    roster_free(reload->roster);
    conf_unref(reload->conf);
    reload_free(reload);
}

static void *
let_go(void *arg)
{
    step_back();
    conf_unref(arg);
    return NULL;
}

void
reload_let_go(struct conf *conf)
{
    pthread_attr_t attributes;
    pthread_t thread;

    if (pthread_attr_init(&attributes) != 0) {
        conf_unref(conf);
        return;
    }
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&thread, &attributes, let_go, conf) != 0)
        conf_unref(conf);
    pthread_attr_destroy(&attributes);
}
