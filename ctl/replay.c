/*
 * postpool replay: what would have happened to the mail of a log?
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/replay.h"

#include "ctl/ctl.h"
#include "ctl/logfile.h"
#include "ctl/logtime.h"
#include "engine/zone.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/zone_file.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "usage: postpool replay [--stream STREAM=SENDER]... [--lifetime TIME] [--json] MAILLOG...\n\n"
    "What would have happened to the mail of a log of Postfix with this configuration: by day and\n"
    "address, what would have waited and how long, how many addresses each pool needs, what the\n"
    "replies in it would have suspended.  The log is any, also one that was written without\n"
    "postpool.  Nothing is sent or changed.\n\n"
    "  MAILLOG...         files, also compressed by gzip, in any order; \"-\": standard input\n"
    "  --stream STREAM=SENDER             a log has no headers: so the stream is told by the\n"
    "                     sender, say bulk=*@news.example.com; \"<>\": the null sender\n"
    "  --stream STREAM=login:NAME         by the login, say bulk=login:app-*\n"
    "  --stream STREAM=client:NETWORK     by the client's address, say bulk=client:10.0.0.0/8\n"
    "  --stream STREAM=service:NAME       by the smtpd(8) that took it in, say\n"
    "                     bulk=service:submission, which logs as postfix/submission/smtpd\n"
    "  --lifetime TIME    how long Postfix keeps mail that waits; default: 5d\n";

static const struct option options[] = {
    {"stream", required_argument, NULL, 's'},
    {"lifetime", required_argument, NULL, 'l'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

enum {
    PEEK_LINES_MAX = 10000,   /* in which a log has one with a time */
    PROGRESS_LINES = 1 << 17, /* so often it is told how far it is */
};

static int
complain(const char *text)
{
    fprintf(stderr, "postpool: replay: %s\n", text);
    return CTL_USAGE;
}

/* -------------------------------------------------------------------- files */

struct source {
    const char *path;
    int64_t first_ms;
};

/* When the log begins.  0, or a negative errno; -ENODATA: it is empty. */
static int
peek(const struct replay *replay, struct source *source, struct err *err)
{
    struct logfile *file;
    struct logtime logtime;
    struct span line;
    int r = logfile_open(source->path, &file, err), lines = 0;

    if (r < 0)
        return r;
    logtime_init(&logtime, replay->local);
    logtime_file(&logtime, logfile_written_ms(file), clock_ms(CLOCK_REALTIME));
    while (lines < PEEK_LINES_MAX && (r = logfile_next(file, &line, err)) > 0) {
        struct maillog_frame frame;

        lines++;
        if (maillog_cut(line.start, line.length, &frame) &&
            (source->first_ms = logtime_ms(&logtime, &frame.time)) >= 0)
            break;
    }
    logfile_close(file);
    if (r > 0 && lines == PEEK_LINES_MAX)
        r = 0;
    if (r == 0)
        return lines == 0 ? -ENODATA
                          : err_set(err, -EINVAL,
                                    "%s: it is no log of Postfix: none of its lines begins as one",
                                    source->path);
    return r < 0 ? r : 0;
}

static int
earlier_first(const void *a, const void *b)
{
    const struct source *x = a, *y = b;

    return x->first_ms < y->first_ms ? -1 : x->first_ms > y->first_ms;
}

/* In the order of their times, without those that are empty.  0, or -EINVAL. */
static int
sort_files(const struct replay *replay, struct source *sources, size_t *count)
{
    size_t kept = 0;
    struct err err;

    for (size_t i = 0; i<*count && * count> 1; i++) {
        int r = strcmp(sources[i].path, "-") == 0
                    ? err_set(&err, -EINVAL, "standard input is read alone, without files")
                    : peek(replay, &sources[i], &err);

        if (r < 0 && r != -ENODATA) {
            complain(err.msg);
            return -EINVAL;
        }
        if (r == 0)
            sources[kept++] = sources[i];
    }
    if (*count == 1)
        return 0;
    qsort(sources, kept, sizeof(*sources), earlier_first);
    *count = kept;
    return 0;
}

static void
tell_progress(const struct replay *replay, bool over)
{
    uint64_t lines = arrivals_figures(replay->arrivals)->lines;
    char number[PROSPECT_NUMBER_SIZE];

    if ((!over && lines % PROGRESS_LINES != 0) || !isatty(STDERR_FILENO))
        return;
    if (over)
        fputs("\r\033[K", stderr);
    else
        fprintf(stderr, "\rreplay: %s lines", prospect_number(lines, number));
    fflush(stderr);
}

static int
read_file(struct replay *replay, const char *path, struct err *err)
{
    struct logfile *file;
    struct span line;
    int r = logfile_open(path, &file, err);

    if (r < 0)
        return r;
    arrivals_file(replay->arrivals, logfile_written_ms(file), clock_ms(CLOCK_REALTIME));
    while ((r = logfile_next(file, &line, err)) > 0) {
        arrivals_hear(replay->arrivals, line.start, line.length);
        tell_progress(replay, false);
    }
    tell_progress(replay, true);
    logfile_close(file);
    return r;
}

/* Why there is nothing to tell of. */
static void
say_nothing(const struct arrivals_figures *figures)
{
    char text[256];
    uint64_t unknown = figures->tries[ATTEMPT_UNKNOWN];

    if (figures->lines == 0)
        snprintf(text, sizeof(text), "the log is empty");
    else if (figures->postfix == 0)
        snprintf(text, sizeof(text),
                 "Postfix tells of no message in %" PRIu64
                 " lines: is it the mail log, as syslogd, rsyslog or postlogd write it?",
                 figures->lines);
    else if (unknown > 0)
        snprintf(text, sizeof(text),
                 "%" PRIu64 " tries are told of in %" PRIu64
                 " lines, none behind the beginning of its message: are the newest lines first?",
                 unknown, figures->lines);
    else
        snprintf(text, sizeof(text),
                 "no mail left for another host in %" PRIu64 " lines, %" PRIu64
                 " of them of Postfix",
                 figures->lines, figures->postfix);
    complain(text);
}

/* 0, or -EINVAL: said on standard error. */
static int
read_files(struct replay *replay, struct source *sources, size_t count)
{
    struct err err;

    for (size_t i = 0; i < count; i++)
        if (read_file(replay, sources[i].path, &err) < 0) {
            complain(err.msg);
            return -EINVAL;
        }
    arrivals_end(replay->arrivals);
    if (replay->failed)
        mem_must(NULL);
    if (replay->world != NULL)
        return 0;
    say_nothing(arrivals_figures(replay->arrivals));
    return -EINVAL;
}

/* ------------------------------------------------------------------ command */

static void
print(const struct ctl *ctl, const struct replay *replay)
{
    struct buf out = {0};
    struct prospect prospect = {
        .conf = replay->conf,
        .world = replay->world,
        .zone = replay->conf->warmup_zone,
    };

    if (ctl->json) {
        struct json json = {.out = &out};

        json_open(&json, NULL, '{');
        replay_json(replay, &prospect, &json);
        json_close(&json, '}');
        buf_puts(&out, "\n");
    } else {
        replay_print(replay, &prospect, &out);
    }
    fputs(buf_text(&out), stdout);
    buf_clear(&out);
}

static void
replay_begin(struct replay *replay)
{
    size_t count = replay->conf->snapshot->stream_count;

    replay->streams = mem_array(count, sizeof(*replay->streams));
    for (size_t i = 0; i < count; i++)
        replay->streams[i].perhaps = mem_array(count, sizeof(uint64_t));
    replay->arrivals = arrivals_new(&(struct arrivals_start){
        .conf = replay->conf,
        .mapping = &replay->mapping,
        .zone = replay->local,
        .each = replay_on_arrival,
        .arg = replay,
    });
}

static void
replay_end(struct replay *replay)
{
    for (size_t i = 0; i < replay->suspension_count && i < REPLAY_SUSPENSIONS_MAX; i++)
        free((char *)replay->suspensions[i].its.name);
    free(replay->suspensions);
    for (size_t i = 0; i < replay->conf->snapshot->stream_count && replay->streams != NULL; i++)
        free(replay->streams[i].perhaps);
    free(replay->streams);
    arrivals_free(replay->arrivals);
    world_free(replay->world);
    mapping_clear(&replay->mapping);
    zone_free(replay->local);
    conf_unref(replay->conf);
}

/* 0, or an exit status. */
static int
take_options(struct replay *replay, int argc, char **argv)
{
    struct err err;
    int c, r = 0;

    optind = 1;
    while (r == 0 && (c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (c == 's')
            r = mapping_add(&replay->mapping, replay->conf->snapshot, optarg, &err);
        else if (c == 'l')
            r = prospect_lifetime(optarg, &replay->lifetime_ms, &err);
        if (r < 0)
            err_add(&err, r, c == 's' ? "--stream" : "--lifetime");
    }
    return r < 0 ? complain(err.msg) : 0;
}

/* Read and tell; returns an exit status. */
static int
replay_logs(const struct ctl *ctl, struct replay *replay, char **paths, size_t count)
{
    struct source *sources = mem_array(count, sizeof(*sources));
    int status = CTL_USAGE;

    for (size_t i = 0; i < count; i++)
        sources[i].path = paths[i];
    replay_begin(replay);
    if (sort_files(replay, sources, &count) == 0 && read_files(replay, sources, count) == 0) {
        replay_finish(replay);
        print(ctl, replay);
        status = CTL_GOOD;
    }
    free(sources);
    return status;
}

int
ctl_replay(const struct ctl *ctl, int argc, char **argv)
{
    struct replay replay = {.lifetime_ms = PROSPECT_LIFETIME_MS};
    struct err err;
    int status = ctl_options(argc, argv, options, usage);

    if (status < 0 && optind == argc)
        status = complain("a log is needed; see postpool replay --help");
    if (status >= 0)
        return status;
    if (ctl_load(ctl->file, &replay.conf) < 0)
        return CTL_USAGE;
    if (zone_load("local", &replay.local, &err) < 0)
        fprintf(stderr, "postpool: %s -- times are taken for UTC\n", err.msg);
    status = take_options(&replay, argc, argv);
    if (status == 0)
        status = replay_logs(ctl, &replay, argv + optind, (size_t)(argc - optind));
    replay_end(&replay);
    return status;
}
