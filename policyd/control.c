/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/control.h"

#include "lib/log.h"
#include "lib/mem.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>

enum { QUESTION_MAX = 1024, CALLS_MAX = 64, TIMEOUT_S = 30 };

/* A call ends when its answer is out, or when the peer is gone and it was answered. */
struct control_call {
    LIST_ENTRY(control_call) next;
    struct control *control; /* not ours */
    struct bufferevent *io;  /* NULL: the peer is gone */
    bool asked;              /* a question is with the owner */
    bool answered;
    char *question;           /* owned; while more is wanted behind it */
    size_t wanted;            /* bytes; 0: none */
    control_body_fn *on_body; /* hears of them */
    char user[64];
};

LIST_HEAD(call_list, control_call);

struct control {
    struct evconnlistener *listener;
    struct event *resume; /* after a pause */
    struct call_list calls;
    size_t count;
    control_ask_fn *ask;
    void *arg; /* not ours */
};

static void
call_free(struct control_call *call)
{
    if (call->io != NULL)
        bufferevent_free(call->io);
    LIST_REMOVE(call, next);
    call->control->count--;
    free(call->question);
    free(call);
}

/* The peer is gone, or everything is said. */
static void
call_hang_up(struct control_call *call)
{
    if (call->asked && !call->answered && call->wanted == 0) {
        bufferevent_free(call->io);
        call->io = NULL;
        return;
    }
    call_free(call);
}

/* What is wanted behind the question has come? */
static void
take_body(struct control_call *call, struct evbuffer *input)
{
    size_t length = call->wanted;
    char *body;

    if (evbuffer_get_length(input) < length)
        return;
    body = mem_new(length);
    evbuffer_remove(input, body, length);
    call->wanted = 0;
    call->on_body(call->control->arg, call, call->question, body);
    free(body);
}

static void
on_read(struct bufferevent *io, void *arg)
{
    struct control_call *call = arg;
    struct evbuffer *input = bufferevent_get_input(io);

    if (!call->asked) {
        char *line = evbuffer_readln(input, NULL, EVBUFFER_EOL_CRLF);

        if (line == NULL) {
            if (evbuffer_get_length(input) > QUESTION_MAX)
                call_hang_up(call);
            return;
        }
        call->asked = true;
        call->question = line;
        call->control->ask(call->control->arg, call, line);
    }
    if (call->wanted > 0)
        take_body(call, input);
}

static void
on_written(struct bufferevent *io, void *arg)
{
    struct control_call *call = arg;

    if (call->answered && evbuffer_get_length(bufferevent_get_output(io)) == 0)
        call_hang_up(call);
}

static void
on_event(struct bufferevent *io, short what, void *arg)
{
    struct control_call *call = arg;

    (void)io;
    /* Who has only closed its writing side still waits for the answer. */
    if ((what & BEV_EVENT_EOF) && call->asked && call->wanted == 0)
        return;
    call_hang_up(call);
}

static void
on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int length,
          void *arg)
{
    static const struct timeval timeout = {TIMEOUT_S, 0};
    struct control *control = arg;
    struct control_call *call;

    (void)address;
    (void)length;
    if (control->count >= CALLS_MAX) {
        evutil_closesocket(fd);
        return;
    }
    call = mem_new(sizeof(*call));
    call->control = control;
    call->io = bufferevent_socket_new(evconnlistener_get_base(listener), fd, BEV_OPT_CLOSE_ON_FREE);
    LIST_INSERT_HEAD(&control->calls, call, next);
    control->count++;
    bufferevent_setcb(call->io, on_read, on_written, on_event, call);
    bufferevent_set_timeouts(call->io, &timeout, &timeout);
    bufferevent_setwatermark(call->io, EV_READ, 0, QUESTION_MAX + 1);
    bufferevent_enable(call->io, EV_READ | EV_WRITE);
}

static void
on_resume(evutil_socket_t fd, short what, void *arg)
{
    struct control *control = arg;

    (void)fd;
    (void)what;
    evconnlistener_enable(control->listener);
}

/* No descriptor is left, most likely: the listener would try again at once, for ever. */
static void
on_accept_error(struct evconnlistener *listener, void *arg)
{
    static const struct timeval pause = {1, 0};
    struct control *control = arg;

    log_warn("control socket: %s -- paused for a second", strerror(errno));
    evconnlistener_disable(listener);
    event_add(control->resume, &pause);
}

struct control *
control_new(struct event_base *base, int fd, control_ask_fn *ask, void *arg)
{
    struct control *control = mem_new(sizeof(*control));

    control->ask = ask;
    control->arg = arg;
    LIST_INIT(&control->calls);
    evutil_make_socket_nonblocking(fd);
    control->listener = evconnlistener_new(base, on_accept, control,
                                           LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
    if (control->listener != NULL)
        evconnlistener_set_error_cb(control->listener, on_accept_error);
    control->resume = evtimer_new(base, on_resume, control);
    return control;
}

void
control_stop(struct control *control)
{
    struct control_call *call, *next;

    if (control == NULL)
        return;
    for (call = LIST_FIRST(&control->calls); call != NULL; call = next) {
        next = LIST_NEXT(call, next);
        if (call->io != NULL)
            call_hang_up(call);
    }
    if (control->listener != NULL)
        evconnlistener_free(control->listener);
    control->listener = NULL;
    event_del(control->resume);
}

void
control_free(struct control *control)
{
    if (control == NULL)
        return;
    control_stop(control);
    while (!LIST_EMPTY(&control->calls))
        call_free(LIST_FIRST(&control->calls));
    event_free(control->resume);
    free(control);
}

void
control_want(struct control_call *call, size_t length, control_body_fn *on_body)
{
    call->wanted = length;
    call->on_body = on_body;
    bufferevent_setwatermark(call->io, EV_READ, 0,
                             length > QUESTION_MAX ? length : QUESTION_MAX + 1);
}

const char *
control_user(struct control_call *call)
{
    struct ucred who;
    socklen_t length = sizeof(who);
    struct passwd *user;

    strcpy(call->user, "?");
    if (call->io == NULL ||
        getsockopt(bufferevent_getfd(call->io), SOL_SOCKET, SO_PEERCRED, &who, &length) < 0)
        return call->user;
    user = getpwuid(who.uid);
    snprintf(call->user, sizeof(call->user), "%.40s (uid %u)", user != NULL ? user->pw_name : "?",
             who.uid);
    return call->user;
}

void
control_answer(struct control_call *call, const char *text)
{
    call->answered = true;
    if (call->io == NULL) {
        call_free(call);
        return;
    }
    bufferevent_write(call->io, text, strlen(text));
    if (text[0] == '\0' || text[strlen(text) - 1] != '\n')
        bufferevent_write(call->io, "\n", 1);
}
