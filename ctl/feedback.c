/*
 * postpool feedback -: lines of the log from standard input, handed to
 * postpool-policyd in batches.
 *
 * The next batch is read when policyd has taken the one before, so that who writes
 * to the pipe waits, or keeps it, while policyd is away.  The last batches stay
 * here, for a policyd that was started anew before it had kept what came of them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/ctl.h"

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/feed.h"
#include "lib/mem.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum {
    GATHER_MS = 200,    /* a line waits so long for others */
    RETRY_MS = 1000,    /* while policyd does not answer */
    END_WAIT_MS = 5000, /* after a signal: so long what was read is still handed over */
    SHOW_MS = 1000,     /* how often the terminal is told */
    KEPT_MAX = 512,     /* batches, of FEED_BYTES_MAX at most */
};

static const char usage[] =
    "usage: postpool feedback -\n\n"
    "Reads lines of the mail log from standard input and hands them to postpool-policyd, whose\n"
    "feedback.log is \"pipe\".  Ends with the input, when all lines are handed over; while "
    "policyd\n"
    "does not answer it waits.  Exit status 1: it was ended before all that it had read was "
    "taken.\n";

struct batch {
    char *bytes; /* owned */
    size_t length;
    uint64_t lines;
};

struct feeder {
    const struct conf *conf; /* not ours */
    uint64_t id;
    struct batch kept[KEPT_MAX]; /* by their number */
    uint64_t made;               /* number of the last batch; from 1 */
    uint64_t next;               /* that is to be sent: made + 1, all are taken */
    char data[FEED_BYTES_MAX];   /* that were read, and are in no batch yet */
    size_t length;
    int64_t since_ms; /* the oldest of them came */
    bool skipping;    /* in the midst of a line that is too long */
    bool at_end;      /* of the input */
    uint64_t too_long;
    uint64_t taken; /* lines */
    bool away;      /* policyd is, and that was said */
    int64_t heard_ms;
    int64_t shown_ms;
    int64_t give_up_ms; /* 0: not at all */
};

static volatile sig_atomic_t ended; /* by a signal */

static void
on_signal(int number)
{
    (void)number;
    ended = 1;
}

static int64_t
now_ms(void)
{
    return clock_ms(CLOCK_MONOTONIC);
}

/* -------------------------------------------------------------------- sending */

static uint64_t
oldest(const struct feeder *feeder)
{
    return feeder->made > KEPT_MAX ? feeder->made - KEPT_MAX + 1 : 1;
}

static void
say_away(struct feeder *feeder, const char *why)
{
    if (!feeder->away)
        fprintf(stderr, "postpool: %s -- lines wait until it takes them\n", why);
    feeder->away = true;
}

/* Send a batch, or, without bytes, a sign of life.  False: policyd did not answer as it should. */
static bool
exchange(struct feeder *feeder, uint64_t number, const struct batch *batch,
         enum feed_answer *ret_answer, uint64_t *ret_number)
{
    struct feed_head head = {feeder->id, number, oldest(feeder), batch->length};
    struct buf question = {0}, answer = {0};
    char text[FEED_HEAD_SIZE];
    struct err err;
    int r;

    feed_print(&head, text);
    buf_printf(&question, "%s\n", text);
    buf_add(&question, batch->bytes, batch->length);
    r = ctl_exchange(feeder->conf, question.data, question.length, &answer, &err);
    if (r >= 0)
        *ret_answer = feed_read_answer(buf_text(&answer), ret_number);
    if (r >= 0 && *ret_answer == FEED_ODD)
        r = err_set(&err, -EREMOTEIO, "postpool-policyd: %.*s",
                    (int)strcspn(buf_text(&answer), "\n"), buf_text(&answer));
    if (r < 0)
        say_away(feeder, err.msg);
    else if (feeder->away)
        fputs("postpool: postpool-policyd takes lines again\n", stderr);
    feeder->away = r < 0;
    buf_clear(&question);
    buf_clear(&answer);
    return r >= 0;
}

/* policyd has what comes before number, and no more. */
static void
go_back(struct feeder *feeder, uint64_t number)
{
    if (number < oldest(feeder))
        number = oldest(feeder);
    if (number < feeder->next)
        feeder->next = number;
}

static bool
send_next(struct feeder *feeder)
{
    const struct batch *batch = &feeder->kept[feeder->next % KEPT_MAX];
    enum feed_answer answer;
    uint64_t number;

    if (!exchange(feeder, feeder->next, batch, &answer, &number))
        return false;
    feeder->heard_ms = now_ms();
    if (answer == FEED_RESEND) {
        go_back(feeder, number);
        return true;
    }
    if (feeder->next == feeder->made)
        feeder->taken += batch->lines;
    feeder->next++;
    return true;
}

/* Tell policyd that we are there, and hear whether it is one that lacks something. */
static void
show_life(struct feeder *feeder)
{
    enum feed_answer answer;
    uint64_t number;

    if (exchange(feeder, feeder->made > 0 ? feeder->made : 1, &(struct batch){0}, &answer,
                 &number) &&
        number > 0)
        go_back(feeder, number + 1);
    feeder->heard_ms = now_ms();
}

/* -------------------------------------------------------------------- reading */

static void
skip_long_line(struct feeder *feeder)
{
    feeder->too_long += !feeder->skipping;
    feeder->skipping = true;
    feeder->length = 0;
}

/* Make a batch of the whole lines that were read, if there are any. */
static void
make_batch(struct feeder *feeder)
{
    const char *last = memrchr(feeder->data, '\n', feeder->length);
    size_t length = last != NULL ? (size_t)(last + 1 - feeder->data) : 0;
    struct batch *batch = &feeder->kept[(feeder->made + 1) % KEPT_MAX];

    if (length == 0)
        return;
    free(batch->bytes);
    *batch = (struct batch){mem_new(length), length, 0};
    memcpy(batch->bytes, feeder->data, length);
    for (size_t i = 0; i < length; i++)
        batch->lines += feeder->data[i] == '\n';
    feeder->length -= length;
    memmove(feeder->data, feeder->data + length, feeder->length);
    feeder->made++;
}

static void
read_some(struct feeder *feeder)
{
    ssize_t n =
        read(STDIN_FILENO, feeder->data + feeder->length, sizeof(feeder->data) - feeder->length);

    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n < 0)
        fprintf(stderr, "postpool: standard input: %s\n", strerror(errno));
    if (n <= 0) {
        feeder->at_end = true;
        /* the last line may have no end; there is room, or it would not have been read */
        if (feeder->length > 0 && feeder->data[feeder->length - 1] != '\n')
            feeder->data[feeder->length++] = '\n';
        return;
    }
    if (feeder->length == 0)
        feeder->since_ms = now_ms();
    feeder->length += (size_t)n;
    if (feeder->skipping) {
        char *end = memchr(feeder->data, '\n', feeder->length);
        size_t over = end != NULL ? (size_t)(end + 1 - feeder->data) : feeder->length;

        feeder->length -= over;
        memmove(feeder->data, feeder->data + over, feeder->length);
        feeder->skipping = end == NULL;
    }
    if (feeder->length == sizeof(feeder->data) &&
        memchr(feeder->data, '\n', feeder->length) == NULL)
        skip_long_line(feeder);
}

/* Wait for input until something else is due, and read; a batch is made when it is time. */
static void
gather(struct feeder *feeder)
{
    int64_t now = now_ms();
    int64_t due_ms =
        feeder->length > 0 ? feeder->since_ms + GATHER_MS : feeder->heard_ms + FEED_SILENT_MS / 3;
    struct pollfd input = {STDIN_FILENO, POLLIN, 0};

    if (due_ms > now && feeder->length < sizeof(feeder->data) &&
        poll(&input, 1, (int)(due_ms - now)) > 0)
        read_some(feeder);
    now = now_ms();
    if (feeder->length == sizeof(feeder->data) || feeder->at_end ||
        (feeder->length > 0 && now >= feeder->since_ms + GATHER_MS)) {
        make_batch(feeder);
        feeder->since_ms = now; /* what is left is half a line */
    }
    if (now >= feeder->heard_ms + FEED_SILENT_MS / 3)
        show_life(feeder);
}

/* ------------------------------------------------------------------ the command */

static void
show(struct feeder *feeder, bool last)
{
    if (!isatty(STDERR_FILENO) || (!last && now_ms() < feeder->shown_ms + SHOW_MS))
        return;
    fprintf(stderr, "\r%" PRIu64 " lines handed over%s", feeder->taken, last ? "\n" : "");
    feeder->shown_ms = now_ms();
}

static void
wait_to_retry(const struct feeder *feeder)
{
    struct timespec pause = {RETRY_MS / 1000, RETRY_MS % 1000 * 1000000L};

    if (feeder->away)
        nanosleep(&pause, NULL); /* a signal ends it */
}

static void
feed(struct feeder *feeder)
{
    while (feeder->give_up_ms == 0 || now_ms() < feeder->give_up_ms) {
        if (ended && feeder->give_up_ms == 0) {
            feeder->give_up_ms = now_ms() + END_WAIT_MS;
            make_batch(feeder);
        }
        show(feeder, false);
        if (feeder->next <= feeder->made) {
            if (!send_next(feeder))
                wait_to_retry(feeder);
        } else if (feeder->at_end || ended) {
            return;
        } else {
            gather(feeder);
        }
    }
}

static int
finish(struct feeder *feeder)
{
    uint64_t left = 0;

    for (uint64_t number = feeder->next; number <= feeder->made; number++)
        left += feeder->kept[number % KEPT_MAX].lines;
    show(feeder, true);
    if (feeder->too_long > 0)
        fprintf(stderr, "postpool: %" PRIu64 " lines were too long for any log and are left out\n",
                feeder->too_long);
    if (left > 0)
        fprintf(stderr, "postpool: ended with %" PRIu64 " lines that policyd did not take\n", left);
    for (size_t i = 0; i < KEPT_MAX; i++)
        free(feeder->kept[i].bytes);
    return left > 0 ? CTL_BAD_NEWS : CTL_GOOD;
}

int
ctl_feedback(const struct ctl *ctl, int argc, char **argv)
{
    const struct sigaction action = {.sa_handler = on_signal}; /* no SA_RESTART: waits end */
    struct feeder *feeder;
    struct conf *conf;
    int status = CTL_USAGE;

    if (argc == 2 && strcmp(argv[1], "-") == 0)
        argc = 1;
    else if (!ctl_arguments(argc, argv, 0, usage, &status))
        return status;
    else {
        fputs(usage, stderr);
        return CTL_USAGE;
    }
    if (ctl_load(ctl->file, &conf) < 0)
        return CTL_USAGE;
    if (strcmp(conf->feedback_log, "pipe") != 0) {
        fputs("postpool: feedback.log is not \"pipe\": postpool-policyd would take no lines\n",
              stderr);
        conf_unref(conf);
        return CTL_USAGE;
    }
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    feeder = mem_new(sizeof(*feeder));
    feeder->conf = conf;
    feeder->next = 1;
    while (feeder->id == 0)
        if (getrandom(&feeder->id, sizeof(feeder->id), 0) < 0)
            abort();
    show_life(feeder);
    feed(feeder);
    status = finish(feeder);
    free(feeder);
    conf_unref(conf);
    return status;
}
