/*
 * postpool tail: decisions and results as they come; and the story of one message.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ctl/ctl.h"

#include "lib/known.h"
#include "lib/mem.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NOW LLONG_MIN /* instead of a place: behind all that there is */

enum { SHOWN = 10, SHOWN_MAX = 1000, PAUSE_MS = 250 };

static const char usage[] =
    "usage: postpool tail [-n COUNT] [--once] [--stream NAME] [--address NAME] [--json]\n\n"
    "Shows the last COUNT decisions and results (10; at most 1000), and those that follow until\n"
    "it is interrupted.  --once: only those that there are.  --json: an object for each line.\n";

struct wanted {
    const char *stream, *address;
    int count;
    bool once;
};

/* Returns true to go on; false to end with *ret_status, after saying why. */
static bool
parse(int argc, char **argv, struct wanted *wanted, int *ret_status)
{
    static const struct option options[] = {
        {"stream", required_argument, NULL, 's'},
        {"address", required_argument, NULL, 'a'},
        {"once", no_argument, NULL, 'o'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    char *end;
    int c;

    *ret_status = CTL_USAGE;
    optind = 1;
    while ((c = getopt_long(argc, argv, "n:h", options, NULL)) != -1) {
        if (c == 's') {
            wanted->stream = optarg;
        } else if (c == 'a') {
            wanted->address = optarg;
        } else if (c == 'o') {
            wanted->once = true;
        } else if (c == 'n') {
            wanted->count = (int)strtol(optarg, &end, 10);
            if (*end != '\0' || wanted->count < 0 || wanted->count > SHOWN_MAX)
                return fprintf(stderr, "postpool: -n: \"%s\" is not from 0 to %d\n", optarg,
                               SHOWN_MAX),
                       false;
        } else {
            fputs(usage, c == 'h' ? stdout : stderr);
            if (c == 'h')
                *ret_status = CTL_GOOD;
            return false;
        }
    }
    if (optind < argc)
        return fprintf(stderr, "postpool: \"%s\" is one argument too many\n", argv[optind]), false;
    return true;
}

/* Does the configuration have what is asked for?  A typing error would show nothing, for ever. */
static bool
is_known(const struct conf *conf, const struct wanted *wanted)
{
    if (wanted->stream != NULL &&
        snapshot_find_stream(conf->snapshot, wanted->stream, strlen(wanted->stream)) == NULL)
        return fprintf(stderr, "postpool: there is no stream \"%s\"%s\n", wanted->stream,
                       known_streams(conf->snapshot, wanted->stream)),
               false;
    if (wanted->address != NULL && snapshot_find_address(conf->snapshot, wanted->address) == NULL)
        return fprintf(stderr, "postpool: there is no address \"%s\"%s\n", wanted->address,
                       known_addresses(conf->snapshot, wanted->address)),
               false;
    return true;
}

/* Show what is behind *from, which is moved on.  Returns 0, or a negative errno. */
static int
show(const struct conf *conf, const struct ctl *ctl, const struct wanted *wanted, long long *from)
{
    char *question, *answer = NULL, *lines, place[24] = "now";
    int r;

    if (*from != NOW)
        snprintf(place, sizeof(place), "%lld", *from);
    question = mem_printf(
        "tail %s%s%s%s%s%s", place, ctl->json ? " json" : "",
        wanted->stream != NULL ? " stream=" : "", wanted->stream != NULL ? wanted->stream : "",
        wanted->address != NULL ? " address=" : "", wanted->address != NULL ? wanted->address : "");
    r = ctl_ask(conf, question, &answer);
    free(question);
    if (r < 0)
        return r;
    *from = strtoll(answer, &lines, 10);
    lines += *lines == '\n';
    fputs(lines, stdout);
    fflush(stdout);
    free(answer);
    return ferror(stdout) ? -EIO : 0;
}

static int
follow(const struct conf *conf, const struct ctl *ctl, const struct wanted *wanted)
{
    static const struct timespec pause = {0, PAUSE_MS * 1000L * 1000};
    long long from = wanted->count > 0 ? -wanted->count : NOW, before = NOW;
    int r;

    while ((r = show(conf, ctl, wanted, &from)) == 0) {
        if (wanted->once && from == before)
            break;
        if (from == before)
            nanosleep(&pause, NULL);
        before = from;
    }
    return r;
}

int
ctl_tail(const struct ctl *ctl, int argc, char **argv)
{
    struct wanted wanted = {.count = SHOWN};
    struct conf *conf;
    int r, status;

    if (!parse(argc, argv, &wanted, &status))
        return status;
    if (ctl_load(ctl->file, &conf) < 0)
        return CTL_USAGE;
    r = is_known(conf, &wanted) ? follow(conf, ctl, &wanted) : CTL_USAGE;
    conf_unref(conf);
    return r < 0 ? CTL_BAD_NEWS : r;
}

/* One word. */
static bool
is_id(const char *text)
{
    for (const char *at = text; *at != '\0'; at++)
        if (isspace((unsigned char)*at) || iscntrl((unsigned char)*at))
            return false;
    return text[0] != '\0';
}

int
ctl_story(const struct ctl *ctl, int argc, char **argv)
{
    char *question;
    int status;

    if (argc > 2) {
        fprintf(stderr, "postpool: \"%s\" is one argument too many\n", argv[2]);
        return CTL_USAGE;
    }
    if (!is_id(argv[1])) {
        fprintf(stderr, "postpool: \"%s\" is no queue id\n", argv[1]);
        return CTL_USAGE;
    }
    question = mem_printf("story %s%s", argv[1], ctl->json ? " json" : "");
    status = ctl_print(ctl, question);
    free(question);
    return status;
}
