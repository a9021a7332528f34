/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/resolve.h"

#include "lib/mem.h"

#include <event2/event.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* What the thread has; the result goes through the pipe whole, so that nothing is shared. */
struct question {
    char *host;
    int fd;
};

struct result {
    char addresses[1024];
    char why[128];
};

struct resolve {
    struct event *readable;
    int fd;
    resolve_done_fn *done;
    void *arg; /* not ours */
};

static void *
run(void *arg)
{
    struct question *question = arg;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    struct result result = {0};
    ssize_t ignored;
    int r = getaddrinfo(question->host, NULL, &hints, &list);

    for (const struct addrinfo *one = list; r == 0 && one != NULL; one = one->ai_next) {
        size_t length = strlen(result.addresses);
        char address[NI_MAXHOST];

        r = getnameinfo(one->ai_addr, one->ai_addrlen, address, sizeof(address), NULL, 0,
                        NI_NUMERICHOST);
        if (r == 0 && length + strlen(address) + 2 < sizeof(result.addresses))
            snprintf(result.addresses + length, sizeof(result.addresses) - length, "%s ", address);
    }
    if (r != 0)
        snprintf(result.why, sizeof(result.why), "%s", gai_strerror(r));
    if (list != NULL)
        freeaddrinfo(list);
    ignored = write(question->fd, &result, sizeof(result)); /* less than PIPE_BUF: whole or not */
    (void)ignored;
    close(question->fd);
    free(question->host);
    free(question);
    return NULL;
}

static void
on_result(evutil_socket_t fd, short what, void *arg)
{
    struct resolve *resolve = arg;
    resolve_done_fn *done = resolve->done;
    void *done_arg = resolve->arg;
    struct result result;

    (void)what;
    if (read(fd, &result, sizeof(result)) != sizeof(result))
        result = (struct result){.why = "the lookup ended without a result"};
    resolve_forget(resolve);
    done(done_arg, result.why[0] == '\0' ? result.addresses : NULL, result.why);
}

struct resolve *
resolve_start(struct event_base *base, const char *host, resolve_done_fn *done, void *arg)
{
    struct resolve *resolve;
    struct question *question;
    sigset_t all, before;
    pthread_t thread;
    int ends[2], r;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return NULL;
    question = mem_new(sizeof(*question));
    question->host = mem_strdup(host);
    question->fd = ends[1];
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the loop's */
    r = pthread_create(&thread, NULL, run, question);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r != 0) {
        close(ends[0]);
        close(ends[1]);
        free(question->host);
        free(question);
        return NULL;
    }
    pthread_detach(thread);
    resolve = mem_new(sizeof(*resolve));
    resolve->fd = ends[0];
    resolve->done = done;
    resolve->arg = arg;
    resolve->readable = event_new(base, ends[0], EV_READ, on_result, resolve);
    event_add(resolve->readable, NULL);
    return resolve;
}

void
resolve_forget(struct resolve *resolve)
{
    event_free(resolve->readable);
    close(resolve->fd);
    free(resolve);
}
